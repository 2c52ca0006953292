// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The stationary products of BERT-Large by oneDNN, one after another, each with
 * weights of its own: what any implementation of the same arithmetic has to
 * multiply. QKV and the two of the feed-forward network twice, as the chip's
 * inputs have a second plane there. Prints JSON.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"
#include "turns.h"

#define LAYERS 24
#define PRODUCTS 4

static const struct {
	int n, k, planes;
} shapes[PRODUCTS] = {
	{ 3072, 1024, 2 }, { 1024, 1024, 1 }, { 4096, 1024, 2 }, { 1024, 4096, 2 },
};

static struct peer *peers[LAYERS][PRODUCTS];

static void run(void *arg)
{
	int layer, i, plane;

	(void)arg;
	for (layer = 0; layer < LAYERS; layer++)
		for (i = 0; i < PRODUCTS; i++)
			for (plane = 0; plane < shapes[i].planes; plane++)
				peer_run(peers[layer][i]);
}

int main(int argc, char **argv)
{
	static struct contestant c = { .name = "gemms", .run = run };
	int tokens = argc > 1 ? atoi(argv[1]) : 128, rounds = argc > 2 ? atoi(argv[2]) : 15;
	int layer, i;
	size_t j;

	if (tokens < 1 || rounds < 1) {
		fprintf(stderr, "usage: %s [tokens, default 128] [rounds, default 15]\n", argv[0]);
		return 2;
	}
	for (i = 0; i < PRODUCTS; i++) {
		size_t bytes = (size_t)shapes[i].n * shapes[i].k;
		int8_t *act = aligned((size_t)tokens * shapes[i].k), *weights = aligned(bytes);
		float *ones = aligned(shapes[i].n * sizeof(float));

		memset(act, 3, (size_t)tokens * shapes[i].k);
		for (j = 0; j < (size_t)shapes[i].n; j++)
			ones[j] = 1.0f;
		for (layer = 0; layer < LAYERS; layer++) {
			for (j = 0; j < bytes; j++)
				weights[j] = (int8_t)(j * 37 + layer * 11);
			peers[layer][i] = peer_new(PEER_MATMUL_U8, tokens, shapes[i].n,
						   shapes[i].k, act, weights, ones, ones);
			if (!peers[layer][i])
				return 1;
		}
		free(act);
		free(weights);
		free(ones);
	}
	count_cpu_time(omp_get_max_threads() == 1);
	take_turns(&c, 1, rounds);
	median(&c);
	printf("{");
	print_times(&c);
	printf("}\n");
	for (i = 0; i < PRODUCTS; i++)
		for (layer = 0; layer < LAYERS; layer++)
			peer_free(peers[layer][i]);
	return 0;
}
