// SPDX-License-Identifier: LGPL-2.1-or-later
/* Contestants that take turns. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "turns.h"

/* Time of a turn, and a pause in which the threads of the one before fall asleep. */
#define TURN_SECONDS 0.02
#define PAUSE_MICROSECONDS 8000

static clockid_t run_clock = CLOCK_MONOTONIC;

void count_cpu_time(bool on)
{
	run_clock = on ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(run_clock, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

void *need(void *memory)
{
	if (!memory) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return memory;
}

void *aligned(size_t bytes)
{
	return need(aligned_alloc(64, (bytes + 63) / 64 * 64));
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(struct contestant *c)
{
	qsort(c->seconds, c->runs, sizeof(*c->seconds), by_value);
	return c->seconds[c->runs / 2];
}

void take_turns(struct contestant *c, int nr, int rounds)
{
	double begin, start;
	int i, round;

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < nr; i++) {
			usleep(PAUSE_MICROSECONDS);
			c[i].run(c[i].arg);
			begin = now();
			do {
				start = now();
				c[i].run(c[i].arg);
				if (c[i].runs < MAX_RUNS)
					c[i].seconds[c[i].runs++] = now() - start;
			} while (now() - begin < TURN_SECONDS);
			/* Else threads of OpenMP spin into the next one's turn. */
			omp_pause_resource_all(omp_pause_soft);
		}
	}
}

void print_times(const struct contestant *c)
{
	printf("\"%s\": {\"best\": %.9f, \"median\": %.9f, \"worst\": %.9f, \"runs\": %u}",
	       c->name, c->seconds[0], c->seconds[c->runs / 2], c->seconds[c->runs - 1], c->runs);
}
