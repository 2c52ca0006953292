/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A chip of 10 chunks on a store that fails and loses power when a test wants it to. */
#ifndef FLAKY_STORE_H
#define FLAKY_STORE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE	/* memfd_create() */
#endif
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "internal.h"

/* 10 chunks for models, 4 slots */
static const struct mx_chip_config config = {
	.name = "unit", .organisation = "synergy", .clock_khz = 1000000,
	.banks = 2, .bank_rows = 256, .bank_cols = 5120, .cell_bits = 4, .intermediate_banks = 1,
	.small_rows = 128, .small_cols = 128, .dac_bits = 1, .adc_bits = 2, .digit_bits = 1,
	.fabric_macs = 1024, .fabric_utilisation_percent = 85, .layer_cycles = 300,
	.bank_port_bytes = 64, .softmax_lanes = 8, .norm_units = 1, .norm_lanes = 4,
	.act_lanes = 4, .act_cycles = 8, .requant_units = 1, .requant_lanes = 8,
	.recip_cycles = 16, .rsqrt_cycles = 16, .bus_bytes = 64, .buffer_kib = 96,
	.link_setup_cycles = 500, .link_bytes_per_10_cycles = 33, .cells_endurance = 1000000,
	.max_models = 4, .max_contexts = 5, .max_buffers = 6, .max_io_bytes = 4096, .max_sg = 7,
};

static char err[256];

/**
 * struct store - a store with a mind of its own
 * @fd:		what the running chip sees,
 * @nv:		mapped
 * @disk:	what survives a power cut
 * @calls:	persist() calls so far
 * @fail_at:	number of the call that fails, with nothing written; 0: none
 * @cut_at:	number of the call in which power goes: it writes some sectors,
 *		later ones write nothing; 0: none
 * @seed:	which sectors
 */
struct store {
	int fd;
	uint8_t *nv;
	uint8_t *disk;
	uint64_t bytes;
	unsigned int calls;
	unsigned int fail_at;
	unsigned int cut_at;
	uint64_t seed;
};

#define SECTOR 512

static inline uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 33;
}

static inline int store_persist(void *opaque, uint64_t offset, uint64_t bytes)
{
	struct store *store = opaque;
	uint64_t at;

	assert_int_equal(offset % MXACCEL_PAGE, 0);
	assert_int_equal(bytes % MXACCEL_PAGE, 0);
	assert_true(bytes && offset + bytes <= store->bytes);
	store->calls++;
	if (store->calls == store->fail_at)
		return -EIO;
	if (store->cut_at && store->calls > store->cut_at)
		return -EIO;
	for (at = offset; at < offset + bytes; at += SECTOR)
		if (store->calls != store->cut_at || next_random(&store->seed) & 1)
			memcpy(store->disk + at, store->nv + at, SECTOR);
	return store->calls == store->cut_at ? -EIO : 0;
}

static inline void store_init(struct store *store, const struct mx_chip_config *c)
{
	memset(store, 0, sizeof(*store));
	store->bytes = mx_chip_nv_bytes(c);
	store->fd = memfd_create("store", 0);
	assert_true(store->fd >= 0);
	assert_int_equal(ftruncate(store->fd, store->bytes), 0);
	store->nv = mmap(NULL, store->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, store->fd, 0);
	store->disk = calloc(1, store->bytes);
	assert_true(store->nv != MAP_FAILED);
	assert_non_null(store->disk);
}

static inline void store_free(struct store *store)
{
	munmap(store->nv, store->bytes);
	close(store->fd);
	free(store->disk);
}

static inline struct mx_chip *try_power_on(struct store *store, const struct mx_chip_config *c)
{
	struct mx_chip_params params = {
		.threads = 1, .isa = MX_ISA_AUTO, .seed = 42, .nv_fd = store->fd,
		.persist = store_persist, .opaque = store,
	};

	err[0] = '\0';
	return mx_chip_new(c, &params, err, sizeof(err));
}

static inline struct mx_chip *power_on(struct store *store)
{
	struct mx_chip *chip = try_power_on(store, &config);

	if (!chip)
		fail_msg("%s", err);
	return chip;
}

/* Power goes and comes back: what was not made durable is lost. */
static inline struct mx_chip *power_cycle(struct store *store, struct mx_chip *chip)
{
	mx_chip_free(chip);
	memcpy(store->nv, store->disk, store->bytes);
	return power_on(store);
}

#endif /* FLAKY_STORE_H */
