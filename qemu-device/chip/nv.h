/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Layout of the chip's non-volatile area, and its atomic directory updates.
 *
 *	page 0		superblock: which chip this is
 *	then		directory copy 0, directory copy 1 (whole pages each)
 *	then		wear: for each chunk, how often it was programmed (__le32)
 *	then		maps: for each directory slot, the chunks of its model (__le32): those
 *			of MODEL, then those of PARAMS, each in order
 *	then, at a multiple of MXACCEL_CHUNK: storage, chunk after chunk
 *
 * Wear and each map take whole pages. A new directory goes to the copy that is
 * not the newest intact one, and a map is only written while no directory in
 * force names its slot, so that losing power at any moment leaves the directory
 * before or after the change. Wear only grows; each count lies in one sector.
 * Whatever the area holds is untrusted: it comes from a file. All values are
 * little-endian.
 *
 * The area is a file. What stands before the storage is mapped; cells are
 * written with pwrite(), which no full disk or broken one turns into a signal,
 * and read through mappings that make a model's chunks contiguous.
 */
#ifndef MX_CHIP_NV_H
#define MX_CHIP_NV_H

#include "chip.h"

#define MX_NV_VERSION		3
#define MX_NV_VERSION_2		2	/* without clock, refreshes, epochs: taken over as version 3 */
#define MX_NV_MAX_MODELS	4096	/* slots; programming handles keep the slot in 12 bits */

#define MX_NV_SUPER_MAGIC	0x524550555331584dULL	/* "MX1SUPER" */
#define MX_NV_DIR_MAGIC		0x434552494431584dULL	/* "MX1DIREC" */

/**
 * struct mx_nv_super - superblock, at the start of the area; the rest of the page is zero
 * @magic:	MX_NV_SUPER_MAGIC
 * @version:	MX_NV_VERSION
 * @slots:	directory slots
 * @chip:	name of the chip, NUL-padded and -terminated
 * @organisation: of the chip file, likewise
 * @chunks:	of the storage, spare ones included
 * @cell_bits:	bits per cell
 * @crc32c:	of this structure with this field zero
 * @rsvd:	zero
 */
struct mx_nv_super {
	__le64	magic;
	__le32	version;
	__le32	slots;
	char	chip[32];
	char	organisation[32];
	__le32	chunks;
	__le32	cell_bits;
	__le32	crc32c;
	__le32	rsvd;
};
MXACCEL_ASSERT_SIZE(struct mx_nv_super, 96);

/**
 * struct mx_nv_dir - start of a directory copy; struct mx_nv_record for each slot follows
 * @magic:	MX_NV_DIR_MAGIC
 * @generation:	1 for the empty directory of a new area, one more with each change
 * @slots:	number of records
 * @crc32c:	of this structure and all records, with this field zero
 * @clock:	of the chip, in seconds
 * @refreshes:	how often a model's cells were programmed again
 * @rsvd:	zero
 */
struct mx_nv_dir {
	__le64	magic;
	__le64	generation;
	__le32	slots;
	__le32	crc32c;
	__le64	clock;
	__le64	refreshes;
	__u8	rsvd[24];
};
MXACCEL_ASSERT_SIZE(struct mx_nv_dir, 64);

/**
 * struct mx_nv_record - directory slot
 * @flags:	MX_NV_USED, or the whole record is zero
 * @epoch:	how often the model's cells were programmed again
 * @content:	content id
 * @programmed:	the chip's clock when they were programmed last
 * @model_bytes: of the MODEL section
 * @params_bytes: of the PARAMS section
 */
struct mx_nv_record {
	__le32	flags;
	__le32	epoch;
	__u8	content[32];
	__le64	programmed;
	__le64	model_bytes;
	__le64	params_bytes;
};
MXACCEL_ASSERT_SIZE(struct mx_nv_record, 64);

#define MX_NV_USED		0x1

/**
 * struct mx_nv_layout - offsets and sizes of the parts of an area
 * @slots:	directory slots
 * @chunks:	of the storage
 * @dir_bytes:	of one directory copy
 * @map_bytes:	of one map, and of the wear
 * @wear:	offset of the wear
 * @maps:	offset of the maps
 * @storage:	offset of the storage
 */
struct mx_nv_layout {
	uint32_t slots;
	uint32_t chunks;
	uint64_t dir_bytes;
	uint64_t map_bytes;
	uint64_t wear;
	uint64_t maps;
	uint64_t storage;
};

/**
 * struct mx_nv - an opened area
 * @layout:	where its parts are
 * @base:	mapping of what stands before the storage
 * @fd:		the file
 * @own_fd:	the file is memory that mx_nv_open() made
 * @generation:	of the directory in force
 * @active:	copy (0, 1) that holds it
 * @clock, @refreshes: see struct mx_nv_dir; written with the next directory
 * @persist:	as in struct mx_chip_params
 * @opaque:	for @persist
 */
struct mx_nv {
	struct mx_nv_layout layout;
	uint8_t *base;
	int fd;
	bool own_fd;
	uint64_t generation;
	unsigned int active;
	uint64_t clock;
	uint64_t refreshes;
	int (*persist)(void *opaque, uint64_t offset, uint64_t bytes);
	void *opaque;
};

/* nv_layout.c, nv_cells.c */
struct mx_nv_layout mx_nv_layout(const struct mx_chip_config *config);
int mx_nv_attach(struct mx_nv *nv, const struct mx_chip_config *config,
		 const struct mx_chip_params *params, char *err, size_t err_bytes);

/*
 * mx_nv_open() - find or make the directory
 *
 * Formats an area that is all zero up to its storage. Refuses, with a
 * sentence, that of another chip or version and one whose superblock or both
 * directory copies are damaged. mx_nv_close() is due even then.
 * Return: 0 or -errno.
 */
int mx_nv_open(struct mx_nv *nv, const struct mx_chip_config *config,
	       const struct mx_chip_params *params, char *err, size_t err_bytes);
void mx_nv_close(struct mx_nv *nv);

/* Records of the directory in force, one for each slot; map of a slot; wear of all chunks. */
const struct mx_nv_record *mx_nv_records(const struct mx_nv *nv);
__le32 *mx_nv_map(const struct mx_nv *nv, uint32_t slot);
__le32 *mx_nv_wear(const struct mx_nv *nv);

/*
 * mx_nv_commit() - replace the directory, atomically
 *
 * With @nv->clock and @nv->refreshes. @records may be those in force.
 * What the records refer to must have been made durable before. On failure
 * the directory in force stays. The caller serialises calls.
 * Return: 0 or -errno of persist().
 */
int mx_nv_commit(struct mx_nv *nv, const struct mx_nv_record *records);

/* Make durable: the chunks [first, last] of the storage; the wear and the map of a slot. */
int mx_nv_persist_chunks(const struct mx_nv *nv, uint32_t first, uint32_t last);
int mx_nv_persist_map(const struct mx_nv *nv, uint32_t slot);

/* Write @bytes at @offset of a chunk, and on into the next ones. Return: 0 or -errno. */
int mx_nv_write(const struct mx_nv *nv, uint32_t chunk, uint64_t offset, const void *data,
		uint64_t bytes);

/*
 * mx_nv_view() - map chunks one after another, for reading
 *
 * Chunks that are neighbours in the storage share a mapping. NULL: no address
 * space or mappings left.
 */
const uint8_t *mx_nv_view(const struct mx_nv *nv, const uint32_t *chunk, uint32_t nr);
void mx_nv_unview(const uint8_t *view, uint32_t nr);

#endif /* MX_CHIP_NV_H */
