/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside the runtime: handles, and what a backend does for them.
 */
#ifndef MXRT_INTERNAL_H
#define MXRT_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mxaccel_hw.h"
#include "mxaccel_image.h"
#include "mxrt.h"

/* Images, ids and results are used in place. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "host must be little-endian");

#ifndef __printf
#define __printf(text, first) __attribute__((format(printf, text, first)))
#endif
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* -------------------------------------------------------------- error.c */

/* Sets the sentence of mxrt_last_error(). Return: @err, a negative errno. */
__printf(2, 3) int mxrt_fail(int err, const char *format, ...);

/* Negative errno of a chip status; -EIO for one this library does not know. */
int mxrt_status_error(unsigned int status);

/* -------------------------------------------------------------- sized.c */

/*
 * Copies a caller's size-first struct into ours of @known bytes, missing
 * fields as zero. @params may be NULL. Return: 0, -EINVAL, -E2BIG.
 */
int mxrt_params_get(void *ours, uint32_t known, const void *params, const char *what);

/* Copies our info struct out, as much as the caller has room for, and sets its size. */
int mxrt_info_put(void *info, const void *ours, uint32_t known, const char *what);

/* Nanoseconds of CLOCK_MONOTONIC */
uint64_t mxrt_now_ns(void);

/* ------------------------------------------------------------ internals */

struct mxrt_tokenizer;
struct mxrt_backend;

/**
 * struct mxrt_device - what every backend has; a backend embeds it first
 * @refs:	the user's handle, models, buffers and the queue
 * @lock:	protects @uses and @has_queue; held while a model is loaded or given up
 * @infer_lock:	held during mxrt_infer()
 * @uses:	models in use through this handle
 */
struct mxrt_device {
	const struct mxrt_backend *backend;
	atomic_uint refs;
	pthread_mutex_t lock;
	pthread_mutex_t infer_lock;
	struct mxrt_use *uses;
	bool has_queue;
	uint32_t queue_depth;
	uint64_t max_io_bytes;
	char name[96];
};

/**
 * struct mxrt_use - a model that a device handle uses, shared by its mxrt_models
 * @on_queue:	the backend made it usable for the queue, too
 */
struct mxrt_use {
	struct mxrt_use *next;
	unsigned int users;
	uint32_t id;
	uint8_t content[32];
	bool on_queue;
};

struct mxrt_image {
	const uint8_t *data;
	size_t bytes;
	bool mapped;			/* @data came from mmap() */
	atomic_bool verified;		/* PARAMS match their digest; the one field that changes */
	const struct mxaccel_image *header;
	const struct mxaccel_section *section[MXACCEL_SEC_GOLDEN + 1];	/* by kind, or NULL */
	const struct mxaccel_model *model;
	const struct mxaccel_entry *entry;
	uint32_t *token_end;		/* end of each token's text in VOCAB */
	uint32_t nr_tokens;
	struct mxrt_tokenizer *tokenizer;
	char name[64];			/* for messages: last part of the path */
};

static inline const void *mxrt_section_data(const struct mxrt_image *image, unsigned int kind)
{
	return image->data + image->section[kind]->offset;
}

/* SHA-256 of each chunk of PARAMS, 32 bytes each; NULL if the image has none. */
static inline const uint8_t *mxrt_image_chunks(const struct mxrt_image *image)
{
	const struct mxaccel_section *chunks = image->section[MXACCEL_SEC_CHUNKS];
	uint64_t params = image->section[MXACCEL_SEC_PARAMS]->bytes;

	if (!chunks || chunks->bytes != (params + MXACCEL_CHUNK - 1) / MXACCEL_CHUNK * 32)
		return NULL;
	return mxrt_section_data(image, MXACCEL_SEC_CHUNKS);
}

/* "MATMUL", "MATMUL_DYN QK" */
const char *mxrt_op_name(const struct mxaccel_op *op);

/* Tells the kernel that a part of a mapped image will not be read again soon. */
void mxrt_image_forget(const struct mxrt_image *image, const void *from, size_t bytes);

/**
 * struct mxrt_loaded - what loading a model took
 * @programmed:	it was not resident
 * @bytes:	sent to the chip
 * @reused:	chunks of other models that were taken over
 */
struct mxrt_loaded {
	bool programmed;
	uint64_t bytes;
	uint32_t reused;
};

struct mxrt_model {
	struct mxrt_device *dev;
	struct mxrt_use *use;
	struct mxrt_loaded loaded;
	uint8_t content[32];
	char name[48];
	uint32_t vocab;
	uint32_t max_tokens;
	uint32_t nr_entries;
	struct mxaccel_entry entry[];
};

struct mxrt_buffer {
	struct mxrt_device *dev;
	void *ptr;
	size_t bytes;
	unsigned int access;
	bool wrapped;
	uint32_t handle;
};

/**
 * struct mxrt_queue - what every backend has; a backend embeds it first
 * @fd:		for poll(); closed by the backend
 * @ids:	jobs in flight, oldest first
 */
struct mxrt_queue {
	struct mxrt_device *dev;
	int fd;
	uint32_t depth;
	uint32_t in_flight;
	uint64_t *ids;
};

/**
 * struct mxrt_run - a blocking inference, split by the backend
 * @in_seq:	bytes of ids per sequence
 * @out_seq:	bytes of result per sequence
 * @deadline_ns: on mxrt_now_ns()'s clock; 0: none
 * @status:	out: of the chip, 0 if it was not at fault
 * @field:	out: offset of the offending field in the chip's entry
 * @detail:	out: mxaccel_cqe.result of the job that failed
 * @first_seq:	out: first sequence of the job that failed
 * @cycles:	out: sum over the jobs
 * @jobs:	out
 */
struct mxrt_run {
	const struct mxrt_model *model;
	uint32_t entry;
	uint32_t tokens;
	size_t nr_seq;
	const uint8_t *ids;
	uint8_t *out;
	uint64_t in_seq;
	uint64_t out_seq;
	uint64_t deadline_ns;

	uint16_t status;
	uint16_t field;
	uint64_t detail;
	size_t first_seq;
	uint64_t cycles;
	uint32_t jobs;
};

/* Checks the parameters, but for the room for the result, and turns them into a run. */
int mxrt_run_prepare(struct mxrt_model *model, const struct mxrt_infer_params *params,
		     uint64_t start, struct mxrt_run *run, size_t *out_bytes);
/* Takes the device's infer_lock before the run's deadline. */
int mxrt_run_lock(const struct mxrt_run *run);
/* The sentence for a job that the chip ended with an error */
int mxrt_run_explain(const struct mxrt_run *run, int err);

/* Sequences that fit a job of at most @max_bytes each way, at least 1, at most @left */
uint32_t mxrt_run_batch(const struct mxrt_run *run, size_t left, uint64_t max_bytes);

/**
 * struct mxrt_backend - how a kind of device is driven
 *
 * All return 0 or a negative errno and set the last error on failure.
 *
 * @close:	frees the device
 * @query:	fills all but @size and @name
 * @identify:	reads the chip's description
 * @health:	reads wear and faults of the chip; -EOPNOTSUPP without a sentence
 * @load:	makes a model resident and usable: use->id, *loaded, which is zero
 * @unload:	gives up the use
 * @models:	as mxrt_models()
 * @model_delete: as mxrt_model_delete()
 * @refresh:	as mxrt_refresh()
 * @set_age:	as mxrt_set_age(); NULL: nobody but time can
 * @counters:	*count is room at @values, then the counters there are
 * @infer:	runs it; the caller holds infer_lock. An error with run->status
 *		set gets its sentence from the caller.
 * @schedule:	writes the schedule of one job, as many of *@count spans as there are,
 *		and sets *@count to their number; else as @infer
 * @buf_create:	sets ptr (unless wrapped) and handle
 * @queue_create: allocates the queue with fd; the rest is filled by the caller; flags
 *		are MXRT_QUEUE_*
 * @queue_door:	as mxrt_queue_door()
 * @queue_destroy: waits for the jobs, frees the queue
 */
struct mxrt_backend {
	const char *name;
	void (*close)(struct mxrt_device *dev);
	int (*query)(struct mxrt_device *dev, struct mxrt_device_info *info);
	int (*identify)(struct mxrt_device *dev, struct mxaccel_identify *page);
	int (*health)(struct mxrt_device *dev, struct mxaccel_health *page);
	int (*load)(struct mxrt_device *dev, const struct mxrt_image *image, uint32_t flags,
		    struct mxrt_use *use, struct mxrt_loaded *loaded);
	void (*unload)(struct mxrt_device *dev, struct mxrt_use *use);
	int (*models)(struct mxrt_device *dev, struct mxrt_resident *list, size_t *count);
	int (*model_delete)(struct mxrt_device *dev, uint32_t id);
	int (*refresh)(struct mxrt_device *dev, uint32_t id);
	int (*set_age)(struct mxrt_device *dev, uint32_t seconds);
	int (*counters)(struct mxrt_device *dev, unsigned int scope, uint32_t model,
			__u64 *values, uint32_t *count);
	int (*infer)(struct mxrt_device *dev, struct mxrt_run *run);
	int (*schedule)(struct mxrt_device *dev, struct mxrt_run *run, struct mxaccel_span *spans,
			size_t *count);
	int (*buf_create)(struct mxrt_buffer *buf);
	void (*buf_destroy)(struct mxrt_buffer *buf);
	int (*queue_create)(struct mxrt_device *dev, uint32_t depth, uint32_t flags,
			    struct mxrt_queue **out);
	const char *(*queue_door)(const struct mxrt_queue *queue);
	void (*queue_destroy)(struct mxrt_queue *queue);
	int (*submit)(struct mxrt_queue *queue, const struct mxrt_job *job,
		      uint32_t in_bytes, uint32_t out_bytes, uint64_t *id);
	int (*reap)(struct mxrt_queue *queue, struct mxrt_completion *list, size_t max,
		    int timeout_ms);
	int (*cancel)(struct mxrt_queue *queue, uint64_t id);
};

int mxrt_node_open(const char *path, struct mxrt_device **out);
int mxrt_sim_open(const char *name, const struct mxrt_open_params *params,
		  struct mxrt_device **out);

/* Fills what every backend has; the one reference is the caller's. */
int mxrt_device_init(struct mxrt_device *dev, const struct mxrt_backend *backend,
		     const char *name);
void mxrt_device_get(struct mxrt_device *dev);
void mxrt_device_put(struct mxrt_device *dev);

void mxrt_resident_fill(struct mxrt_resident *to, const struct mxaccel_model_info *from);

/* Sentence for a refused mxrt_refresh(). Return: @err. */
int mxrt_refresh_refused(struct mxrt_device *dev, uint32_t id, int err);

/* Sentence and errno for a refused load. */
int mxrt_load_refused(struct mxrt_device *dev, const struct mxrt_image *image,
		      unsigned int status);

#endif /* MXRT_INTERNAL_H */
