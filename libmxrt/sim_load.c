// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Loading into a "sim:" device. Only those chunks of the parameters are
 * programmed that no resident model has.
 */
#include <stdlib.h>

#include "sim.h"

#define PROG_PIECE	((uint64_t)8 << 20)	/* programmed, then dropped from the page cache's map */

/**
 * struct sim_prog - a programming under way
 * @params_at:	where PARAMS begins in it
 * @taken:	bitmap of the chunks of PARAMS that the chip has
 */
struct sim_prog {
	struct mx_chip *chip;
	const struct mxrt_image *image;
	struct mxrt_loaded *loaded;
	uint32_t handle;
	uint64_t params_at;
	uint64_t chunks;
	uint8_t *taken;
};

static uint16_t write_bytes(struct sim_prog *prog, uint64_t offset, const uint8_t *data,
			    uint64_t bytes)
{
	uint64_t done, piece;
	uint16_t status;

	for (done = 0; done < bytes; done += piece) {
		piece = bytes - done < PROG_PIECE ? bytes - done : PROG_PIECE;
		status = mx_chip_prog_write(prog->chip, prog->handle, offset + done, data + done,
					    piece);
		if (status)
			return status;
		mxrt_image_forget(prog->image, data + done, piece);
		prog->loaded->bytes += piece;
	}
	return MXACCEL_ST_SUCCESS;
}

static bool is_taken(const struct sim_prog *prog, uint64_t chunk)
{
	return prog->taken[chunk / 8] >> chunk % 8 & 1;
}

/* Writes each run of chunks that are missing. */
static uint16_t write_params(struct sim_prog *prog)
{
	const uint8_t *data = mxrt_section_data(prog->image, MXACCEL_SEC_PARAMS);
	uint64_t all = prog->image->section[MXACCEL_SEC_PARAMS]->bytes;
	uint64_t first, end, from, to;
	uint16_t status;

	for (first = 0; first < prog->chunks; first = end) {
		end = first + 1;
		if (is_taken(prog, first)) {
			prog->loaded->reused++;
			continue;
		}
		while (end < prog->chunks && !is_taken(prog, end))
			end++;
		from = first * MXACCEL_CHUNK;
		to = end * MXACCEL_CHUNK < all ? end * MXACCEL_CHUNK : all;
		status = write_bytes(prog, prog->params_at + from, data + from, to - from);
		if (status)
			return status;
	}
	return MXACCEL_ST_SUCCESS;
}

static uint16_t reuse(struct sim_prog *prog)
{
	const uint8_t *digests = mxrt_image_chunks(prog->image);
	uint16_t status = MXACCEL_ST_SUCCESS;
	uint64_t first;
	uint32_t nr;

	for (first = 0; digests && !status && first < prog->chunks; first += nr) {
		nr = prog->chunks - first < MXACCEL_REUSE_MAX ? prog->chunks - first :
		     MXACCEL_REUSE_MAX;
		status = mx_chip_prog_reuse(prog->chip, prog->handle, first, nr,
					    (const uint8_t (*)[32])(digests + first * 32),
					    prog->taken + first / 8);
	}
	return status;
}

/* Programs MODEL and PARAMS. Return: status of the chip. */
static uint16_t program(struct sim_prog *prog, uint32_t *id)
{
	const struct mxaccel_section *model = prog->image->section[MXACCEL_SEC_MODEL];
	uint16_t status;

	prog->params_at = (model->bytes + MXACCEL_PAGE - 1) & ~(uint64_t)(MXACCEL_PAGE - 1);
	prog->chunks = (prog->image->section[MXACCEL_SEC_PARAMS]->bytes + MXACCEL_CHUNK - 1) /
		       MXACCEL_CHUNK;
	prog->taken = calloc(prog->chunks / 8 + 1, 1);
	status = prog->taken ? reuse(prog) : MXACCEL_ST_NO_MEMORY;
	if (!status)
		status = write_bytes(prog, 0, mxrt_section_data(prog->image, MXACCEL_SEC_MODEL),
				     model->bytes);
	if (!status)
		status = write_params(prog);
	free(prog->taken);
	if (status) {
		mx_chip_prog_abort(prog->chip, prog->handle);
		return status;
	}
	return mx_chip_prog_commit(prog->chip, prog->handle, id);
}

int mxrt_sim_load(struct mxrt_device *dev, const struct mxrt_image *image, uint32_t flags,
		  struct mxrt_use *use, struct mxrt_loaded *loaded)
{
	struct sim_prog prog = {
		.chip = ((struct sim_device *)dev)->chip,
		.image = image,
		.loaded = loaded,
	};
	uint16_t status;
	uint32_t id;

	if (flags & MXRT_LOAD_RESIDENT && mx_chip_model_find(prog.chip, use->content, &id))
		return mxrt_fail(-ENOENT, "model image %s is not resident in %s", image->name,
				 dev->name);
	status = mx_chip_prog_begin(prog.chip, use->content,
				    image->section[MXACCEL_SEC_MODEL]->bytes,
				    image->section[MXACCEL_SEC_PARAMS]->bytes, &id);
	if (status == MXACCEL_ST_RESIDENT) {
		use->id = id;
		return 0;
	}
	prog.handle = id;
	if (status == MXACCEL_ST_SUCCESS)
		status = program(&prog, &use->id);
	if (status)
		return mxrt_load_refused(dev, image, status);
	loaded->programmed = true;
	return 0;
}
