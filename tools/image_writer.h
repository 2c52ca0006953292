/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writer of model images (.mxw). Sections are streamed, digests come along;
 * the file appears under its name when it is whole, or not at all.
 */
#ifndef IMAGE_WRITER_H
#define IMAGE_WRITER_H

#include <stddef.h>

#include "mxaccel_image.h"

struct image_writer;

/* Return: the writer, or NULL after mxmap_fail(). */
struct image_writer *image_create(const char *path);

/* Starts a section at the next page boundary. */
int image_begin(struct image_writer *writer, uint32_t kind);
int image_write(struct image_writer *writer, const void *data, size_t bytes);
/* Ends the section. Return: its entry in the table, or NULL after mxmap_fail(). */
const struct mxaccel_section *image_end(struct image_writer *writer);

/* Forgets all sections: the file begins anew. */
void image_rewind(struct image_writer *writer);

/* A whole section. Return: 0 or -1 after mxmap_fail(). */
int image_section(struct image_writer *writer, uint32_t kind, const void *data, size_t bytes);

/* Digests of the chunks of the section that was ended last, MXACCEL_CHUNK each. */
int image_copy_chunks(const struct image_writer *writer, void **digests, size_t *bytes);

/* An ended section as it is in the file; munmap() it. NULL after mxmap_fail(). */
const void *image_map(struct image_writer *writer, const struct mxaccel_section *section);

/**
 * image_commit() - write the header, make the file durable, give it its name
 * @header:	@name, @chip, @builder and @content are the caller's
 *
 * The writer is gone afterwards, as after image_abort(). Return: 0 or -1
 * after mxmap_fail().
 */
int image_commit(struct image_writer *writer, struct mxaccel_image *header);

/* Leaves nothing behind. NULL is fine. */
void image_abort(struct image_writer *writer);

#endif /* IMAGE_WRITER_H */
