/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The chip model: what MX1 does with models and jobs, whoever hosts it. The
 * QEMU device and the runtime's "sim:" backend are its two hosts.
 *
 * Knows nothing of PCIe, queues, contexts, files or the operating system
 * beyond memory and threads. Results depend on image, input and chip file
 * only: not on threads, instruction set or batch composition.
 *
 * Status values are enum mxaccel_status; all sizes are in bytes.
 */
#ifndef MX_CHIP_H
#define MX_CHIP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chip_config.h"
#include "mxaccel_hw.h"
#include "mxaccel_image.h"

/* ---------------------------------------------------------- chip files */

/**
 * mx_chip_config_parse() - read a chip file
 * @config:	filled on success
 * @name:	name of the chip, for reports
 * @text:	contents of the file, need not be NUL-terminated
 * @bytes:	their length
 * @err:	on failure: a sentence with the line
 * @err_bytes:	room at @err
 *
 * Every key must be there exactly once; unknown keys, wrong types and
 * impossible geometries are errors. Return: 0 or -EINVAL.
 */
int mx_chip_config_parse(struct mx_chip_config *config, const char *name,
			 const char *text, size_t bytes, char *err, size_t err_bytes);

/*
 * Storage for models: the LARGE crossbars, without banks that hold
 * intermediates and without the chunks held back to replace worn ones.
 */
uint64_t mx_chip_capacity(const struct mx_chip_config *config);
/* Storage for intermediates (regions). */
uint64_t mx_chip_act_bytes(const struct mx_chip_config *config);
/* Groups of arrays, over all chips of a traditional system; 0 for synergy. */
uint64_t mx_chip_groups(const struct mx_chip_config *config);
/* Cells, or pairs of them, of an INT8 weight, with the copies of its redundant slices. */
uint32_t mx_chip_weight_cells(const struct mx_chip_config *config);
/* INT8 weights that one array holds: rows * cols / (cells of a weight); 0 for synergy. */
uint64_t mx_chip_array_weights(const struct mx_chip_config *config);
/* Cells, or differential pairs of them, that hold an INT8 weight; not for synergy. */
uint32_t mx_chip_slices(const struct mx_chip_config *config);
/*
 * Fills the fields step_* of a header, nr_steps left out, with the chip's geometry, for
 * steps that were made on it; not for synergy.
 */
void mx_model_steps_geometry(const struct mx_chip_config *config, struct mxaccel_model *head);
/* Size of the non-volatile area that mx_chip_new() takes: directory, wear, storage. */
uint64_t mx_chip_nv_bytes(const struct mx_chip_config *config);

/* ------------------------------------------------------------- the chip */

enum mx_isa {
	MX_ISA_AUTO,		/* best that the host has */
	MX_ISA_PORTABLE,
	MX_ISA_AVX2,
	MX_ISA_AVX512,		/* with VNNI */
};

/* "auto", "portable", "avx2", "avx512"; returns -1 for anything else */
int mx_isa_from_name(const char *name);
const char *mx_isa_name(enum mx_isa isa);
bool mx_isa_available(enum mx_isa isa);

enum mx_fidelity {
	MX_EXACT,	/* exact INT8 products */
	MX_ANALOG,	/* stationary products as the crossbars compute them: analog.h */
};

struct mx_profile;	/* profile.h */

/* 31 years */
#define MX_MAX_AGE 1000000000

/* "exact", "analog"; returns -1 for anything else */
int mx_fidelity_from_name(const char *name);

/**
 * struct mx_chip_params - how to host a chip
 * @threads:	worker threads for jobs, 1 .. 64; 0: one per online CPU
 * @isa:	instruction set of the kernels; the bits do not depend on it
 * @seed:	serial number of the chip
 * @fidelity:	how stationary products are computed
 * @age:	what the chip's clock shall show, see mx_chip_set_age(); 0: what it showed when
 *		the power went, 0 of a new chip
 * @nv_fd:	file of mx_chip_nv_bytes() that is the non-volatile area, all zero for
 *		a new chip; stays the caller's. Only looked at if there is @persist
 * @persist:	makes a range of the area durable before it returns; NULL if nothing
 *		is kept: the chip then has memory of its own for it. Returns 0 or
 *		-errno. Called with no lock that the other mx_chip_*() calls of a
 *		job need.
 * @opaque:	for @persist
 * @op_step:	called before and after each macro-op of a job, on the thread that
 *		runs the job; NULL if nobody watches. It sees what the job has to
 *		do, for profiles; it cannot change anything.
 * @profile:	called before each MATMUL of a job, with its place among the model's ops:
 *		where to note what it sees, or NULL. It changes no result. NULL if
 *		nobody calibrates.
 * @op_opaque:	for @op_step and @profile
 */
struct mx_chip_params {
	uint32_t threads;
	enum mx_isa isa;
	uint64_t seed;
	enum mx_fidelity fidelity;
	uint32_t age;
	int nv_fd;
	int (*persist)(void *opaque, uint64_t offset, uint64_t bytes);
	void *opaque;
	void (*op_step)(void *opaque, const struct mxaccel_op *op, bool done);
	struct mx_profile *(*profile)(void *opaque, uint32_t op);
	void *op_opaque;
};

struct mx_chip;

/**
 * mx_chip_new() - power a chip on
 *
 * Takes over the models that the non-volatile area holds; an area of another
 * chip, or one whose directory is damaged beyond both of its copies, is
 * refused. Return: the chip, or NULL with a sentence in @err.
 */
struct mx_chip *mx_chip_new(const struct mx_chip_config *config,
			    const struct mx_chip_params *params, char *err, size_t err_bytes);

/* Power off. No call may be under way. The non-volatile area stays as it is. */
void mx_chip_free(struct mx_chip *chip);

const struct mx_chip_config *mx_chip_config(const struct mx_chip *chip);
enum mx_isa mx_chip_isa(const struct mx_chip *chip);
void mx_chip_identify(struct mx_chip *chip, struct mxaccel_identify *page);
/*
 * Models that the non-volatile area named at power-on but that were damaged.
 * They are not offered; their cells are free. The host may want to tell.
 */
uint32_t mx_chip_dropped_models(const struct mx_chip *chip);

/* ------------------------------------------------------------- models */
/* All of these may be called from any thread. */

/**
 * mx_chip_prog_begin() - start to program a model
 * @prog:	SUCCESS: programming handle. RESIDENT: id of the resident model,
 *		which is not deleted until mx_chip_model_put().
 *
 * Takes a slot of the directory, but no room yet: how much the model needs is
 * known when prog_reuse() has told what is there already. Return: SUCCESS,
 * RESIDENT, NO_SLOT, TOO_LARGE (for the chip, were it empty), BAD_FIELD,
 * NO_MEMORY.
 */
uint16_t mx_chip_prog_begin(struct mx_chip *chip, const uint8_t content[32],
			    uint64_t model_bytes, uint64_t params_bytes, uint32_t *prog);

/**
 * mx_chip_prog_reuse() - take over resident chunks of equal content
 * @first:	chunk of PARAMS, counted in units of MXACCEL_CHUNK bytes
 * @nr:		chunks that @digests and @bitmap cover
 * @digests:	SHA-256 of each, as in an image's CHUNKS section; the last chunk
 *		of PARAMS may be shorter, and is only replaced by one as short
 * @bitmap:	out: bit i (of byte i / 8, lowest first) is set if chunk @first + i
 *		need not be written; (@nr + 7) / 8 bytes, unused bits 0
 *
 * A chunk taken over is shared with the models that have it: nothing is
 * programmed, and prog_write() to it is refused with BAD_RANGE. Chunks that
 * this programming wrote to before are not taken over. COMMIT checks the whole
 * content, so a wrong digest costs the programming but harms nothing. To be
 * called before the first write, which reserves room for the chunks that are
 * still missing. Return: SUCCESS, BAD_PROG, BAD_RANGE.
 */
uint16_t mx_chip_prog_reuse(struct mx_chip *chip, uint32_t prog, uint64_t first, uint32_t nr,
			    const uint8_t digests[][32], uint8_t *bitmap);

/**
 * mx_chip_prog_write() - program part of a model
 * @offset:	into MODEL followed, at the next MXACCEL_PAGE boundary, by PARAMS
 *
 * The first write reserves room for all chunks that were not taken over, so
 * that a model that does not fit wears no cell. Counts cells, retries, faults
 * and the bytes read from the host. Two writes of one programming may run at
 * once if their ranges differ. Nothing is durable before COMMIT. After any
 * error the programming can go on; what was written of the range is undefined.
 * Return: SUCCESS, BAD_PROG, BAD_RANGE (also: of a chunk taken over), NO_SPACE,
 * WORN_OUT (there would be room if all cells still worked), STORE_ERROR.
 */
uint16_t mx_chip_prog_write(struct mx_chip *chip, uint32_t prog, uint64_t offset,
			    const void *data, uint64_t bytes);

/**
 * mx_chip_prog_commit() - check everything, then publish atomically
 * @id:		SUCCESS: model id, with a reference as by mx_chip_model_get()
 *
 * Ends the programming whatever it returns: SUCCESS, BAD_PROG, BAD_HASH,
 * BAD_IMAGE, BAD_VERSION, TOO_LARGE, NO_STEPS, STORE_ERROR, NO_MEMORY. Takes about as
 * long as hashing the model. If another programming of the same content was faster,
 * its model is returned.
 */
uint16_t mx_chip_prog_commit(struct mx_chip *chip, uint32_t prog, uint32_t *id);
uint16_t mx_chip_prog_abort(struct mx_chip *chip, uint32_t prog);

/* Use of a model: it cannot be deleted meanwhile. SUCCESS or BAD_MODEL. */
uint16_t mx_chip_model_get(struct mx_chip *chip, uint32_t id);
void mx_chip_model_put(struct mx_chip *chip, uint32_t id);
/* SUCCESS, BAD_MODEL, BUSY (in use), STORE_ERROR */
uint16_t mx_chip_model_delete(struct mx_chip *chip, uint32_t id);
/* Slot @id of the directory; info->flags tells whether it is in use. grants = references. */
uint16_t mx_chip_model_info(struct mx_chip *chip, uint32_t id, struct mxaccel_model_info *info);
/*
 * mx_chip_model_refresh() - program the cells of a resident model again, in place
 *
 * They are as new then, and worn once more each. Cells get closer to their levels and nothing is
 * erased, so that the content can be read throughout and is whole after a power cut, which leaves
 * the age of before or of after. The model may be in use: a job sees the cells of before or of after.
 * Counts cells, retries and faults as programming does. Return: SUCCESS, BAD_MODEL, WORN_OUT (some
 * of the cells may not be programmed again: nothing was), STORE_ERROR.
 */
uint16_t mx_chip_model_refresh(struct mx_chip *chip, uint32_t id);
/* SUCCESS with *id, or BAD_MODEL */
uint16_t mx_chip_model_find(struct mx_chip *chip, const uint8_t content[32], uint32_t *id);

/**
 * struct mx_health - wear and faults of the non-volatile cells
 * @chunks:	chunks of MXACCEL_CHUNK bytes: the unit of wear, of faults and of
 *		replacement
 * @retired:	of them, out of use: worn out, or with more faulty columns than spares
 * @spares_left: chunks that can still replace retired ones without loss of
 *		capacity
 * @stuck_cells: stuck cells of the chunks in use or ever programmed
 * @remapped_cols: faulty columns of those, replaced by spare columns
 * @wear_min:	programmings of the least worn chunk, retired ones excluded
 * @wear_max:	of the most worn one
 * @wear_total:	of all chunks together; the mean is @wear_total / @chunks
 * @endurance:	programmings that a chunk survives
 * @life_ppm:	mean life left of all chunks, in millionths; retired ones have none
 * @age_seconds: the chip's clock
 * @refreshes:	models whose cells were programmed again, ever
 */
struct mx_health {
	uint64_t chunks;
	uint64_t retired;
	uint64_t spares_left;
	uint64_t stuck_cells;
	uint64_t remapped_cols;
	uint64_t wear_min;
	uint64_t wear_max;
	uint64_t wear_total;
	uint64_t endurance;
	uint64_t life_ppm;
	uint64_t age_seconds;
	uint64_t refreshes;
};

/**
 * mx_chip_set_age() - let time pass, for fidelity=analog
 * @age:	what the chip's clock shows then, in seconds: 0 when the chip was new, up to
 *		MX_MAX_AGE. The cells of a model are as old as the time since they were programmed.
 *
 * The clock stands still otherwise. It is kept with the cells. A job under way goes on with the
 * age at which it began. Return: 0; -EINVAL with a sentence in @err: a time in the past, too far in
 * the future, or not ANALOG; -errno of the store.
 */
int mx_chip_set_age(struct mx_chip *chip, uint32_t age, char *err, size_t err_bytes);

/* What the clock shows. */
uint32_t mx_chip_age(struct mx_chip *chip);

/* Cheap enough for a status page: one pass over the chunks. */
void mx_chip_health(struct mx_chip *chip, struct mx_health *health);

/*
 * A fault for tests: the @nr free chunks that would be programmed next get too many
 * stuck cells to be used, until power-on. Return: how many did.
 */
uint32_t mx_chip_break_chunks(struct mx_chip *chip, uint32_t nr);

/* ----------------------------------------------------------- handover */

/**
 * struct mx_stream - where state goes to, or comes from
 * @move:	writes, or reads, @bytes at @data; 0 or -errno
 * @opaque:	for @move
 */
struct mx_stream {
	int (*move)(void *opaque, void *data, size_t bytes);
	void *opaque;
};

/*
 * mx_chip_save(), mx_chip_restore() - hand a running chip over
 *
 * What is not in the non-volatile area: counters and programmings under way.
 * No call may be under way in the chip meanwhile, and the area must be that of
 * the moment of saving: restoring is for a chip just switched on. References
 * to models are the host's to take again. Return: 0 or -errno, restoring with
 * a sentence in @err; a chip that was not restored is good for mx_chip_free() only.
 */
int mx_chip_save(struct mx_chip *chip, const struct mx_stream *to);
int mx_chip_restore(struct mx_chip *chip, const struct mx_stream *from,
		    char *err, size_t err_bytes);

/* --------------------------------------------------------------- jobs */

struct mx_counters {
	uint64_t v[MXACCEL_CTR_NR];
};

#define MX_JOB_FORGET	0xffff	/* struct mx_job.stop */

/**
 * struct mx_job - one run of a model's program
 * @model:	model id; the caller holds a reference
 * @entry:	program entry
 * @nr_seq:	sequences, not zero
 * @tokens:	ids per sequence, not zero
 * @read:	copies input bytes [offset, offset + bytes) to the chip
 * @write:	copies result bytes from the chip
 * @opaque:	for @read and @write, which run on the thread that calls
 *		mx_chip_job_run(); 0 or -errno, which becomes DMA_ERROR
 * @stop:	set to a status (ABORTED, TIMEOUT) from any thread to end the job
 *		early; looked at between macro-ops. MX_JOB_FORGET: it ends as if it
 *		had never run, nothing is counted
 * @progress:	macro-ops begun so far, to be read from any thread
 * @status:	out
 * @field:	out: offset in struct mxaccel_sqe of the offending field, or 0
 * @result:	out: cycles; INPUT_TOKEN: index of the id in the input;
 *		INPUT_EMPTY, INPUT_LONG: index of the sequence (0 for @tokens too
 *		large); NON_FINITE: index of the macro-op
 * @counters:	out: what this job added to the device's counters
 * @op_counters: if not NULL, out: the same by macro-op of the entry, and in a last
 *		element what belongs to no op (transfers, static energy);
 *		mx_chip_entry_ops() + 1 elements. They add up to @counters, CYCLES and
 *		JOBS apart: ops run at the same time.
 * @out_room:	mx_chip_job_schedule(): bytes that the host has room for
 */
struct mx_job {
	uint32_t model;
	uint32_t entry;
	uint32_t nr_seq;
	uint32_t tokens;
	int (*read)(void *opaque, uint64_t offset, void *to, uint64_t bytes);
	int (*write)(void *opaque, uint64_t offset, const void *from, uint64_t bytes);
	void *opaque;
	atomic_uint_least16_t stop;
	atomic_uint_least32_t progress;

	uint16_t status;
	uint16_t field;
	uint64_t result;
	struct mx_counters counters;
	struct mx_counters *op_counters;
	uint64_t out_room;
};

/**
 * mx_chip_job_sizes() - what a job reads and writes
 *
 * Cheap. Return: SUCCESS with *@in_bytes and *@out_bytes, BAD_MODEL, NO_STEPS,
 * BAD_ENTRY, BAD_FIELD (nothing to do), INPUT_LONG, TOO_LARGE (over
 * max_io_bytes); *@field as in struct mx_job.
 */
uint16_t mx_chip_job_sizes(struct mx_chip *chip, uint32_t model, uint32_t entry,
			   uint32_t nr_seq, uint32_t tokens,
			   uint64_t *in_bytes, uint64_t *out_bytes, uint16_t *field);

/*
 * mx_chip_job_run() - run a job to its end, using the chip's threads
 *
 * Jobs of several callers run one after another. All outcomes are in the
 * job; the device's and the model's counters have been advanced by
 * job->counters when it returns. Every id is checked before anything runs.
 */
void mx_chip_job_run(struct mx_chip *chip, struct mx_job *job);

/* Macro-ops of an entry; 0 if there is none such. The caller holds a reference to the model. */
uint32_t mx_chip_entry_ops(struct mx_chip *chip, uint32_t model, uint32_t entry);

/**
 * mx_chip_job_schedule() - the schedule of a job, which is not run
 *
 * Takes the job as mx_chip_job_run() does, reads the ids (for the lengths) and
 * writes an array of struct mxaccel_span, by ascending start: as many as fit
 * job->out_room, from offset 0 in ascending order. Counts nothing.
 * Return: job->status; job->result is the number of spans that there are.
 */
uint16_t mx_chip_job_schedule(struct mx_chip *chip, struct mx_job *job);

/**
 * mx_chip_estimate() - counters of a job that is not run
 * @model:	MODEL section, of @model_bytes, aligned to 8 bytes
 * @entry:	program entry
 * @lengths:	of the @nr_seq sequences, each 1 to @tokens
 * @tokens:	ids per sequence, padding included
 * @counters:	out: what mx_chip_job_run() would count, which depends on the
 *		lengths but not on the ids
 * @arrays:	out: LARGE arrays that the model takes, for mx_chip_area(); K and V
 *		of @tokens tokens included where they are rewritten. May be NULL.
 *
 * Return: SUCCESS, or what programming such a model or the job would return,
 * with a sentence in @err.
 */
uint16_t mx_chip_estimate(const struct mx_chip_config *config,
			  const void *model, uint64_t model_bytes, uint32_t entry,
			  const uint32_t *lengths, uint32_t nr_seq, uint32_t tokens,
			  struct mx_counters *counters, uint64_t *arrays,
			  char *err, size_t err_bytes);

/* Adds to a device-wide counter: traffic that only the host of the chip sees. */
void mx_chip_count(struct mx_chip *chip, enum mxaccel_counter counter, uint64_t amount);
/* All counters of the device, or of a model since power-on, at one moment. */
void mx_chip_counters(struct mx_chip *chip, struct mx_counters *out);
uint16_t mx_chip_model_counters(struct mx_chip *chip, uint32_t id, struct mx_counters *out);

#endif /* MX_CHIP_H */
