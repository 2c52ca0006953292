// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The sequencer on models in memory: bits and counters equal to a plain
 * reference for every instruction set, thread count and batch, and every way
 * in which a job can fail.
 */
#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exec_model.h"
#include "exec_reference.h"
#include "kernels.h"
#include "pool.h"

#define CANARY 0xa5

/* The linker sends the chip's allocations here (--wrap); one of them can be made to fail. */
static int allocations, failing_allocation;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t nr, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t nr, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
	return ++allocations == failing_allocation ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t nr, size_t bytes)
{
	return ++allocations == failing_allocation ? NULL : __real_calloc(nr, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	return ++allocations == failing_allocation ? NULL : __real_aligned_alloc(alignment, bytes);
}

/**
 * struct host - the host's side of a job
 * @reads, @writes: calls
 * @fail_read, @fail_write: fail the call with this number
 * @stop_at_write: set job.stop to ABORTED in the write with this number
 * @thread: that must make the calls
 */
struct host {
	struct mx_job job;
	const int32_t *ids;
	uint8_t *out;
	uint64_t in_bytes, out_bytes, expected_offset;
	unsigned int reads, writes, fail_read, fail_write, stop_at_write;
	pthread_t thread;
};

static int host_read(void *opaque, uint64_t offset, void *to, uint64_t bytes)
{
	struct host *host = opaque;

	if (!pthread_equal(host->thread, pthread_self()) || offset > host->in_bytes ||
	    bytes > host->in_bytes - offset)
		abort();
	if (++host->reads == host->fail_read)
		return -5;
	memcpy(to, (const uint8_t *)host->ids + offset, bytes);
	return 0;
}

static int host_write(void *opaque, uint64_t offset, const void *from, uint64_t bytes)
{
	struct host *host = opaque;

	if (!pthread_equal(host->thread, pthread_self()) || offset != host->expected_offset ||
	    offset > host->out_bytes || bytes > host->out_bytes - offset)
		abort();
	if (++host->writes == host->fail_write)
		return -5;
	if (host->writes == host->stop_at_write)
		atomic_store(&host->job.stop, MXACCEL_ST_ABORTED);
	memcpy(host->out + offset, from, bytes);
	host->expected_offset += bytes;
	return 0;
}

struct chip {
	struct mx_chip chip;
	struct exec_model *m;
};

static void chip_start(struct chip *c, enum mx_isa isa, uint32_t threads)
{
	memset(c, 0, sizeof(*c));
	c->chip.config = exec_config;
	c->chip.kernels = mx_kernels_get(isa);
	c->chip.pool = mx_pool_new(threads);
	assert_non_null(c->chip.pool);
	c->m = exec_model_make(7);
}

static void chip_stop(struct chip *c)
{
	mx_pool_free(c->chip.pool);
	exec_model_free(c->m);
}

static uint64_t out_elements(const struct chip *c, uint32_t entry, uint32_t nr_seq,
			     uint32_t tokens)
{
	const struct mxaccel_entry *e = &c->m->model.entry[entry];

	return (uint64_t)nr_seq * e->out_cols * (e->out_kind == MXACCEL_REGION_SEQ ? 1 : tokens);
}

/* Prepares a job whose output area is filled with canaries. */
static struct host *host_new(const struct chip *c, uint32_t entry, const int32_t *ids,
			     uint32_t nr_seq, uint32_t tokens)
{
	struct host *host = calloc(1, sizeof(*host));

	host->job.entry = entry;
	host->job.nr_seq = nr_seq;
	host->job.tokens = tokens;
	host->job.read = host_read;
	host->job.write = host_write;
	host->job.opaque = host;
	host->ids = ids;
	host->thread = pthread_self();
	host->in_bytes = 4ull * nr_seq * tokens;
	host->out_bytes = 4 * out_elements(c, entry, nr_seq, tokens);
	host->out = malloc(host->out_bytes);
	memset(host->out, CANARY, host->out_bytes);
	return host;
}

static void host_free(struct host *host)
{
	free(host->out);
	free(host);
}

static uint16_t run(struct chip *c, struct host *host)
{
	mx_exec(&c->chip, &c->m->model, &host->job);
	return host->job.status;
}

/* Ragged sequences, some with a zero in their middle or at their start, some of one id. */
static int32_t *random_ids(uint32_t nr_seq, uint32_t tokens, uint32_t seed)
{
	int32_t *ids = calloc((uint64_t)nr_seq * tokens, sizeof(*ids));
	uint32_t s, t, length;

	srand(seed);
	for (s = 0; s < nr_seq; s++) {
		length = s % 3 == 1 ? 1 : 1 + rand() % tokens;
		for (t = 0; t < length; t++)
			ids[s * tokens + t] = rand() % 8 ? rand() % EXEC_VOCAB : 0;
		ids[s * tokens + length - 1] = 1 + rand() % (EXEC_VOCAB - 1);
	}
	return ids;
}

static void assert_counters(const struct mx_counters *got, const struct mx_counters *want)
{
	int i;

	for (i = 0; i < MXACCEL_CTR_NR; i++)
		if (got->v[i] != want->v[i])
			fail_msg("counter %d is %llu, not %llu", i, (unsigned long long)got->v[i],
				 (unsigned long long)want->v[i]);
}

/* Without time and energy, which test_cost.c is about. */
static void assert_events(const struct mx_counters *got, const struct mx_counters *want)
{
	struct mx_counters events = *got;

	events.v[MXACCEL_CTR_CYCLES] = 0;
	memset(&events.v[MXACCEL_CTR_BUSY_LARGE], 0,
	       (MXACCEL_CTR_ENERGY_STATIC + 1 - MXACCEL_CTR_BUSY_LARGE) * sizeof(uint64_t));
	assert_counters(&events, want);
}

static void assert_bits(const void *got, const float *want, uint64_t elements)
{
	uint64_t i;

	for (i = 0; i < elements; i++)
		if (memcmp((const float *)got + i, want + i, 4))
			fail_msg("element %llu is %a, not %a", (unsigned long long)i,
				 ((const float *)got)[i], want[i]);
}

static void reference(struct chip *c, uint32_t entry, const int32_t *ids, uint32_t nr_seq,
		      uint32_t tokens, float *out, struct mx_counters *counters)
{
	uint64_t each = out_elements(c, entry, 1, tokens);
	uint32_t s;

	memset(counters, 0, sizeof(*counters));
	for (s = 0; s < nr_seq; s++)
		reference_run(&c->chip.config, &c->m->model, entry, ids + s * tokens, tokens,
			      out + s * each, counters);
	counters->v[MXACCEL_CTR_JOBS] = 1;
	counters->v[MXACCEL_CTR_DMA_READ_BYTES] = 4ull * nr_seq * tokens;
	counters->v[MXACCEL_CTR_DMA_WRITE_BYTES] = 4 * nr_seq * each;
}

/* All instruction sets and thread counts on one job. */
static void compare(uint32_t entry, uint32_t nr_seq, uint32_t tokens, uint32_t seed)
{
	static const uint32_t threads[] = { 1, 2, 4 };
	int32_t *ids = random_ids(nr_seq, tokens, seed);
	struct mx_counters events, counters;
	float *want = NULL;
	struct host *host;
	struct chip c;
	enum mx_isa isa;
	uint64_t nr;
	int t;

	for (isa = MX_ISA_PORTABLE; isa <= MX_ISA_AVX512; isa++) {
		for (t = 0; t < 3 && mx_isa_available(isa); t++) {
			chip_start(&c, isa, threads[t]);
			nr = out_elements(&c, entry, nr_seq, tokens);
			if (!want) {
				want = malloc(nr * sizeof(*want));
				reference(&c, entry, ids, nr_seq, tokens, want, &events);
				memset(&counters, 0, sizeof(counters));
			}
			host = host_new(&c, entry, ids, nr_seq, tokens);
			assert_int_equal(run(&c, host), MXACCEL_ST_SUCCESS);
			assert_bits(host->out, want, nr);
			assert_events(&host->job.counters, &events);
			if (!counters.v[MXACCEL_CTR_JOBS])
				counters = host->job.counters;
			assert_counters(&host->job.counters, &counters);
			assert_true(host->job.result == counters.v[MXACCEL_CTR_CYCLES]);
			host_free(host);
			chip_stop(&c);
		}
	}
	free(want);
	free(ids);
}

static void equals_the_reference(void **state)
{
	(void)state;
	compare(EXEC_ENTRY_TOKENS, 1, 1, 1);
	compare(EXEC_ENTRY_TOKENS, 1, 2, 2);
	compare(EXEC_ENTRY_TOKENS, 1, 17, 3);
	compare(EXEC_ENTRY_TOKENS, 1, EXEC_TOKENS, 4);
	compare(EXEC_ENTRY_TOKENS, 7, 33, 5);
	compare(EXEC_ENTRY_SENTENCE, 1, 1, 6);
	compare(EXEC_ENTRY_SENTENCE, 40, 64, 7);
}

static void many_chunks_equal_the_reference(void **state)
{
	(void)state;
	compare(EXEC_ENTRY_TOKENS, 23, EXEC_TOKENS, 8);
	compare(EXEC_ENTRY_SENTENCE, 1200, 2, 9);
}

/* A chip whose storage for intermediates holds one sequence at a time gives the same. */
static void a_small_chip_gives_the_same(void **state)
{
	int32_t *ids = random_ids(9, 40, 10);
	struct host *host, *small;
	struct chip c;

	(void)state;
	chip_start(&c, MX_ISA_AUTO, 2);
	host = host_new(&c, EXEC_ENTRY_TOKENS, ids, 9, 40);
	small = host_new(&c, EXEC_ENTRY_TOKENS, ids, 9, 40);
	assert_int_equal(run(&c, host), MXACCEL_ST_SUCCESS);
	c.chip.config.bank_rows = 16;
	c.chip.config.bank_cols = 16;
	assert_int_equal(run(&c, small), MXACCEL_ST_SUCCESS);
	assert_bits(small->out, (const float *)host->out, host->out_bytes / 4);
	assert_counters(&small->job.counters, &host->job.counters);
	host_free(host);
	host_free(small);
	chip_stop(&c);
	free(ids);
}

/* A sequence gives the same bits alone, in any batch, and with any padding. */
static void batch_and_padding_do_not_matter(void **state)
{
	enum { SEQS = 30, LENGTH = 45, WIDE = 101 };
	int32_t *ids = random_ids(SEQS, LENGTH, 11), *wide = calloc(SEQS * WIDE, sizeof(*wide));
	struct host *batch, *alone, *padded;
	uint64_t each;
	struct chip c;
	uint32_t s;

	(void)state;
	chip_start(&c, MX_ISA_AUTO, 2);
	for (s = 0; s < SEQS; s++)	/* and in reverse order */
		memcpy(wide + s * WIDE, ids + (SEQS - 1 - s) * LENGTH, LENGTH * sizeof(*ids));
	batch = host_new(&c, EXEC_ENTRY_TOKENS, ids, SEQS, LENGTH);
	padded = host_new(&c, EXEC_ENTRY_TOKENS, wide, SEQS, WIDE);
	assert_int_equal(run(&c, batch), MXACCEL_ST_SUCCESS);
	assert_int_equal(run(&c, padded), MXACCEL_ST_SUCCESS);
	each = out_elements(&c, EXEC_ENTRY_TOKENS, 1, LENGTH);
	for (s = 0; s < SEQS; s++) {
		const float *got = (const float *)batch->out + s * each;

		alone = host_new(&c, EXEC_ENTRY_TOKENS, ids + s * LENGTH, 1, LENGTH);
		assert_int_equal(run(&c, alone), MXACCEL_ST_SUCCESS);
		assert_bits(alone->out, got, each);
		assert_bits((const float *)padded->out +
			    out_elements(&c, EXEC_ENTRY_TOKENS, SEQS - 1 - s, WIDE), got, each);
		host_free(alone);
	}
	host_free(batch);
	host_free(padded);
	chip_stop(&c);
	free(ids);
	free(wide);
}

/* Rounding mode of the caller: neither used nor changed. */
static void rounding_mode_does_not_matter(void **state)
{
	int32_t *ids = random_ids(3, 30, 12);
	struct host *host, *other;
	struct chip c;

	(void)state;
	chip_start(&c, MX_ISA_AUTO, 1);
	host = host_new(&c, EXEC_ENTRY_TOKENS, ids, 3, 30);
	other = host_new(&c, EXEC_ENTRY_TOKENS, ids, 3, 30);
	assert_int_equal(run(&c, host), MXACCEL_ST_SUCCESS);
	fesetround(FE_UPWARD);
	assert_int_equal(run(&c, other), MXACCEL_ST_SUCCESS);
	assert_int_equal(fegetround(), FE_UPWARD);
	fesetround(FE_TONEAREST);
	assert_bits(other->out, (const float *)host->out, host->out_bytes / 4);
	host_free(host);
	host_free(other);
	chip_stop(&c);
	free(ids);
}

/* A job that fails before anything ran: status, result, and nothing written or counted. */
static void refused(struct chip *c, const int32_t *ids, uint32_t nr_seq, uint32_t tokens,
		    uint16_t status, uint64_t result)
{
	struct host *host = host_new(c, EXEC_ENTRY_TOKENS, ids, nr_seq, tokens);
	struct mx_counters want = { 0 };

	assert_int_equal(run(c, host), status);
	assert_int_equal(host->job.result, result);
	assert_int_equal(host->writes, 0);
	want.v[MXACCEL_CTR_JOBS_FAILED] = 1;
	want.v[MXACCEL_CTR_DMA_READ_BYTES] = host->in_bytes;
	want.v[MXACCEL_CTR_ENERGY_HOST] = host->in_bytes * 8 * 6 * 1000; /* 6 pJ a bit */
	assert_counters(&host->job.counters, &want);
	host_free(host);
}

static void bad_ids(void **state)
{
	static const int32_t values[] = { EXEC_VOCAB, -1, INT32_MAX, INT32_MIN };
	enum { SEQS = 5, LENGTH = 20 };
	int32_t *ids = random_ids(SEQS, LENGTH, 13), saved;
	struct chip c;
	uint32_t at, v;

	(void)state;
	chip_start(&c, MX_ISA_AUTO, 2);
	for (at = 0; at < SEQS * LENGTH; at += 9) {
		saved = ids[at];
		for (v = 0; v < 4; v++) {
			ids[at] = values[v];
			refused(&c, ids, SEQS, LENGTH, MXACCEL_ST_INPUT_TOKEN, at);
		}
		ids[at] = saved;
	}
	/* The last of the whole input is checked before the first sequence runs. */
	ids[SEQS * LENGTH - 1] = EXEC_VOCAB;
	refused(&c, ids, SEQS, LENGTH, MXACCEL_ST_INPUT_TOKEN, SEQS * LENGTH - 1);
	ids[SEQS * LENGTH - 1] = EXEC_VOCAB - 1;
	memset(ids + 3 * LENGTH, 0, LENGTH * sizeof(*ids));
	refused(&c, ids, SEQS, LENGTH, MXACCEL_ST_INPUT_EMPTY, 3);
	memset(ids, 0, SEQS * LENGTH * sizeof(*ids));
	refused(&c, ids, SEQS, LENGTH, MXACCEL_ST_INPUT_EMPTY, 0);
	chip_stop(&c);
	free(ids);
}

/* An infinite scale of one table row reaches only the sequences with that id. */
static void infinities_are_found(void **state)
{
	int32_t ids[2][3] = { { 5, 6, 7 }, { 8, 9, 10 } };
	struct host *host;
	struct chip c;
	float *scale;

	(void)state;
	chip_start(&c, MX_ISA_AUTO, 2);
	scale = (float *)(c.m->params + c.m->first_scale);
	scale[3] = INFINITY;
	host = host_new(&c, EXEC_ENTRY_TOKENS, ids[0], 2, 3);
	assert_int_equal(run(&c, host), MXACCEL_ST_SUCCESS);
	host_free(host);

	/* The first op that quantises is the first product. */
	ids[1][1] = 3;
	host = host_new(&c, EXEC_ENTRY_TOKENS, ids[0], 2, 3);
	assert_int_equal(run(&c, host), MXACCEL_ST_NON_FINITE);
	assert_int_equal(host->job.result, exec_model_op(c.m, EXEC_ENTRY_TOKENS,
							 MXACCEL_OP_MATMUL));
	assert_int_equal(host->writes, 0);
	assert_int_equal(host->job.counters.v[MXACCEL_CTR_JOBS_FAILED], 1);
	assert_int_equal(host->job.counters.v[MXACCEL_CTR_JOBS], 0);
	assert_int_equal(host->job.counters.v[MXACCEL_CTR_SFU_EMBED], 3 * 6 * EXEC_WIDTH);
	assert_int_equal(host->job.counters.v[MXACCEL_CTR_MACS_STATIC], 0);
	host_free(host);
	chip_stop(&c);
}

/* What goes wrong after the last product is seen by STORE. */
static void store_looks_for_infinities(void **state)
{
	int32_t ids[2][3] = { { 5, 6, 7 }, { 8, 9, 10 } };
	const struct mxaccel_op *op;
	struct host *host;
	struct chip c;
	uint32_t entry, i;

	(void)state;
	for (entry = 0; entry < EXEC_ENTRIES; entry++) {
		chip_start(&c, MX_ISA_AUTO, 1);
		op = &c.m->model.op[c.m->model.entry[entry].first_op];
		i = c.m->model.entry[entry].nr_ops - 1;
		/* The last op with parameters spoils one column of the result. */
		while (op[i].opcode != (entry ? MXACCEL_OP_MATMUL : MXACCEL_OP_NORM))
			i--;
		((float *)(c.m->params + op[i].b_off))[9] = NAN;
		host = host_new(&c, entry, ids[0], 2, 3);
		assert_int_equal(run(&c, host), MXACCEL_ST_NON_FINITE);
		assert_int_equal(host->job.result, exec_model_op(c.m, entry, MXACCEL_OP_STORE));
		assert_int_equal(host->job.counters.v[MXACCEL_CTR_SEQUENCES], 0);
		assert_true(host->job.counters.v[MXACCEL_CTR_MACS_STATIC] > 0);
		host_free(host);
		chip_stop(&c);
	}
}

static void dma_errors(void **state)
{
	int32_t *ids = random_ids(30, EXEC_TOKENS, 14);
	struct host *host, *failed;
	uint64_t i;
	struct chip c;

	(void)state;
	chip_start(&c, MX_ISA_AUTO, 2);
	failed = host_new(&c, EXEC_ENTRY_TOKENS, ids, 30, EXEC_TOKENS);
	failed->fail_read = 1;
	assert_int_equal(run(&c, failed), MXACCEL_ST_DMA_ERROR);
	assert_int_equal(failed->writes, 0);
	assert_int_equal(failed->job.counters.v[MXACCEL_CTR_DMA_READ_BYTES], 0);
	host_free(failed);

	host = host_new(&c, EXEC_ENTRY_TOKENS, ids, 30, EXEC_TOKENS);
	assert_int_equal(run(&c, host), MXACCEL_ST_SUCCESS);
	assert_true(host->writes >= 2);
	failed = host_new(&c, EXEC_ENTRY_TOKENS, ids, 30, EXEC_TOKENS);
	failed->fail_write = host->writes;
	assert_int_equal(run(&c, failed), MXACCEL_ST_DMA_ERROR);
	assert_int_equal(failed->job.counters.v[MXACCEL_CTR_JOBS_FAILED], 1);
	assert_int_equal(failed->job.counters.v[MXACCEL_CTR_DMA_WRITE_BYTES],
			 failed->expected_offset);
	assert_memory_equal(failed->out, host->out, failed->expected_offset);
	for (i = failed->expected_offset; i < failed->out_bytes; i++)
		assert_int_equal(failed->out[i], CANARY);
	host_free(host);
	host_free(failed);
	chip_stop(&c);
	free(ids);
}

/* Each allocation of a job in turn: a clear status, no leak (sanitizers tell), and a next job. */
static void lack_of_memory(void **state)
{
	int32_t *ids = random_ids(4, 20, 16);
	struct host *host;
	struct chip c;
	uint16_t status;
	int which = 0;

	(void)state;
	chip_start(&c, MX_ISA_AUTO, 2);
	do {
		host = host_new(&c, EXEC_ENTRY_SENTENCE, ids, 4, 20);
		allocations = 0;
		failing_allocation = ++which;
		status = run(&c, host);
		failing_allocation = 0;
		if (status)
			assert_int_equal(status, MXACCEL_ST_NO_MEMORY);
		assert_int_equal(host->job.counters.v[MXACCEL_CTR_JOBS_FAILED], status != 0);
		assert_int_equal(host->job.counters.v[MXACCEL_CTR_JOBS], status == 0);
		host_free(host);
	} while (status);
	/* The job itself, ids, lengths, two tables of regions, and the buffers. */
	assert_true(which > 8);
	chip_stop(&c);
	free(ids);
}

static void stopping(void **state)
{
	int32_t *ids = random_ids(60, EXEC_TOKENS, 15);
	struct host *host;
	struct chip c;

	(void)state;
	chip_start(&c, MX_ISA_AUTO, 2);
	host = host_new(&c, EXEC_ENTRY_TOKENS, ids, 60, EXEC_TOKENS);
	host->job.stop = MXACCEL_ST_TIMEOUT;
	assert_int_equal(run(&c, host), MXACCEL_ST_TIMEOUT);
	assert_int_equal(host->reads, 0);
	assert_int_equal(host->job.counters.v[MXACCEL_CTR_JOBS_FAILED], 1);
	host_free(host);

	/* Stopped in the middle: some sequences were done, and are counted, others not. */
	host = host_new(&c, EXEC_ENTRY_TOKENS, ids, 60, EXEC_TOKENS);
	host->stop_at_write = 2;
	assert_int_equal(run(&c, host), MXACCEL_ST_ABORTED);
	assert_int_equal(host->job.counters.v[MXACCEL_CTR_JOBS], 0);
	assert_true(host->job.counters.v[MXACCEL_CTR_SEQUENCES] > 0);
	assert_true(host->job.counters.v[MXACCEL_CTR_SEQUENCES] < 60);
	assert_true(host->expected_offset < host->out_bytes);
	assert_int_equal(host->out[host->expected_offset], CANARY);
	host_free(host);

	/* The chip goes on. */
	host = host_new(&c, EXEC_ENTRY_TOKENS, ids, 60, EXEC_TOKENS);
	assert_int_equal(run(&c, host), MXACCEL_ST_SUCCESS);
	host_free(host);
	chip_stop(&c);
	free(ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_the_reference),
		cmocka_unit_test(many_chunks_equal_the_reference),
		cmocka_unit_test(a_small_chip_gives_the_same),
		cmocka_unit_test(batch_and_padding_do_not_matter),
		cmocka_unit_test(rounding_mode_does_not_matter),
		cmocka_unit_test(bad_ids),
		cmocka_unit_test(infinities_are_found),
		cmocka_unit_test(store_looks_for_infinities),
		cmocka_unit_test(dma_errors),
		cmocka_unit_test(lack_of_memory),
		cmocka_unit_test(stopping),
	};

	return cmocka_run_group_tests_name("sequencer", tests, NULL, NULL);
}
