// SPDX-License-Identifier: LGPL-2.1-or-later
/* Chip files as tools read them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chip_file.h"

/* Far more than any chip file has. */
#define MAX_FILE (1 << 20)

static bool is_path(const char *name)
{
	size_t length = strlen(name);

	return strchr(name, '/') || (length > 4 && !strcmp(name + length - 4, ".ini"));
}

static bool find(struct chip_file *file, const char *name)
{
	const char *folder = getenv("MXACCEL_CHIP_DIR"), *base = strrchr(name, '/');
	int length;

	if (!folder || !*folder)
		folder = MXRT_CHIP_DIR;
	if (is_path(name))
		length = snprintf(file->path, sizeof(file->path), "%s", name);
	else
		length = snprintf(file->path, sizeof(file->path), "%s/%s.ini", folder, name);
	base = base ? base + 1 : name;
	snprintf(file->name, sizeof(file->name), "%s", base);
	if (is_path(name) && strrchr(file->name, '.'))
		*strrchr(file->name, '.') = 0;
	return length >= 0 && (size_t)length < sizeof(file->path);
}

int chip_file_read(struct chip_file *file, const char *name, char *err, size_t err_bytes)
{
	FILE *stream;

	memset(file, 0, sizeof(*file));
	if (!*name || !find(file, name)) {
		snprintf(err, err_bytes, "\"%.40s\" is no name of a chip, nor the path of a chip file",
			 name);
		return -1;
	}
	stream = fopen(file->path, "re");
	if (!stream) {
		snprintf(err, err_bytes, "cannot open chip file %s: %s", file->path,
			 strerror(errno));
		return -1;
	}
	file->text = malloc(MAX_FILE);
	if (file->text)
		file->bytes = fread(file->text, 1, MAX_FILE, stream);
	if (!file->text)
		snprintf(err, err_bytes, "no memory for chip file %s", file->path);
	else if (ferror(stream))
		snprintf(err, err_bytes, "cannot read chip file %s", file->path);
	else if (file->bytes == MAX_FILE)
		snprintf(err, err_bytes, "%s has %d bytes or more: no chip file", file->path,
			 MAX_FILE);
	else if (memchr(file->text, 0, file->bytes))
		snprintf(err, err_bytes, "%s has a NUL byte: no chip file", file->path);
	else
		*err = 0;
	fclose(stream);
	if (*err)
		return -1;
	file->text[file->bytes] = 0;
	return 0;
}

void chip_file_free(struct chip_file *file)
{
	free(file->text);
	file->text = NULL;
}

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* Line "name = ..." or "[name]"; @end is the character behind the name. */
static bool names(const char *at, const char *name, size_t length, char end)
{
	return !strncmp(at, name, length) && *skip_blanks(at + length) == end;
}

/* The line of a key; NULL if the file has none. */
static const char *find_line(const char *text, const char *section, size_t section_length,
			     const char *key, size_t key_length)
{
	bool inside = false;
	const char *line;

	for (line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		const char *at = skip_blanks(line);

		if (*at == '[')
			inside = names(at + 1, section, section_length, ']');
		else if (inside && names(at, key, key_length, '='))
			return line;
	}
	return NULL;
}

int chip_file_set(struct chip_file *file, const char *assignment, char *err, size_t err_bytes)
{
	const char *point = strchr(assignment, '.'), *equals = strchr(assignment, '=');
	const char *line, *rest, *value;
	size_t key_length;
	char *text;
	int bytes;

	if (!point || !equals || point > equals || point == assignment || equals == point + 1 ||
	    !equals[1] || strpbrk(assignment, "\n;[]")) {
		snprintf(err, err_bytes, "\"%.60s\": expected section.key=value, such as energy.adc=2",
			 assignment);
		return -EINVAL;
	}
	key_length = equals - point - 1;
	value = equals + 1;
	line = find_line(file->text, assignment, point - assignment, point + 1, key_length);
	if (!line) {
		snprintf(err, err_bytes, "chip file %s has no key %.*s in section [%.*s]",
			 file->path, (int)key_length, point + 1, (int)(point - assignment),
			 assignment);
		return -ENOENT;
	}
	rest = strchrnul(line, '\n');
	bytes = asprintf(&text, "%.*s%.*s = %s%s", (int)(line - file->text), file->text,
			 (int)key_length, point + 1, value, rest);
	if (bytes < 0) {
		snprintf(err, err_bytes, "no memory for chip file %s", file->path);
		return -ENOMEM;
	}
	free(file->text);
	file->text = text;
	file->bytes = bytes;
	return 0;
}
