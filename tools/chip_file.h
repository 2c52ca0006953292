/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Chip files as tools read them: found by name, with keys replaced on the way.
 */
#ifndef CHIP_FILE_H
#define CHIP_FILE_H

#include <stddef.h>

#include "chip.h"

/**
 * struct chip_file - a chip file in memory
 * @path:	where it was found
 * @name:	of the chip: its file's name without folder and ".ini"
 * @text:	contents, keys replaced; NUL-terminated
 * @bytes:	length of @text
 */
struct chip_file {
	char path[4096];
	char name[sizeof(((struct mx_chip_config *)NULL)->name)];
	char *text;
	size_t bytes;
};

/**
 * chip_file_read() - find and read a chip file
 * @name:	name, looked for in $MXACCEL_CHIP_DIR or the installed folder; or a
 *		path, which has a slash in it or ends in ".ini"
 * @err:	on failure: a sentence
 *
 * Return: 0, or -1. chip_file_free() in both cases.
 */
int chip_file_read(struct chip_file *file, const char *name, char *err, size_t err_bytes);
void chip_file_free(struct chip_file *file);

/**
 * chip_file_set() - replace the value of a key
 * @assignment:	"section.key=value"; the file must have that key
 *
 * Nothing but the syntax is checked here: mx_chip_config_parse() on the new text
 * judges the value. Return: 0; or with a sentence in @err -EINVAL, -ENOENT if the file has
 * no such key, or -ENOMEM.
 */
int chip_file_set(struct chip_file *file, const char *assignment, char *err, size_t err_bytes);

#endif /* CHIP_FILE_H */
