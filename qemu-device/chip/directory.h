/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Resident models: which there are, which chunks hold them, who uses them; and
 * the programmings under way.
 *
 * Locks: commit_lock is held while a directory is made durable and serialises
 * that; lock protects slots, the clock and chunks and is only ever held briefly, never
 * during persist(), so that jobs do not wait for the store. commit_lock is
 * taken first. A slot whose state is not FREE or VALID belongs to the caller
 * that put it there.
 */
#ifndef MX_CHIP_DIRECTORY_H
#define MX_CHIP_DIRECTORY_H

#include "chunks.h"
#include "internal.h"
#include "nv.h"

enum mx_slot_state {
	MX_SLOT_FREE,
	MX_SLOT_PROGRAMMING,	/* between PROG_BEGIN and COMMIT or ABORT */
	MX_SLOT_ENDING,		/* COMMIT or ABORT under way: takes no more writes */
	MX_SLOT_VALID,
	MX_SLOT_DELETING,
};

#define MX_MAP_SHARED	0x80000000u	/* in a programming's map: taken over, not written */

/**
 * struct mx_slot - directory slot
 * @state:	what it holds
 * @tag:	of the programming, so that stale handles are refused; not 0
 * @refs:	uses of the model; it cannot be deleted meanwhile
 * @writers:	mx_chip_prog_write() calls under way
 * @content:	content id
 * @programmed:	VALID: the chip's clock when its cells were programmed; of chunks that it
 *		took over, when the oldest of them was
 * @epoch:	VALID: how often its cells were programmed again
 * @model_bytes: of the MODEL section
 * @params_bytes: of the PARAMS section
 * @nr_model:	chunks of MODEL
 * @nr_chunks:	chunks of both sections
 * @map:	the chunk for each, MODEL first; MX_NO_CHUNK while there is none
 * @reserving:	the first write has reserved room,
 * @reserved:	for so many chunks that are not in the map yet
 * @view:	all chunks one after another, or NULL
 * @model:	VALID: the checked model
 */
struct mx_slot {
	enum mx_slot_state state;
	uint32_t tag;
	uint32_t refs;
	uint32_t writers;
	uint8_t content[32];
	uint32_t programmed;
	uint32_t epoch;
	uint64_t model_bytes;
	uint64_t params_bytes;
	uint32_t nr_model;
	uint32_t nr_chunks;
	uint32_t *map;
	bool reserving;
	uint32_t reserved;
	const uint8_t *view;
	struct mx_model model;
};

struct mx_directory {
	pthread_mutex_t commit_lock;
	pthread_mutex_t lock;
	pthread_cond_t idle;	/* a slot's writers fell to 0 */
	struct mx_nv nv;
	struct mx_chunks chunks;
	uint32_t next_tag;
	uint32_t dropped;	/* damaged models found at power-on */
	struct mx_nv_record *records;	/* next directory; protected by commit_lock */
	uint32_t nr_slots;
	struct mx_slot slot[];
};

/* Opens the non-volatile area and takes over its models. NULL with a sentence in @err. */
struct mx_directory *mx_directory_new(struct mx_chip *chip, char *err, size_t err_bytes);
void mx_directory_free(struct mx_directory *dir);

/* The chip's clock, in seconds. Caller holds lock or commit_lock. */
static inline uint32_t mx_directory_clock(const struct mx_directory *dir)
{
	return dir->nv.clock;
}

/* The VALID slot with this content, or NULL. Caller holds lock. */
struct mx_slot *mx_directory_lookup(struct mx_directory *dir, const uint8_t content[32]);

/* Number of the slot: the model id. */
uint32_t mx_directory_id(const struct mx_directory *dir, const struct mx_slot *slot);

/*
 * Makes durable the map of @added and a directory of it and all VALID slots;
 * @added may be NULL. Caller holds commit_lock, not lock. Return: 0 or -errno.
 */
int mx_directory_commit(struct mx_directory *dir, const struct mx_slot *added);

/* slot.c */

/*
 * mx_slot_size() - give a slot the sizes of a model and an empty map
 *
 * Return: SUCCESS; TOO_LARGE: not even an empty chip has the room; NO_MEMORY.
 */
uint16_t mx_slot_size(struct mx_directory *dir, struct mx_slot *slot, uint64_t model_bytes,
		      uint64_t params_bytes);

/* Drops view, map, chunks and what was reserved; the slot is FREE then. It is the caller's. */
void mx_slot_release(struct mx_chip *chip, struct mx_slot *slot);

/* Bytes of a section that chunk @i of the map holds: MXACCEL_CHUNK but for the last ones. */
uint32_t mx_slot_chunk_bytes(const struct mx_slot *slot, uint32_t i);

/*
 * mx_slot_verify() - check what a slot's chunks hold
 * @digests:	out: SHA-256 of each PARAMS chunk, to be freed; NULL on failure
 *
 * Maps the view, compares it with the content id, and checks the model against
 * the chip; fills @slot->model. No lock needed: the slot is the caller's, and nobody
 * writes to its chunks. Return: SUCCESS, BAD_HASH, BAD_IMAGE, BAD_VERSION,
 * TOO_LARGE, NO_MEMORY.
 */
uint16_t mx_slot_verify(struct mx_chip *chip, struct mx_directory *dir, struct mx_slot *slot,
			uint8_t **digests);

/* Lets other models share the PARAMS chunks of a verified slot. Caller holds lock. */
void mx_slot_learn(struct mx_directory *dir, const struct mx_slot *slot, const uint8_t *digests);

/* program_write.c: counts what @pulses say of @bytes that were programmed */
void mx_count_pulses(struct mx_chip *chip, uint64_t bytes, const struct mx_pulses *pulses);

/* program.c: the slot that is being programmed under this handle, or NULL. Caller holds lock. */
struct mx_slot *mx_prog_slot(struct mx_directory *dir, uint32_t prog);
/* Whole pages: where PARAMS starts in a programming, and where it ends. */
uint64_t mx_prog_pages(uint64_t bytes);

#endif /* MX_CHIP_DIRECTORY_H */
