/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Contestants that take turns, a few milliseconds each, so that all of them see the same machine. */
#ifndef MX_BENCH_TURNS_H
#define MX_BENCH_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_RUNS 4096

/**
 * struct contestant - something that is timed
 * @run:	does it once
 * @seconds:	of each run
 */
struct contestant {
	const char *name;
	void (*run)(void *arg);
	void *arg;
	double seconds[MAX_RUNS];
	uint32_t runs;
};

void take_turns(struct contestant *c, int nr, int rounds);
/*
 * Counts the time of the CPU from now on, or again the clock's. For programs of one
 * thread: other work on the machine then hardly shows.
 */
void count_cpu_time(bool on);
/* Of all runs, after the turns; sorts them. */
double median(struct contestant *c);
/* As a member of a JSON object, sorted. */
void print_times(const struct contestant *c);

/* Memory, or the end of the program; aligned() to 64 bytes. */
void *need(void *memory);
void *aligned(size_t bytes);

#endif /* MX_BENCH_TURNS_H */
