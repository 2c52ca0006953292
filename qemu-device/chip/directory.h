/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Resident models: which there are, where they lie, who uses them; and the
 * room that programmings under way have reserved.
 *
 * Locks: commit_lock is held while a directory is made durable and serialises
 * that; lock protects the slots and is only ever held briefly, never during
 * persist(), so that jobs do not wait for the store. commit_lock is taken
 * first. A slot whose state is not FREE or VALID belongs to the caller that
 * put it there.
 */
#ifndef MX_CHIP_DIRECTORY_H
#define MX_CHIP_DIRECTORY_H

#include "internal.h"
#include "nv.h"

enum mx_slot_state {
	MX_SLOT_FREE,
	MX_SLOT_PROGRAMMING,	/* between PROG_BEGIN and COMMIT or ABORT */
	MX_SLOT_ENDING,		/* COMMIT or ABORT under way: takes no more writes */
	MX_SLOT_VALID,
	MX_SLOT_DELETING,
};

/**
 * struct mx_slot - directory slot
 * @state:	what it holds
 * @tag:	of the programming, so that stale handles are refused; not 0
 * @refs:	uses of the model; it cannot be deleted meanwhile
 * @writers:	mx_chip_prog_write() calls under way
 * @content:	content id
 * @offset:	extent in the storage
 * @bytes:	length of the extent, whole pages
 * @model_bytes: of the MODEL section, at the start of the extent
 * @params_bytes: of the PARAMS section, at the next page
 * @model:	VALID: the checked model
 */
struct mx_slot {
	enum mx_slot_state state;
	uint32_t tag;
	uint32_t refs;
	uint32_t writers;
	uint8_t content[32];
	uint64_t offset;
	uint64_t bytes;
	uint64_t model_bytes;
	uint64_t params_bytes;
	struct mx_model model;
};

struct mx_directory {
	pthread_mutex_t commit_lock;
	pthread_mutex_t lock;
	pthread_cond_t idle;	/* a slot's writers fell to 0 */
	struct mx_nv nv;
	uint64_t capacity;
	uint32_t next_tag;
	uint32_t dropped;	/* damaged models found at power-on */
	struct mx_nv_record *records;	/* next directory; protected by commit_lock */
	uint32_t nr_slots;
	struct mx_slot slot[];
};

/* Opens the non-volatile area and takes over its models. NULL with a sentence in @err. */
struct mx_directory *mx_directory_new(struct mx_chip *chip, char *err, size_t err_bytes);
void mx_directory_free(struct mx_directory *dir);

/* Bytes of an extent for these sections, in whole pages, or UINT64_MAX if there is no such. */
uint64_t mx_extent_bytes(uint64_t model_bytes, uint64_t params_bytes);
/* Offset of PARAMS in an extent. */
uint64_t mx_extent_params(uint64_t model_bytes);

/*
 * First free extent of @bytes, or UINT64_MAX; *@largest (may be NULL) gets the
 * size of the largest free one. Caller holds lock.
 */
uint64_t mx_directory_find_room(struct mx_directory *dir, uint64_t bytes, uint64_t *largest);

/* The VALID slot with this content, or NULL. Caller holds lock. */
struct mx_slot *mx_directory_lookup(struct mx_directory *dir, const uint8_t content[32]);

/* Number of the slot: the model id. */
uint32_t mx_directory_id(const struct mx_directory *dir, const struct mx_slot *slot);

/*
 * Makes durable a directory of all VALID slots and @added, which may be NULL.
 * Caller holds commit_lock, not lock. Return: 0 or -errno.
 */
int mx_directory_commit(struct mx_directory *dir, const struct mx_slot *added);

/*
 * Checks the bytes in a slot's extent against its content id, and its model
 * against the chip; fills *@model. Return: SUCCESS, BAD_HASH, BAD_IMAGE,
 * BAD_VERSION, TOO_LARGE, NO_MEMORY.
 */
uint16_t mx_directory_verify(struct mx_chip *chip, struct mx_directory *dir,
			     const struct mx_slot *slot, struct mx_model *model);

#endif /* MX_CHIP_DIRECTORY_H */
