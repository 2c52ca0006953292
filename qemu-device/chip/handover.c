// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a chip that is switched off would lose, taken out of one and put into another that
 * was switched on with the same non-volatile area: counters, and the programmings under
 * way. Resident models are named in it, so that an area that has changed since is noticed.
 *
 * All values are little-endian, as the chip model's structures are.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory.h"

#define MAGIC	0x52564f444e414858ULL
#define VERSION	1

struct head {
	uint64_t magic;
	uint32_t version;
	uint32_t slots;
	uint64_t generation;	/* of the directory */
	uint32_t chunks;
	uint32_t next_tag;
	uint32_t nr_counters;
	uint32_t nr_records;
};

/* A slot in use; of a programming, a struct place for each chunk follows. */
struct record {
	uint32_t slot;
	uint32_t state;
	uint32_t tag;
	uint32_t reserving;
	uint32_t reserved;
	uint32_t nr_chunks;
	uint64_t model_bytes;
	uint64_t params_bytes;
	uint8_t content[32];
	struct mx_counters counters;	/* of a resident model */
};

struct place {
	uint32_t chunk;		/* as in mx_slot.map */
	uint32_t filled;
};

/* ------------------------------------------------------------------ saving */

static int save_places(struct mx_directory *dir, const struct mx_slot *slot,
		       const struct mx_stream *to)
{
	uint32_t i;
	int rc = 0;

	for (i = 0; i < slot->nr_chunks && !rc; i++) {
		struct place place = { .chunk = slot->map[i] };

		if (place.chunk != MX_NO_CHUNK)
			place.filled = dir->chunks.chunk[place.chunk & ~MX_MAP_SHARED].filled;
		rc = to->move(to->opaque, &place, sizeof(place));
	}
	return rc;
}

static int save_slot(struct mx_directory *dir, const struct mx_slot *slot,
		     const struct mx_stream *to)
{
	struct record record = {
		.slot = mx_directory_id(dir, slot),
		.state = slot->state,
		.model_bytes = slot->model_bytes,
		.params_bytes = slot->params_bytes,
	};
	int rc;

	memcpy(record.content, slot->content, sizeof(record.content));
	if (slot->state == MX_SLOT_VALID) {
		record.counters = slot->model.counters;
		return to->move(to->opaque, &record, sizeof(record));
	}
	record.tag = slot->tag;
	record.reserving = slot->reserving;
	record.reserved = slot->reserved;
	record.nr_chunks = slot->nr_chunks;
	rc = to->move(to->opaque, &record, sizeof(record));
	return rc ? rc : save_places(dir, slot, to);
}

int mx_chip_save(struct mx_chip *chip, const struct mx_stream *to)
{
	struct mx_directory *dir = chip->directory;
	struct head head = {
		.magic = MAGIC, .version = VERSION, .slots = dir->nr_slots,
		.generation = dir->nv.generation, .chunks = dir->chunks.nr,
		.next_tag = dir->next_tag, .nr_counters = MXACCEL_CTR_NR,
	};
	uint32_t i;
	int rc;

	for (i = 0; i < dir->nr_slots; i++)
		head.nr_records += dir->slot[i].state != MX_SLOT_FREE;
	rc = to->move(to->opaque, &head, sizeof(head));
	if (!rc)
		rc = to->move(to->opaque, &chip->counters, sizeof(chip->counters));
	for (i = 0; i < dir->nr_slots && !rc; i++)
		if (dir->slot[i].state != MX_SLOT_FREE)
			rc = save_slot(dir, &dir->slot[i], to);
	return rc;
}

/* --------------------------------------------------------------- restoring */

static int wrong(char *err, size_t err_bytes, const char *what)
{
	snprintf(err, err_bytes, "%s", what);
	return -EINVAL;
}

static int restore_places(struct mx_directory *dir, struct mx_slot *slot,
			  const struct mx_stream *from)
{
	uint32_t i, chunk;
	int rc;

	for (i = 0; i < slot->nr_chunks; i++) {
		struct place place;

		rc = from->move(from->opaque, &place, sizeof(place));
		if (rc)
			return rc;
		if (place.chunk == MX_NO_CHUNK)
			continue;
		chunk = place.chunk & ~MX_MAP_SHARED;
		if (chunk >= dir->chunks.nr || place.filled > MXACCEL_CHUNK)
			return -EINVAL;
		slot->map[i] = place.chunk;
		mx_chunks_claim(&dir->chunks, chunk, place.filled);
	}
	return 0;
}

static int restore_programming(struct mx_directory *dir, struct mx_slot *slot,
			       const struct record *record, const struct mx_stream *from,
			       char *err, size_t err_bytes)
{
	if (slot->state != MX_SLOT_FREE ||
	    record->model_bytes < sizeof(struct mxaccel_model) ||
	    mx_slot_size(dir, slot, record->model_bytes, record->params_bytes) !=
	    MXACCEL_ST_SUCCESS)
		return wrong(err, err_bytes, "a programming under way does not fit the chip");
	slot->state = MX_SLOT_PROGRAMMING;
	slot->tag = record->tag;
	slot->refs = 0;
	slot->writers = 0;
	slot->reserving = record->reserving;
	memcpy(slot->content, record->content, sizeof(slot->content));
	if (record->nr_chunks != slot->nr_chunks || restore_places(dir, slot, from))
		return wrong(err, err_bytes, "the chunks of a programming under way are damaged");
	if (record->reserved &&
	    mx_chunks_reserve(&dir->chunks, record->reserved) != MXACCEL_ST_SUCCESS)
		return wrong(err, err_bytes, "there is no room for a programming under way");
	slot->reserved = record->reserved;
	return 0;
}

static int restore_slot(struct mx_directory *dir, const struct mx_stream *from,
			char *err, size_t err_bytes)
{
	struct record record;
	struct mx_slot *slot;

	if (from->move(from->opaque, &record, sizeof(record)) || record.slot >= dir->nr_slots)
		return wrong(err, err_bytes, "the state of a model is damaged");
	slot = &dir->slot[record.slot];
	if (record.state == MX_SLOT_PROGRAMMING)
		return restore_programming(dir, slot, &record, from, err, err_bytes);
	if (slot->state != MX_SLOT_VALID || record.state != MX_SLOT_VALID ||
	    memcmp(slot->content, record.content, sizeof(record.content)))
		return wrong(err, err_bytes,
			     "the non-volatile cells hold other models than when the state was saved");
	slot->model.counters = record.counters;
	return 0;
}

int mx_chip_restore(struct mx_chip *chip, const struct mx_stream *from,
		    char *err, size_t err_bytes)
{
	struct mx_directory *dir = chip->directory;
	struct head head;
	uint32_t i;
	int rc;

	if (from->move(from->opaque, &head, sizeof(head)) || head.magic != MAGIC)
		return wrong(err, err_bytes, "this is no state of a chip");
	if (head.version != VERSION || head.nr_counters != MXACCEL_CTR_NR) {
		snprintf(err, err_bytes,
			 "the state is of version %" PRIu32 " with %" PRIu32 " counters, this chip model has version %u with %u: save and restore with the same version",
			 head.version, head.nr_counters, VERSION, MXACCEL_CTR_NR);
		return -EINVAL;
	}
	if (head.slots != dir->nr_slots || head.chunks != dir->chunks.nr)
		return wrong(err, err_bytes, "the state is of a chip of another geometry");
	if (head.generation != dir->nv.generation) {
		snprintf(err, err_bytes,
			 "the non-volatile cells have changed since the state was saved: their directory has generation %" PRIu64 ", the state is of %" PRIu64,
			 dir->nv.generation, head.generation);
		return -EINVAL;
	}
	rc = from->move(from->opaque, &chip->counters, sizeof(chip->counters));
	dir->next_tag = head.next_tag;
	for (i = 0; i < head.nr_records && !rc; i++)
		rc = restore_slot(dir, from, err, err_bytes);
	return rc;
}
