/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mxmap: what its parts share, messages above all.
 */
#ifndef MXMAP_H
#define MXMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MXMAP_VERSION "0.1.0"
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Images are written as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "host must be little-endian");

/* Prints "mxmap: sentence" on stderr, in a line of its own. Is -1, for the caller to return. */
#define mxmap_fail(...) (mxmap_error(__VA_ARGS__), -1)
void mxmap_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "mxmap: warning: ", for what does not stop the work */
void mxmap_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline int mxmap_no_memory(void)
{
	return mxmap_fail("out of memory");
}

/* How far the work is, on stderr: overwritten in place on a terminal, else a line per step. */
void mxmap_progress(unsigned int done, unsigned int total, const char *step);
void mxmap_progress_end(void);

/* Path of a file in a folder; free() it. NULL after mxmap_no_memory(). */
char *mxmap_path(const char *folder, const char *file);

/**
 * mxmap_read_file() - a whole file
 * @path:	file
 * @max:	bytes above which it is refused
 * @bytes:	out: its length; a NUL follows it that is not counted
 *
 * Return: free() it. NULL: if the file does not exist, errno is ENOENT and
 * nothing was printed; else after mxmap_fail().
 */
char *mxmap_read_file(const char *path, size_t max, size_t *bytes);

#endif /* MXMAP_H */
