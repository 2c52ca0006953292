// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The cost model on the chips of chips/ and variants of them: counters are
 * conserved, schedules possible, shortcuts exact, and what a chip cannot know
 * before a job is what it counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "area.h"
#include "config_keys.h"
#include "cost.h"
#include "exec_model.h"
#include "kernels.h"
#include "pool.h"

#define MAX_SEQ 12

struct variant {
	const char *chip;
	const char *from, *to;	/* a line of the chip file, or NULL */
};

static const struct variant variants[] = {
	{ "mx1", NULL, NULL },
	{ "mx1", "kind = digital", "kind = crossbar" },
	{ "mx1", "port_bytes = 64", "port_bytes = 1" },
	{ "tiny", NULL, NULL },
	{ "mx1-inplace", NULL, NULL },
	{ "mx1-inplace", "groups = 3072", "groups = 40" },
	{ "mx1-inplace", "contexts = 64", "contexts = 3" },
	{ "isaac-mb", NULL, NULL },
	{ "isaac-mb", "mode = rewrite", "mode = offchip" },
	{ "isaac-mb", "kv_barrier = 0", "kv_barrier = 1" },
	{ "isaac-mb", "overlap_link = 0", "overlap_link = 1" },
	{ "isaac-sb", NULL, NULL },
};

static void read_variant(const struct variant *variant, struct mx_chip_config *config)
{
	static char text[1 << 16];
	char path[128], err[256] = "", *at;
	size_t bytes, from;
	FILE *file;

	snprintf(path, sizeof(path), "qemu-device/chips/%s.ini", variant->chip);
	file = fopen(path, "r");
	assert_non_null(file);
	bytes = fread(text, 1, sizeof(text) - 64, file);
	fclose(file);
	text[bytes] = '\0';
	if (variant->from) {
		at = strstr(text, variant->from);
		assert_non_null(at);
		from = strlen(variant->from);
		memmove(at + strlen(variant->to), at + from, strlen(at + from) + 1);
		memcpy(at, variant->to, strlen(variant->to));
	}
	if (mx_chip_config_parse(config, variant->chip, text, strlen(text), err, sizeof(err)))
		fail_msg("%s: %s", path, err);
}

/* A random batch on the model of the sequencer's tests. */
struct batch {
	struct mx_chip chip;
	struct exec_model *m;
	struct mx_job job;
	int32_t *ids;
	uint32_t length[MAX_SEQ];
	uint8_t *out;
	struct mx_counters *op;
	uint32_t writes, fail_write;
	uint64_t written;
};

static int batch_read(void *opaque, uint64_t offset, void *to, uint64_t bytes)
{
	struct batch *b = opaque;

	memcpy(to, (const uint8_t *)b->ids + offset, bytes);
	return 0;
}

static int batch_write(void *opaque, uint64_t offset, const void *from, uint64_t bytes)
{
	struct batch *b = opaque;

	if (++b->writes == b->fail_write)
		return -5;
	memcpy(b->out + offset, from, bytes);
	b->written = offset + bytes;
	return 0;
}

static void batch_start(struct batch *b, const struct mx_chip_config *config, uint32_t entry,
			uint32_t nr_seq, uint32_t tokens, uint32_t seed)
{
	uint32_t s, t;

	memset(b, 0, sizeof(*b));
	b->chip.config = *config;
	b->chip.kernels = mx_kernels_get(MX_ISA_AUTO);
	b->chip.pool = mx_pool_new(2);
	b->m = exec_model_make(seed);
	exec_model_place(b->m, config);
	b->ids = calloc(nr_seq * tokens, sizeof(*b->ids));
	srand(seed);
	for (s = 0; s < nr_seq; s++) {
		b->length[s] = rand() % 4 ? 1 + rand() % tokens : tokens;
		for (t = 0; t < b->length[s]; t++)
			b->ids[s * tokens + t] = 1 + rand() % (EXEC_VOCAB - 1);
	}
	b->job = (struct mx_job){ .entry = entry, .nr_seq = nr_seq, .tokens = tokens,
				  .read = batch_read, .write = batch_write, .opaque = b };
	b->out = malloc(nr_seq * tokens * EXEC_WIDTH * 4);
	b->op = calloc(b->m->model.entry[entry].nr_ops + 1, sizeof(*b->op));
	b->job.op_counters = b->op;
}

static void batch_end(struct batch *b)
{
	mx_pool_free(b->chip.pool);
	exec_model_free(b->m);
	free(b->ids);
	free(b->out);
	free(b->op);
}

static void assert_conserved(const struct batch *b)
{
	uint32_t nr_ops = b->m->model.entry[b->job.entry].nr_ops, i, j;
	uint64_t sum;

	for (i = 0; i < MXACCEL_CTR_NR; i++) {
		if (i == MXACCEL_CTR_CYCLES || i == MXACCEL_CTR_JOBS ||
		    i == MXACCEL_CTR_JOBS_FAILED)
			continue;
		for (sum = j = 0; j <= nr_ops; j++)
			sum += b->op[j].v[i];
		if (sum != b->job.counters.v[i])
			fail_msg("counter %u: ops have %llu, the job %llu", i,
				 (unsigned long long)sum,
				 (unsigned long long)b->job.counters.v[i]);
	}
}

static void ops_add_up_to_the_job(void **state)
{
	struct mx_chip_config config;
	struct batch b;
	size_t i;
	uint32_t seed;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(variants); i++) {
		read_variant(&variants[i], &config);
		for (seed = 0; seed < 4; seed++) {
			batch_start(&b, &config, seed % 2, 1 + 3 * seed, 60, seed);
			b.fail_write = seed == 3;
			mx_exec(&b.chip, &b.m->model, &b.job);
			assert_int_equal(b.job.status, seed == 3 ? MXACCEL_ST_DMA_ERROR : 0);
			assert_conserved(&b);
			assert_true(b.job.counters.v[MXACCEL_CTR_CYCLES] > 0);
			assert_true(b.job.counters.v[MXACCEL_CTR_ENERGY_HOST] > 0);
			batch_end(&b);
		}
	}
}

/* -------------------------------------------------------------- schedules */

static void count_span(void *opaque, const struct mxaccel_span *span)
{
	(void)span;
	++*(uint64_t *)opaque;
}

/*
 * Recording and repeating of equal segments, which is done where nobody looks,
 * gives the ticks and stalls of the schedule worked out token by token.
 */
static void repeating_layers_is_exact(void **state)
{
	struct mx_schedule_seq seq[MAX_SEQ];
	struct mx_schedule slow, fast;
	struct mx_chip_config config;
	uint64_t spans = 0;
	struct batch b;
	uint32_t seed, i, nr;
	size_t v;

	(void)state;
	for (v = 0; v < ARRAY_SIZE(variants); v++) {
		read_variant(&variants[v], &config);
		for (seed = 0; seed < 6; seed++) {
			const struct mxaccel_entry *entry;

			nr = seed < 3 ? 1 : 2 * seed;
			batch_start(&b, &config, seed % 2, nr, 1 + 20 * seed, seed);
			entry = &b.m->model.entry[seed % 2];
			for (i = 0; i < nr; i++)
				seq[i] = (struct mx_schedule_seq){ b.length[i], entry->nr_ops };
			if (seed == 4)	/* some failed half-way */
				seq[nr - 1].nr_ops = entry->nr_ops / 2;
			if (seed == 5)
				seq[1].nr_ops = 1;
			assert_true(mx_schedule_init(&slow, &config, &b.m->model, entry, 200));
			assert_true(mx_schedule_init(&fast, &config, &b.m->model, entry, 200));
			slow.span = count_span;
			slow.opaque = &spans;
			mx_schedule_run(&slow, seq, nr);
			mx_schedule_run(&fast, seq, nr);
			assert_true(spans > 0);
			assert_true(slow.ticks == fast.ticks);
			assert_memory_equal(slow.times, fast.times,
					    entry->nr_ops * sizeof(*slow.times));
			/* And once more: nothing depends on what was before. */
			mx_schedule_run(&fast, seq, nr);
			assert_true(slow.ticks == fast.ticks);
			assert_memory_equal(slow.times, fast.times,
					    entry->nr_ops * sizeof(*slow.times));
			mx_schedule_free(&slow);
			mx_schedule_free(&fast);
			batch_end(&b);
		}
	}
}

/* End of the last use of each unit, and the busy ticks of each resource. */
struct units {
	uint64_t end[MXACCEL_RES_NR][256];
	uint64_t busy[MXACCEL_RES_NR];
};

static void check_spans(const struct mxaccel_span *span, uint64_t nr, const struct batch *b,
			struct units *units)
{
	uint64_t i, start = 0;

	for (i = 0; i < nr; i++) {
		assert_true(span[i].start >= start);
		start = span[i].start;
		assert_true(span[i].seq < b->job.nr_seq);
		assert_true(span[i].token < b->length[span[i].seq] ||
			    span[i].token == MXACCEL_SPAN_ALL);
		assert_true(span[i].op < b->m->model.entry[b->job.entry].nr_ops);
		assert_true(span[i].resource < MXACCEL_RES_NR && span[i].unit < 256);
		/* Nothing is used twice at once. */
		assert_true(span[i].start >= units->end[span[i].resource][span[i].unit]);
		units->end[span[i].resource][span[i].unit] = start + span[i].ticks;
		units->busy[span[i].resource] += span[i].ticks;
	}
}

static void schedules_are_possible(void **state)
{
	struct mx_chip_config config;
	struct mxaccel_span *span;
	struct units *units;
	struct batch b;
	uint64_t nr;
	size_t v;
	int r;

	(void)state;
	for (v = 0; v < ARRAY_SIZE(variants); v++) {
		read_variant(&variants[v], &config);
		batch_start(&b, &config, EXEC_ENTRY_TOKENS, 5, 50, (uint32_t)v);
		mx_exec(&b.chip, &b.m->model, &b.job);
		assert_int_equal(b.job.status, MXACCEL_ST_SUCCESS);
		struct mx_counters ran = b.job.counters;

		/* Without room the number of spans is told, and nothing written. */
		b.writes = 0;
		b.job.out_room = sizeof(*span) - 1;
		mx_exec_schedule(&b.chip, &b.m->model, &b.job);
		assert_int_equal(b.job.status, MXACCEL_ST_SUCCESS);
		assert_int_equal(b.writes, 0);
		nr = b.job.result;
		assert_true(nr > 50);

		free(b.out);
		span = malloc(nr * sizeof(*span));
		b.out = (uint8_t *)span;
		b.job.out_room = (nr - 1) * sizeof(*span) + 5;
		mx_exec_schedule(&b.chip, &b.m->model, &b.job);
		assert_int_equal(b.job.result, nr);
		assert_int_equal(b.written, (nr - 1) * sizeof(*span));
		b.job.out_room = nr * sizeof(*span);
		mx_exec_schedule(&b.chip, &b.m->model, &b.job);
		assert_int_equal(b.job.result, nr);
		assert_int_equal(b.written, nr * sizeof(*span));

		units = calloc(1, sizeof(*units));
		check_spans(span, nr, &b, units);
		/* What the spans show is what was counted, LARGE apart, of which there are more. */
		for (r = MXACCEL_RES_SMALL; r < MXACCEL_RES_NR; r++) {
			uint64_t cycles = ran.v[MXACCEL_CTR_BUSY_LARGE + r], slack;

			slack = b.m->model.entry[0].nr_ops;
			assert_true(units->busy[r] / MXACCEL_TICKS <= cycles + slack &&
				    cycles <= units->busy[r] / MXACCEL_TICKS + slack);
		}
		free(units);

		b.writes = 0;
		b.fail_write = 1;
		mx_exec_schedule(&b.chip, &b.m->model, &b.job);
		assert_int_equal(b.job.status, MXACCEL_ST_DMA_ERROR);
		batch_end(&b);
	}
}

/* Two sequences at once take less time than one after the other, where that is done. */
static void sequences_overlap(void **state)
{
	static const struct {
		struct variant variant;
		bool overlap;
	} cases[] = {
		{ { "mx1", NULL, NULL }, false },
		{ { "mx1-inplace", NULL, NULL }, true },
		{ { "mx1-inplace", "contexts = 64", "contexts = 3" }, false },
		{ { "isaac-mb", NULL, NULL }, true },
	};
	struct mx_schedule_seq seq[2];
	struct mx_schedule schedule;
	struct mx_chip_config config;
	struct batch b;
	uint64_t one;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		read_variant(&cases[i].variant, &config);
		batch_start(&b, &config, 0, 1, 60, 1);
		seq[0].length = seq[1].length = 60;
		seq[0].nr_ops = seq[1].nr_ops = b.m->model.entry[0].nr_ops;
		assert_true(mx_schedule_init(&schedule, &config, &b.m->model,
					     &b.m->model.entry[0], 60));
		mx_schedule_run(&schedule, seq, 1);
		one = schedule.ticks;
		mx_schedule_run(&schedule, seq, 2);
		if (cases[i].overlap)
			assert_true(schedule.ticks < 2 * one && schedule.ticks > one);
		else
			assert_true(schedule.ticks == 2 * one);
		mx_schedule_free(&schedule);
		batch_end(&b);
	}
}

/* Figures at the ends of their ranges, all at once: large results, none that wrapped. */
static void extreme_figures_do_not_wrap(void **state)
{
	const struct variant mx1 = { "mx1", "kind = digital", "kind = crossbar" };
	struct mx_chip_config config;
	uint64_t *v, cycles;
	struct batch b;

	(void)state;
	read_variant(&mx1, &config);
	config.clock_khz = 100000000;
	config.small_rows = config.small_cols = 65536;
	config.adc_bits = config.fabric_adcs = config.fabric_crossbars = config.adc_mhz = 1;
	config.dac_bits = config.digit_bits = 8;
	config.energy.adc = config.energy.dac = 1000000;
	config.power.misc_mw = 1000000;
	batch_start(&b, &config, 0, 2, 60, 1);
	mx_exec(&b.chip, &b.m->model, &b.job);
	assert_int_equal(b.job.status, MXACCEL_ST_SUCCESS);
	assert_conserved(&b);
	v = b.job.counters.v;
	cycles = MX_STAGE_MOST / MXACCEL_TICKS;
	assert_true(v[MXACCEL_CTR_CYCLES] >= cycles * (b.length[0] + b.length[1]));
	assert_true(v[MXACCEL_CTR_CYCLES] < 1ull << 50);
	assert_true(v[MXACCEL_CTR_ENERGY_STATIC] == 1ull << 55);
	assert_true(v[MXACCEL_CTR_ENERGY_ADC] > 1ull << 55);
	assert_true(v[MXACCEL_CTR_ENERGY_ADC] % (1ull << 55) == 0);
	batch_end(&b);
}

/* ------------------------------------------------------------ any chip file */

static const struct mx_key *find_key(const char *section, const char *name,
				     enum mx_organisation kind)
{
	size_t i;

	for (i = 0; i < mx_nr_keys; i++)
		if (!strcmp(mx_keys[i].section, section) && !strcmp(mx_keys[i].name, name) &&
		    mx_keys[i].organisations & MX_OF(kind))
			return &mx_keys[i];
	fail_msg("no key %s in section [%s]", name, section);
	return NULL;
}

/* A value within the range of a key, of any size. */
static unsigned long long random_value(const struct mx_key *key)
{
	unsigned int width = 1, value = 0;

	while (key->max >> width)
		width++;
	value = (unsigned int)rand() & ((2ull << rand() % (width < 31 ? width : 31)) - 1);
	return value < key->min ? key->min : value > key->max ? key->max : value;
}

/* A shipped file with every eighth value another one. False: refused, with a sentence. */
static bool random_chip(const char *chip, enum mx_organisation kind, struct mx_chip_config *config)
{
	static char text[1 << 16];
	char line[256], section[32] = "", name[32], err[256] = "";
	const struct mx_key *key;
	size_t used = 0;
	FILE *file;

	snprintf(line, sizeof(line), "qemu-device/chips/%s.ini", chip);
	file = fopen(line, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "[%31[a-z]]", section) == 1 ||
		    sscanf(line, "%31[a-z0-9_] =", name) != 1 || rand() % 8) {
			used += sprintf(text + used, "%s", line);
			continue;
		}
		key = find_key(section, name, kind);
		if (key->type == MX_KEY_WORD)
			used += sprintf(text + used, "%s", line);
		else
			used += sprintf(text + used, "%s = %llu\n", name, random_value(key));
	}
	fclose(file);
	if (!mx_chip_config_parse(config, "any", text, used, err, sizeof(err)))
		return true;
	assert_memory_equal(err, "chip file any", 13);
	return false;
}

static void any_chip_file_has_costs(void **state)
{
	static const char *const chips[] = { "mx1", "mx1-inplace", "isaac-mb" };
	double parts[MX_AREA_NR], area;
	struct mx_chip_config config;
	uint32_t round, taken = 0;
	struct batch b;
	size_t c;

	(void)state;
	for (c = 0; c < ARRAY_SIZE(chips); c++) {
		for (round = 0; round < 300; round++) {
			srand(1000 * (uint32_t)c + round);
			if (!random_chip(chips[c], (enum mx_organisation)c, &config))
				continue;
			taken++;
			area = mx_chip_area(&config, 0, parts);
			assert_true(area >= 0 && area < 1e30);
			batch_start(&b, &config, round % 2, 1 + round % 3, 1 + round % 20, round);
			mx_exec(&b.chip, &b.m->model, &b.job);
			assert_int_equal(b.job.status, MXACCEL_ST_SUCCESS);
			assert_conserved(&b);
			assert_true(b.job.counters.v[MXACCEL_CTR_CYCLES] > 0);
			assert_true(b.job.counters.v[MXACCEL_CTR_CYCLES] < 1ull << 62);
			batch_end(&b);
		}
	}
	assert_true(taken > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ops_add_up_to_the_job),
		cmocka_unit_test(repeating_layers_is_exact),
		cmocka_unit_test(schedules_are_possible),
		cmocka_unit_test(sequences_overlap),
		cmocka_unit_test(extreme_figures_do_not_wrap),
		cmocka_unit_test(any_chip_file_has_costs),
	};

	return cmocka_run_group_tests_name("cost model", tests, NULL, NULL);
}
