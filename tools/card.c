// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Model card of an image.
 */
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "card.h"
#include "mxmap.h"
#include "place_report.h"

#define MAX_README (16u << 20)

char *card_folder_name(const char *folder)
{
	char *path = realpath(folder, NULL), *name = NULL;

	if (path)
		name = strdup(basename(path));
	free(path);
	return name;
}

static bool is_utf8(const char *text)
{
	while (*text) {
		utf8proc_int32_t c;
		utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &c);

		if (used < 1)
			return false;
		text += used;
	}
	return true;
}

/* A copy of a line without the white space and quotes around it, or NULL if nothing is left */
static char *trimmed(const char *line, size_t bytes)
{
	while (bytes && strchr(" \t\r\"'", line[bytes - 1]))
		bytes--;
	while (bytes && strchr(" \t\"'", *line)) {
		line++;
		bytes--;
	}
	return bytes ? strndup(line, bytes) : NULL;
}

/* "license:" in the block between two lines "---" at the start of a README.md */
static char *license_of_readme(const char *text)
{
	const char *line = text, *end;
	bool inside = false;

	for (; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		if (!strncmp(line, "---", 3)) {
			if (inside)
				return NULL;
			inside = true;
		} else if (!inside) {
			return NULL;
		} else if (!strncmp(line, "license:", 8)) {
			return trimmed(line + 8, end - line - 8);
		}
	}
	return NULL;
}

/* The first line of a LICENSE that has something on it */
static char *first_line(const char *text)
{
	const char *line = text, *end;
	char *found = NULL;

	for (; *line && !found; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		found = trimmed(line, end - line);
	}
	return found;
}

/* What the folder says about the model's licence, or NULL */
static char *find_license(const char *folder)
{
	static const char * const files[] = { "README.md", "LICENSE", "LICENSE.txt", "LICENSE.md" };
	char *license = NULL;
	size_t i, bytes;

	for (i = 0; i < ARRAY_SIZE(files) && !license; i++) {
		char *path = mxmap_path(folder, files[i]);
		char *text = path ? mxmap_read_file(path, MAX_README, &bytes) : NULL;

		if (text && is_utf8(text))
			license = i ? first_line(text) : license_of_readme(text);
		free(text);
		free(path);
	}
	return license;
}

char *card_make(const char *folder, const char *name, const char *chip,
		const struct hf_config *config, const struct plan *plan,
		const struct quantise_report *report, const json_t *placement)
{
	char *source = card_folder_name(folder), *license = find_license(folder), *text = NULL;
	json_t *card;

	card = json_pack("{s:s, s:s?, s:s?, s:s, s:s, s:I, s:O, s:o, s:{s:s, s:f, s:f, s:f, s:s}}",
			 "name", name,
			 "source", source && is_utf8(source) ? source : NULL,
			 "license", license,
			 "chip", chip,
			 "builder", "mxmap " MXMAP_VERSION,
			 "parameters", (json_int_t)plan->parameters,
			 "config", config->json,
			 "placement", place_summary(placement),
			 "quantisation",
			 "weights", "INT8, symmetric, a scale per output channel or table row",
			 "relative_error", quantise_relative(&report->matrices),
			 "relative_error_embeddings", quantise_relative(&report->tables),
			 "relative_error_worst", report->worst,
			 "worst", report->worst_name);
	if (card)
		text = json_dumps(card, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(6));
	json_decref(card);
	free(source);
	free(license);
	if (!text)
		mxmap_error("cannot make the model card");
	return text;
}
