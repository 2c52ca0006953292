// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text files that appear, or replace older ones, only when they are complete.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mxrun.h"

static char *part_of(const char *path)
{
	char *part;

	if (asprintf(&part, "%s.part", path) < 0)
		return NULL;
	return part;
}

FILE *output_open(const char *path)
{
	char *part = part_of(path);
	FILE *file = part ? fopen(part, "w") : NULL;

	free(part);
	return file;
}

int output_close(FILE *file, const char *path, int err)
{
	char *part = part_of(path);

	if (!part)
		err = -ENOMEM;
	if (ferror(file) && !err)
		err = -EIO;
	if (fclose(file) && !err)
		err = -errno;
	if (!err && rename(part, path))
		err = -errno;
	if (err && part)
		unlink(part);
	free(part);
	return err;
}
