/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Models of several chunks on the chip of flaky_store.h, and what tests ask of it. */
#ifndef LARGE_MODEL_H
#define LARGE_MODEL_H

#include "flaky_store.h"

#include "directory.h"
#include "sample_model.h"

#define CHUNK		MXACCEL_CHUNK
#define CELLS		(CHUNK * 2u)	/* of a chunk, at 4 bits */
#define MAX_CHUNKS	8

/**
 * struct large - a sample model with PARAMS of several chunks
 * @params:	PARAMS; what follows the sample's is arbitrary
 * @nr:		its chunks
 * @digest:	of each
 */
struct large {
	struct sample_section section;
	uint8_t params[MAX_CHUNKS * CHUNK];
	uint64_t params_bytes;
	uint32_t nr;
	uint8_t digest[MAX_CHUNKS][32];
	uint8_t content[32];
};

static inline void large_seal(struct large *l)
{
	uint8_t model[32], params[32];

	l->nr = mx_digest_nr_chunks(l->params_bytes);
	assert_int_equal(mx_digest_chunks(l->params, l->params_bytes, NULL, NULL, l->digest[0]), 0);
	assert_int_equal(mx_digest_section(&l->section, sizeof(l->section), NULL, NULL, model), 0);
	assert_int_equal(mx_sha256(l->digest, l->nr * 32, params), 0);
	assert_int_equal(mx_digest_content(model, params, l->content), 0);
}

/* A model whose last chunk has @tail bytes; chunks differ. */
static inline void large_make(struct large *l, uint32_t chunks, uint32_t tail)
{
	static struct sample_model m;
	uint64_t i;

	assert_true(sample_make(&m, 0));
	l->section = m.section;
	l->params_bytes = (chunks - 1) * CHUNK + tail;
	l->section.head.params_bytes = l->params_bytes;
	for (i = 0; i < l->params_bytes; i++)
		l->params[i] = i * 31 + i / CHUNK;
	memcpy(l->params, m.params, m.params_bytes);
	large_seal(l);
}

static inline uint16_t begin(struct mx_chip *chip, const struct large *l, uint32_t *prog)
{
	return mx_chip_prog_begin(chip, l->content, sizeof(l->section), l->params_bytes, prog);
}

/* Programs what is not there, @reuse permitting; *@missing: chunks written. */
static inline uint16_t program(struct mx_chip *chip, const struct large *l, bool reuse, uint32_t *missing,
			uint32_t *id)
{
	uint8_t bitmap[1] = { 0 };
	uint16_t status;
	uint32_t prog, i;

	*missing = 0;
	status = begin(chip, l, &prog);
	if (status)
		return status;
	if (reuse)
		assert_int_equal(mx_chip_prog_reuse(chip, prog, 0, l->nr, l->digest, bitmap), 0);
	status = mx_chip_prog_write(chip, prog, 0, &l->section, sizeof(l->section));
	for (i = 0; i < l->nr && !status; i++) {
		uint64_t left = l->params_bytes - i * CHUNK;

		if (bitmap[0] >> i & 1)
			continue;
		status = mx_chip_prog_write(chip, prog, MXACCEL_PAGE + i * CHUNK,
					    l->params + i * CHUNK, left < CHUNK ? left : CHUNK);
		*missing += 1;
	}
	if (!status)
		return mx_chip_prog_commit(chip, prog, id);
	assert_int_equal(mx_chip_prog_abort(chip, prog), 0);
	return status;
}

static inline void must_program(struct mx_chip *chip, const struct large *l, uint32_t missing,
			 uint32_t *id)
{
	uint32_t written;

	assert_int_equal(program(chip, l, true, &written, id), 0);
	assert_int_equal(written, missing);
	mx_chip_model_put(chip, *id);
}

static inline bool resident(struct mx_chip *chip, const struct large *l)
{
	uint32_t id;

	return mx_chip_model_find(chip, l->content, &id) == MXACCEL_ST_SUCCESS;
}

/* Is the model there, byte for byte, as jobs would see it? */
static inline void assert_intact(struct mx_chip *chip, const struct large *l)
{
	struct mx_model *model;
	uint32_t id;

	assert_int_equal(mx_chip_model_find(chip, l->content, &id), 0);
	model = mx_directory_model(chip, id);
	assert_memory_equal(model->head, &l->section, sizeof(l->section));
	assert_memory_equal(model->params, l->params, l->params_bytes);
}

static inline uint64_t free_chunks(struct mx_chip *chip)
{
	struct mxaccel_identify page;

	mx_chip_identify(chip, &page);
	assert_int_equal(page.free_bytes % CHUNK, 0);
	return page.free_bytes / CHUNK;
}

static inline struct mx_health health(struct mx_chip *chip)
{
	struct mx_health health;

	mx_chip_health(chip, &health);
	return health;
}

static inline uint64_t counter(struct mx_chip *chip, enum mxaccel_counter which)
{
	struct mx_counters counters;

	mx_chip_counters(chip, &counters);
	return counters.v[which];
}

static inline struct mx_chip *power_on_as(struct store *store, const struct mx_chip_config *c)
{
	struct mx_chip *chip = try_power_on(store, c);

	if (!chip)
		fail_msg("%s", err);
	return chip;
}

#endif /* LARGE_MODEL_H */
