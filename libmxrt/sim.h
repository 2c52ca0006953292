/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside the "sim:" backend: what its files share.
 */
#ifndef MXRT_SIM_H
#define MXRT_SIM_H

#include "chip.h"
#include "internal.h"

#define SIM_QUEUE_DEPTH 1024	/* jobs waiting for mxrt_reap() take memory only */

struct sim_device {
	struct mxrt_device base;
	struct mx_chip *chip;
	struct mx_chip_config config;
	atomic_uint age;		/* that the chip has when its first job runs; then 0 */
};

/**
 * struct sim_io - a job with the host memory it works on
 * @deadline_ns: on mxrt_now_ns()'s clock; 0: none
 */
struct sim_io {
	struct mx_job job;
	const uint8_t *in;
	uint8_t *out;
	uint64_t deadline_ns;
};

int mxrt_sim_load(struct mxrt_device *dev, const struct mxrt_image *image, uint32_t flags,
		  struct mxrt_use *use, struct mxrt_loaded *loaded);

/* Runs a job to its end on the calling thread and the chip's pool. */
void mxrt_sim_run(struct mxrt_device *dev, struct sim_io *io);

/*
 * Takes "sim:CHIP[,option=value...]" apart, reads the chip file, fills
 * @config and the options' part of @chip.
 */
int mxrt_sim_options(const char *name, const struct mxrt_open_params *params,
		     struct mx_chip_config *config, struct mx_chip_params *chip);

/* The op_step of a chip whose op_opaque is a struct mxrt_watch */
void mxrt_sim_watch(void *opaque, const struct mxaccel_op *op, bool done);

int mxrt_sim_queue_create(struct mxrt_device *dev, uint32_t depth, uint32_t flags,
			  struct mxrt_queue **out);
const char *mxrt_sim_queue_door(const struct mxrt_queue *queue);
void mxrt_sim_queue_destroy(struct mxrt_queue *queue);
int mxrt_sim_submit(struct mxrt_queue *queue, const struct mxrt_job *job, uint32_t in_bytes,
		    uint32_t out_bytes, uint64_t *id);
int mxrt_sim_reap(struct mxrt_queue *queue, struct mxrt_completion *list, size_t max,
		  int timeout_ms);
int mxrt_sim_cancel(struct mxrt_queue *queue, uint64_t id);

#endif /* MXRT_SIM_H */
