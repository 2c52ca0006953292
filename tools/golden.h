/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The chip that an image is mapped for: its file, whether the model fits, and
 * a job run on its model so that the image carries a known answer.
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "chip.h"
#include "image_writer.h"

/**
 * target_read() - read a chip file
 * @name:	name, looked for in $MXACCEL_CHIP_DIR or the installed folder; or a
 *		path, which has a slash in it or ends in ".ini"
 *
 * Return: 0 or -1 after mxmap_fail().
 */
int target_read(const char *name, struct mx_chip_config *config);

/**
 * golden_make() - program a chip in this process and run a fixed job on it
 * @config:	chip
 * @content:	content id of the model
 * @model:	MODEL section
 * @model_bytes: its length
 * @params:	PARAMS section
 * @golden:	out: the GOLDEN section; free() it
 * @bytes:	out: its length
 *
 * Return: 0 or -1 after mxmap_fail().
 */
int golden_make(const struct mx_chip_config *config, const uint8_t content[32],
		const struct mxaccel_model *model, uint64_t model_bytes, const void *params,
		struct mxaccel_golden **golden, size_t *bytes);

#endif /* GOLDEN_H */
