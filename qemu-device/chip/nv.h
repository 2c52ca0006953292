/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Layout of the chip's non-volatile area, and its atomic directory updates.
 *
 *	page 0		superblock: which chip this is
 *	then		directory copy 0, directory copy 1 (whole pages each)
 *	then		storage: mx_chip_capacity() bytes of models
 *
 * A new directory goes to the copy that is not the newest intact one, so that
 * losing power at any moment leaves the directory before or after the change.
 * Whatever the area holds is untrusted: it comes from a file. All values are
 * little-endian.
 */
#ifndef MX_CHIP_NV_H
#define MX_CHIP_NV_H

#include "chip.h"

#define MX_NV_VERSION		1
#define MX_NV_MAX_MODELS	4096	/* slots; programming handles keep the slot in 12 bits */

#define MX_NV_SUPER_MAGIC	0x524550555331584dULL	/* "MX1SUPER" */
#define MX_NV_DIR_MAGIC		0x434552494431584dULL	/* "MX1DIREC" */

/**
 * struct mx_nv_super - superblock, at the start of the area; the rest of the page is zero
 * @magic:	MX_NV_SUPER_MAGIC
 * @version:	MX_NV_VERSION
 * @slots:	directory slots
 * @chip:	name of the chip, NUL-padded and -terminated
 * @banks:	as in the chip file, like the next four
 * @bank_rows:	wordlines of a bank
 * @bank_cols:	bitlines of a bank
 * @cell_bits:	bits per cell
 * @intermediate_banks: banks that hold no models
 * @crc32c:	of this structure with this field zero
 */
struct mx_nv_super {
	__le64	magic;
	__le32	version;
	__le32	slots;
	char	chip[32];
	__le32	banks;
	__le32	bank_rows;
	__le32	bank_cols;
	__le32	cell_bits;
	__le32	intermediate_banks;
	__le32	crc32c;
};
MXACCEL_ASSERT_SIZE(struct mx_nv_super, 72);

/**
 * struct mx_nv_dir - start of a directory copy; struct mx_nv_record for each slot follows
 * @magic:	MX_NV_DIR_MAGIC
 * @generation:	1 for the empty directory of a new area, one more with each change
 * @slots:	number of records
 * @crc32c:	of this structure and all records, with this field zero
 */
struct mx_nv_dir {
	__le64	magic;
	__le64	generation;
	__le32	slots;
	__le32	crc32c;
	__u8	rsvd[40];
};
MXACCEL_ASSERT_SIZE(struct mx_nv_dir, 64);

/**
 * struct mx_nv_record - directory slot
 * @flags:	MX_NV_USED, or the whole record is zero
 * @content:	content id
 * @offset:	of the model in the storage, a multiple of MXACCEL_PAGE
 * @model_bytes: of the MODEL section, which lies at @offset
 * @params_bytes: of the PARAMS section, which lies at the next page boundary
 */
struct mx_nv_record {
	__le32	flags;
	__le32	rsvd;
	__u8	content[32];
	__le64	offset;
	__le64	model_bytes;
	__le64	params_bytes;
};
MXACCEL_ASSERT_SIZE(struct mx_nv_record, 64);

#define MX_NV_USED		0x1

/**
 * struct mx_nv - an opened area
 * @base:	the area
 * @storage:	its storage part
 * @slots:	directory slots
 * @dir_bytes:	of one directory copy
 * @generation:	of the directory in force
 * @active:	copy (0, 1) that holds it
 * @persist:	as in struct mx_chip_params
 * @opaque:	for @persist
 */
struct mx_nv {
	uint8_t *base;
	uint8_t *storage;
	uint32_t slots;
	uint64_t dir_bytes;
	uint64_t generation;
	unsigned int active;
	int (*persist)(void *opaque, uint64_t offset, uint64_t bytes);
	void *opaque;
};

/*
 * mx_nv_open() - find or make the directory
 *
 * Formats an area that is all zero up to its storage. Refuses, with a
 * sentence, that of another chip or version and one whose superblock or both
 * directory copies are damaged. Return: 0 or -errno.
 */
int mx_nv_open(struct mx_nv *nv, const struct mx_chip_config *config,
	       const struct mx_chip_params *params, char *err, size_t err_bytes);

/* Records of the directory in force, @nv->slots of them. */
const struct mx_nv_record *mx_nv_records(const struct mx_nv *nv);

/*
 * mx_nv_commit() - replace the directory, atomically
 *
 * What the records refer to must have been made durable before. On failure
 * the directory in force stays. The caller serialises calls.
 * Return: 0 or -errno of persist().
 */
int mx_nv_commit(struct mx_nv *nv, const struct mx_nv_record *records);

/* Make a range of the storage durable. Return: 0 or -errno of persist(). */
int mx_nv_persist_storage(const struct mx_nv *nv, uint64_t offset, uint64_t bytes);

#endif /* MX_CHIP_NV_H */
