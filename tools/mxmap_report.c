// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * mxmap: messages, progress, and reading of small files.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mxmap.h"

static bool line_open;	/* a progress line on the terminal waits to be overwritten */

static void report(const char *prefix, const char *format, va_list args)
{
	mxmap_progress_end();
	fputs(prefix, stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void mxmap_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report("mxmap: ", format, args);
	va_end(args);
}

void mxmap_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report("mxmap: warning: ", format, args);
	va_end(args);
}

void mxmap_progress(unsigned int done, unsigned int total, const char *step)
{
	if (isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r\033[K%3u %% %s", 100 * done / total, step);
		line_open = true;
	} else {
		fprintf(stderr, "[%u/%u] %s\n", done, total, step);
	}
	fflush(stderr);
}

void mxmap_progress_end(void)
{
	if (line_open)
		fputs("\r\033[K", stderr);
	line_open = false;
}

char *mxmap_path(const char *folder, const char *file)
{
	char *path;

	if (asprintf(&path, "%s/%s", folder, file) < 0) {
		mxmap_no_memory();
		return NULL;
	}
	return path;
}

char *mxmap_read_file(const char *path, size_t max, size_t *bytes)
{
	FILE *file = fopen(path, "re");
	char *data = NULL;
	struct stat st;

	if (!file) {
		if (errno != ENOENT)
			mxmap_error("cannot open %s: %s", path, strerror(errno));
		return NULL;
	}
	if (fstat(fileno(file), &st)) {
		mxmap_error("cannot read %s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		mxmap_error("%s is not a file", path);
	} else if (st.st_size < 0 || (uintmax_t)st.st_size > max) {
		mxmap_error("%s has %jd bytes, more than the %zu that make sense", path,
			   (intmax_t)st.st_size, max);
	} else {
		*bytes = st.st_size;
		data = malloc(*bytes + 1);
		if (!data) {
			mxmap_no_memory();
		} else if (fread(data, 1, *bytes, file) != *bytes) {
			mxmap_error("cannot read %s: %s", path,
				   ferror(file) ? strerror(errno) : "it became shorter");
			free(data);
			data = NULL;
		} else {
			data[*bytes] = 0;
		}
	}
	fclose(file);
	if (!data)
		errno = EIO;
	return data;
}
