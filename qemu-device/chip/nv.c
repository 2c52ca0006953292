// SPDX-License-Identifier: LGPL-2.1-or-later
/* The non-volatile area: superblock and directory copies. What it lies in: nv_cells.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chunks.h"
#include "digest.h"
#include "nv.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the chip model reads little-endian structures in place");

static uint64_t copy_offset(const struct mx_nv *nv, unsigned int copy)
{
	return MXACCEL_PAGE + copy * nv->layout.dir_bytes;
}

static int persist(const struct mx_nv *nv, uint64_t offset, uint64_t bytes)
{
	return nv->persist ? nv->persist(nv->opaque, offset, bytes) : 0;
}

static bool all_zero(const uint8_t *data, size_t bytes)
{
	return !bytes || (!data[0] && !memcmp(data, data + 1, bytes - 1));
}

static struct mx_nv_dir *dir_at(const struct mx_nv *nv, unsigned int copy)
{
	return (struct mx_nv_dir *)(nv->base + copy_offset(nv, copy));
}

static uint32_t dir_crc(const struct mx_nv *nv, struct mx_nv_dir *dir)
{
	uint32_t stored = dir->crc32c;
	uint32_t crc;

	dir->crc32c = 0;
	crc = mx_crc32c(dir, sizeof(*dir) + nv->layout.slots * sizeof(struct mx_nv_record));
	dir->crc32c = stored;
	return crc;
}

static bool dir_intact(const struct mx_nv *nv, unsigned int copy)
{
	struct mx_nv_dir *dir = dir_at(nv, copy);

	return dir->magic == MX_NV_DIR_MAGIC && dir->generation && dir->slots == nv->layout.slots &&
	       dir->clock <= MX_MAX_AGE && dir->crc32c == dir_crc(nv, dir);
}

static uint32_t super_crc(struct mx_nv_super super)
{
	super.crc32c = 0;
	return mx_crc32c(&super, sizeof(super));
}

static void super_fill(struct mx_nv_super *super, const struct mx_chip_config *config,
		       uint32_t version)
{
	memset(super, 0, sizeof(*super));
	super->magic = MX_NV_SUPER_MAGIC;
	super->version = version;
	super->slots = config->max_models;
	snprintf(super->chip, sizeof(super->chip), "%s", config->name);
	snprintf(super->organisation, sizeof(super->organisation), "%s", config->organisation);
	super->chunks = mx_chunks_total(config);
	super->cell_bits = config->cell_bits;
	super->crc32c = super_crc(*super);
}

__le32 *mx_nv_map(const struct mx_nv *nv, uint32_t slot)
{
	return (__le32 *)(nv->base + nv->layout.maps + slot * nv->layout.map_bytes);
}

__le32 *mx_nv_wear(const struct mx_nv *nv)
{
	return (__le32 *)(nv->base + nv->layout.wear);
}

const struct mx_nv_record *mx_nv_records(const struct mx_nv *nv)
{
	return (const struct mx_nv_record *)(dir_at(nv, nv->active) + 1);
}

static int write_copy(struct mx_nv *nv, unsigned int copy, uint64_t generation,
		      const struct mx_nv_record *records)
{
	struct mx_nv_dir *dir = dir_at(nv, copy);
	int rc;

	memset(dir, 0, nv->layout.dir_bytes);
	if (records)
		memcpy(dir + 1, records, nv->layout.slots * sizeof(*records));
	dir->magic = MX_NV_DIR_MAGIC;
	dir->generation = generation;
	dir->slots = nv->layout.slots;
	dir->clock = nv->clock;
	dir->refreshes = nv->refreshes;
	dir->crc32c = dir_crc(nv, dir);
	rc = persist(nv, copy_offset(nv, copy), nv->layout.dir_bytes);
	if (rc) {
		/* Part of it may be durable; take it back as far as the store lets us. */
		memset(dir, 0, nv->layout.dir_bytes);
		persist(nv, copy_offset(nv, copy), nv->layout.dir_bytes);
		return rc;
	}
	nv->active = copy;
	nv->generation = generation;
	return 0;
}

int mx_nv_commit(struct mx_nv *nv, const struct mx_nv_record *records)
{
	return write_copy(nv, !nv->active, nv->generation + 1, records);
}

static bool dirs_zero(const struct mx_nv *nv)
{
	return all_zero(nv->base + copy_offset(nv, 0), 2 * nv->layout.dir_bytes);
}

/*
 * The superblock first: one without directories is a format that was cut short. It lies in one
 * sector, so that a newer version replaces an older one whole.
 */
static int write_super(struct mx_nv *nv, const struct mx_nv_super *super,
			char *err, size_t err_bytes)
{
	int rc;

	memcpy(nv->base, super, sizeof(*super));
	rc = persist(nv, 0, MXACCEL_PAGE);
	if (rc)
		snprintf(err, err_bytes, "writing the superblock of the non-volatile store failed: %s",
			 strerror(-rc));
	return rc;
}

static int check_super(const struct mx_nv_super *is, const struct mx_nv_super *want,
		       char *err, size_t err_bytes)
{
	if (is->magic != want->magic)
		snprintf(err, err_bytes, "the non-volatile store does not belong to an MX1 chip");
	else if (is->version != want->version)
		snprintf(err, err_bytes, "the non-volatile store has layout version %" PRIu32
			 ", this chip model knows up to %d: use another file and load the models again",
			 is->version, MX_NV_VERSION);
	else if (is->crc32c != super_crc(*is))
		snprintf(err, err_bytes, "the superblock of the non-volatile store is damaged");
	else if (memcmp(is->chip, want->chip, sizeof(is->chip)))
		snprintf(err, err_bytes,
			 "the non-volatile store belongs to a chip \"%.31s\", this one is \"%s\"",
			 is->chip, want->chip);
	else if (memcmp(is, want, sizeof(*is)))
		snprintf(err, err_bytes,
			 "the non-volatile store belongs to a chip \"%s\" of another geometry (%.31s, %u chunks of cells of %u bits, %u models)",
			 want->chip, is->organisation, is->chunks, is->cell_bits, is->slots);
	else
		return 0;
	return -EINVAL;
}

int mx_nv_open(struct mx_nv *nv, const struct mx_chip_config *config,
	       const struct mx_chip_params *params, char *err, size_t err_bytes)
{
	struct mx_nv_super super, want;
	bool intact[2], fresh;
	int rc = mx_nv_attach(nv, config, params, err, err_bytes);

	if (rc)
		return rc;
	memcpy(&super, nv->base, sizeof(super));
	fresh = all_zero(nv->base, MXACCEL_PAGE) && dirs_zero(nv);
	if (!fresh) {
		super_fill(&want, config, super.version == MX_NV_VERSION_2 ? super.version :
			   MX_NV_VERSION);
		rc = check_super(&super, &want, err, err_bytes);
		if (rc)
			return rc;
	}
	if (fresh || super.version != MX_NV_VERSION) {
		super_fill(&want, config, MX_NV_VERSION);
		rc = write_super(nv, &want, err, err_bytes);
		if (rc)
			return rc;
	}

	if (dirs_zero(nv)) {
		rc = write_copy(nv, 0, 1, NULL);
		if (rc)
			snprintf(err, err_bytes, "formatting the non-volatile store failed: %s",
				 strerror(-rc));
		return rc;
	}
	intact[0] = dir_intact(nv, 0);
	intact[1] = dir_intact(nv, 1);
	if (!intact[0] && !intact[1]) {
		snprintf(err, err_bytes,
			 "both copies of the model directory in the non-volatile store are damaged");
		return -EBADMSG;
	}
	nv->active = !intact[0] ||
		     (intact[1] && dir_at(nv, 1)->generation > dir_at(nv, 0)->generation);
	nv->generation = dir_at(nv, nv->active)->generation;
	nv->clock = dir_at(nv, nv->active)->clock;
	nv->refreshes = dir_at(nv, nv->active)->refreshes;
	return 0;
}
