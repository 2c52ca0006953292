// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Speed of the chip's exact product beside oneDNN's and beside what the host
 * can do at most, on one thread and on all CPUs. Prints JSON: times in seconds.
 * See Documentation/bench.rst.
 */
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec.h"
#include "internal.h"
#include "peer.h"
#include "roofline.h"
#include "turns.h"

/* ------------------------------------------------------------ roofline */

/* A turn of it is about as long as a product. */
#define TURNS 20000
#define READ_WORDS (32u << 20)

struct each {
	const uint64_t *data;
	uint64_t *copy;
	uint32_t threads;
};

static atomic_ullong read_sum;	/* used, so that reading is not left out */

static void peak_part(void *arg, uint64_t i)
{
	(void)arg;
	(void)i;
	roofline_vnni(TURNS);
}

static void read_part(void *arg, uint64_t i)
{
	struct each *each = arg;

	read_sum += roofline_read(each->data + i * (READ_WORDS / each->threads),
			      READ_WORDS / each->threads);
}

static void peak_one(void *arg)
{
	peak_part(arg, 0);
}

static struct mx_pool *pool;

static void peak_all(void *arg)
{
	mx_pool_for(pool, mx_pool_threads(pool), peak_part, arg);
}

static void copy_one(void *arg)
{
	struct each *each = arg;

	memcpy(each->copy, each->data, READ_WORDS * 8ull);
}

static void read_all(void *arg)
{
	mx_pool_for(pool, mx_pool_threads(pool), read_part, arg);
}

static void measure_host(int rounds)
{
	struct each each = { aligned(READ_WORDS * 8ull), aligned(READ_WORDS * 8ull), mx_pool_threads(pool) };
	static struct contestant c[4] = {
		{ .name = "core", .run = peak_one }, { .name = "cores", .run = peak_all },
		{ .name = "memory", .run = read_all }, { .name = "copy", .run = copy_one },
	};
	double macs = (double)TURNS * ROOFLINE_MACS_PER_TURN;

	memset((void *)each.data, 1, READ_WORDS * 8ull);
	c[2].arg = &each;
	c[3].arg = &each;
	take_turns(c, 4, rounds);
	printf("\"roofline\": {\"threads\": %u, \"core_gmacs\": %.1f, \"cores_gmacs\": %.1f, \"memory_gbytes\": %.1f, \"copy_gbytes\": %.1f},\n",
	       each.threads, macs / median(&c[0]) / 1e9, macs * each.threads / median(&c[1]) / 1e9,
	       READ_WORDS * 8.0 / median(&c[2]) / 1e9,
	       READ_WORDS * 8.0 / median(&c[3]) / 1e9);
	free((void *)each.data);
	free(each.copy);
}

/* ------------------------------------------------------------ products */

static struct mx_chip chip;

/* A product of the chip: the gemm alone, and the whole MATMUL from float to float. */
struct product {
	struct mx_run run;
	struct mx_model model;
	struct mxaccel_region region[2];
	float *data[2];
	struct mxaccel_op op;
	struct mx_gemm gemm;
	uint8_t *params;
	int8_t *act;
	float *row_scale;
};

static uint32_t random_bits(void)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return state >> 8;
}

static struct product *product_new(uint64_t rows, uint64_t n, uint64_t k, const int8_t *act,
				   const int8_t *weights, const float *factor, const float *bias)
{
	struct product *p = need(calloc(1, sizeof(*p)));
	uint64_t panels = MXACCEL_PANEL_BYTES(n, k), i, j;
	uint64_t stride = mx_act_stride(chip.kernels, k);

	p->params = aligned(panels + 2 * n * sizeof(float));
	memset(p->params, 0, panels);
	for (i = 0; i < k; i++)
		for (j = 0; j < n; j++)
			p->params[MXACCEL_PANEL_OFFSET(j, i, k)] = weights[i * n + j];
	memcpy(p->params + panels, factor, n * sizeof(float));
	memcpy(p->params + panels + n * sizeof(float), bias, n * sizeof(float));
	p->act = aligned(rows * stride);
	memset(p->act, 0, rows * stride);
	p->row_scale = aligned(rows * sizeof(float));
	p->data[0] = aligned(rows * k * sizeof(float));
	p->data[1] = aligned(rows * n * sizeof(float));
	for (i = 0; i < rows; i++) {
		p->row_scale[i] = 1.0f;
		memcpy(p->act + i * stride, act + i * k, k);
		for (j = 0; j < k; j++)
			p->data[0][i * k + j] = act[i * k + j];
	}
	p->region[0] = (struct mxaccel_region) { .kind = MXACCEL_REGION_ROWS, .cols = k };
	p->region[1] = (struct mxaccel_region) { .kind = MXACCEL_REGION_ROWS, .cols = n };
	p->model.region = p->region;
	p->model.params = p->params;
	p->op = (struct mxaccel_op) {
		.opcode = MXACCEL_OP_MATMUL, .flags = MXACCEL_OPF_BIAS, .dst = 1, .k = k, .n = n,
		.s_off = panels, .b_off = panels + n * sizeof(float),
	};
	p->run.chip = &chip;
	p->run.kernels = chip.kernels;
	p->run.model = &p->model;
	p->run.region = p->data;
	p->run.rows = rows;
	p->gemm = (struct mx_gemm) {
		.act = p->act, .act_stride = stride, .row_scale = p->row_scale,
		.panels = (int8_t *)p->params, .k = k, .n = n,
		.col_scale = (float *)(p->params + p->op.s_off),
		.bias = (float *)(p->params + p->op.b_off), .alpha = 1.0f,
		.out = p->data[1], .out_stride = n,
	};
	return p;
}

static void product_free(struct product *p)
{
	free(p->params);
	free(p->act);
	free(p->row_scale);
	free(p->data[0]);
	free(p->data[1]);
	free(p->run.act.data);
	free(p->run.scale.data);
	free(p);
}

static void run_product(void *arg)
{
	struct product *p = arg;

	mx_pool_hold(chip.pool);	/* as a job does */
	mx_run_multiply(&p->run, &p->gemm, p->run.rows);
	mx_pool_release(chip.pool);
}

static void run_matmul(void *arg)
{
	struct product *p = arg;

	mx_pool_hold(chip.pool);
	if (mx_op_matmul(&p->run, &p->op))
		exit(1);
	mx_pool_release(chip.pool);
}

static void run_peer(void *arg)
{
	peer_run(arg);
}

/* Both must have multiplied the same. */
static void compare(const struct product *p, struct peer *peer, const char *name)
{
	const float *theirs = peer_run(peer), *ours = p->data[1];
	uint64_t i;

	for (i = 0; i < p->run.rows * p->gemm.n; i++) {
		if (fabsf(ours[i] - theirs[i]) <= 1e-5f * fabsf(ours[i]) + 1e-3f)
			continue;
		fprintf(stderr, "oneDNN's %s differs at element %" PRIu64 ": %g, the chip has %g\n",
			name, i, theirs[i], ours[i]);
		exit(1);
	}
}

/* Unsigned for oneDNN's sake, up to 127, so that both signednesses mean the same. */
static void fill(int8_t *act, uint64_t rows, uint64_t k, int8_t *weights, uint64_t n,
		 float *factor, float *bias)
{
	uint64_t i;

	for (i = 0; i < rows * k; i++)
		act[i] = random_bits() % 128;
	for (i = 0; i < n * k; i++)
		weights[i] = random_bits() % 255 - 127;
	for (i = 0; i < n; i++) {
		factor[i] = 1e-4f * (1 + i % 5);
		bias[i] = i % 7;
	}
}

static void measure(uint32_t threads, uint64_t rows, uint64_t n, uint64_t k, int rounds,
		    bool more)
{
	static struct contestant c[2 + PEER_KINDS];
	int8_t *act = aligned(rows * k), *weights = aligned(n * k);
	float *factor = aligned(n * sizeof(float)), *bias = aligned(n * sizeof(float));
	float *peer_bias = aligned(n * sizeof(float));
	struct peer *peer[PEER_KINDS];
	struct product *p;
	double best = INFINITY;
	int i, fastest = 0;

	fill(act, rows, k, weights, n, factor, bias);
	p = product_new(rows, n, k, act, weights, factor, bias);
	/* oneDNN 2 adds the bias before it multiplies by the factor. */
	for (i = 0; i < (int)n; i++)
		peer_bias[i] = bias[i] / factor[i];
	memset(c, 0, sizeof(c));
	c[0] = (struct contestant) { .name = "product", .run = run_product, .arg = p };
	c[1] = (struct contestant) { .name = "matmul", .run = run_matmul, .arg = p };
	run_product(p);
	for (i = 0; i < PEER_KINDS; i++) {
		peer[i] = peer_new(i, rows, n, k, act, weights, factor, peer_bias);
		if (!peer[i])
			exit(1);
		compare(p, peer[i], peer_names[i]);
		c[2 + i] = (struct contestant) {
			.name = peer_names[i], .run = run_peer, .arg = peer[i],
		};
	}
	take_turns(c, 2 + PEER_KINDS, rounds);
	for (i = 0; i < 2 + PEER_KINDS; i++)
		median(&c[i]);
	for (i = 0; i < PEER_KINDS; i++) {
		double m = c[2 + i].seconds[c[2 + i].runs / 2];

		if (m < best) {
			best = m;
			fastest = i;
		}
	}
	printf("  {\"threads\": %u, \"n\": %" PRIu64 ", \"k\": %" PRIu64 ", \"tokens\": %" PRIu64 ", \"peer\": \"%s\",\n   ",
	       threads, n, k, rows, peer_names[fastest]);
	for (i = 0; i < 2 + PEER_KINDS; i++) {
		print_times(&c[i]);
		printf(i < 1 + PEER_KINDS ? ",\n   " : "}%s\n", more ? "," : "");
	}
	fflush(stdout);
	for (i = 0; i < PEER_KINDS; i++)
		peer_free(peer[i]);
	product_free(p);
	free(act);
	free(weights);
	free(factor);
	free(bias);
	free(peer_bias);
}

static void measure_all(uint32_t threads, int rounds, bool more)
{
	static const uint32_t shapes[][2] = { { 1024, 1024 }, { 1024, 4096 }, { 4096, 1024 } };
	static const uint32_t tokens[] = { 128, 1, 512 };
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(tokens); i++)
		for (j = 0; j < ARRAY_SIZE(shapes); j++)
			measure(threads, tokens[i], shapes[j][0], shapes[j][1], rounds,
				more || i + 1 < ARRAY_SIZE(tokens) || j + 1 < ARRAY_SIZE(shapes));
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 15;
	uint32_t threads, cpus;

	if (rounds < 1) {
		fprintf(stderr, "usage: %s [rounds, default 15]\n", argv[0]);
		return 2;
	}
	if (!mx_isa_available(MX_ISA_AVX512)) {
		fprintf(stderr, "the comparison needs a host with AVX-512 VNNI\n");
		return 1;
	}
	chip.kernels = mx_kernels_get(MX_ISA_AUTO);
	pool = need(mx_pool_new(0));
	cpus = mx_pool_threads(pool);
	printf("{");
	measure_host(rounds);
	mx_pool_free(pool);
	printf("\"products\": [\n");
	for (threads = 1; threads <= cpus; threads = threads == cpus ? cpus + 1 : cpus) {
		chip.pool = need(mx_pool_new(threads));
		omp_set_num_threads(threads);
		count_cpu_time(threads == 1);
		measure_all(threads, rounds, threads < cpus);
		mx_pool_free(chip.pool);
	}
	printf("]}\n");
	return 0;
}
