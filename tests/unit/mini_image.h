/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A complete model image around the sample model, for tests of the runtime.
 */
#ifndef MINI_IMAGE_H
#define MINI_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "mxaccel_image.h"

#define MINI_UNKNOWN_SECTION	0x7777	/* a kind of the far future, which readers skip */
#define MINI_NR_SECTIONS	8

/**
 * struct mini_image - an image file in memory, page-aligned
 */
struct mini_image {
	uint8_t *data;
	size_t bytes;
};

/*
 * Makes the image; @variant changes its content, @extra_params adds so many
 * bytes of unused weights. Ends the program if it cannot.
 */
struct mini_image mini_image_make(uint8_t variant, uint64_t extra_params);
void mini_image_free(struct mini_image *image);

struct mxaccel_image *mini_image_header(struct mini_image *image);
/* Section of a kind; ends the program if there is none. */
struct mxaccel_section *mini_image_section(struct mini_image *image, uint32_t kind);
void *mini_image_data(struct mini_image *image, uint32_t kind);

/* Makes the header's CRC right again. */
void mini_image_seal_header(struct mini_image *image);
/* Makes digests, content id and CRC right again after any change. */
void mini_image_seal(struct mini_image *image);

/* Writes it to a file; ends the program if it cannot. */
void mini_image_write(const struct mini_image *image, const char *path);

#endif /* MINI_IMAGE_H */
