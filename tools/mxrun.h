/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mxrun: what its files share.
 */
#ifndef MXRUN_H
#define MXRUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mxrt.h"

/* Exit codes, see --help */
#define EXIT_JOB	1
#define EXIT_USAGE	2
#define EXIT_INPUT	3
#define EXIT_OUTPUT	4

struct options {
	const char *image;
	const char **texts;
	size_t nr_texts;
	const char *ids;
	const char *out;
	const char *entry;
	const char *device;
	const char *isa;
	uint32_t threads;
	uint32_t timeout_ms;
	size_t batch;
	unsigned int repeat;
	const char *json;
	const char *trace;
	bool trace_tokens;
	bool counters;
	bool verbose;
	bool profile;
	bool info;
	bool verify;
	bool resident;
	bool delete;
	uint32_t id;
	bool refresh;
	uint32_t refresh_id;
};

#ifndef __printf
#define __printf(text, first) __attribute__((format(printf, text, first)))
#endif

/* One line on stderr: "mxrun: ...", and end with this exit code. */
__printf(2, 3) _Noreturn void die(int code, const char *format, ...);

/* Reads the command line; ends the program after --help or bad options. */
void parse_options(int argc, char **argv, struct options *options);

/**
 * struct batch - token ids and what the model made of them
 * @rows:	sequences
 * @cols:	ids per sequence
 * @ids:	[rows, cols]
 */
struct batch {
	size_t rows;
	size_t cols;
	int32_t *ids;
};

/* --delete, --refresh, --resident: what of them is asked, in this order. */
void manage_models(const struct options *options);

/* --info */
void print_image(const struct mxrt_image *image);
/* Tokens and result of a text; @values are those of its one sequence. */
void print_text(const struct mxrt_image *image, const char *text, const int32_t *ids,
		size_t nr_ids, const struct mxrt_entry_info *entry, const float *values);
/* Times of several runs */
void print_times(double *seconds, unsigned int count, size_t sequences, uint64_t cycles,
		 uint32_t clock_khz);

/* A file that appears under its name when it is closed; NULL with errno. */
FILE *output_open(const char *path);
/* @err: 0, or why it is of no use. Return: 0 or a negative errno, then there is no file. */
int output_close(FILE *file, const char *path, int err);

/* Value of a counter by its name, 0 if there is none such */
uint64_t counter_value(const struct mxrt_value *list, size_t count, const char *name);
/* What a run counted, in groups; @all: also what is zero. */
void print_counters(const struct mxrt_value *list, size_t count, uint32_t clock_khz, bool all);

/**
 * struct report - a run, for --json
 * @entry:	name of the program entry
 * @tokens:	ids per sequence
 * @seconds:	of the host, for each of @repeat runs
 * @counters:	what the first run added
 */
struct report {
	struct mxrt_model_info model;
	struct mxrt_device_info device;
	const char *entry;
	size_t sequences;
	size_t tokens;
	const double *seconds;
	unsigned int repeat;
	const struct mxrt_value *counters;
	size_t nr_counters;
};

/* Return: 0 or negative errno. */
int write_report(const struct report *report, const char *path);

/* Writes a schedule, whose @spans it sorts. Return: 0 or negative errno. */
int write_trace(const struct mxrt_image *image, unsigned int entry, struct mxrt_span *spans,
		size_t count, uint32_t clock_khz, bool each_token, const char *path);

/* What --profile adds up; see mxrun_profile.c */
#define MAX_KINDS	32

/**
 * struct profile - host time of each kind of macro-op
 * @kind:	in the order of their first run
 * @nr:		number of them
 * @begin:	of the op under way
 */
struct profile {
	struct {
		const char *name;
		unsigned long calls;
		double seconds;
	} kind[MAX_KINDS];
	unsigned int nr;
	double begin;
};

/* Seconds on a clock that runs evenly */
double now(void);
/* The op of a struct mxrt_watch; opaque is a struct profile. */
void profile_op(void *opaque, const char *name, int done);
/* @wall: seconds that all took */
void print_profile(const struct profile *profile, double wall);

#endif /* MXRUN_H */
