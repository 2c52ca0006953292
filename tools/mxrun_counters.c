// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Counters of a run, in groups for people and as JSON for programs.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxrun.h"

#define FJ_PER_UJ	1e9

uint64_t counter_value(const struct mxrt_value *list, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(list[i].name, name))
			return list[i].value;
	return 0;
}

/* The part of a counter's name between @prefix and @suffix, or NULL if it has not this form. */
static const char *between(const char *name, const char *prefix, const char *suffix, int *length)
{
	size_t head = strlen(prefix), tail = strlen(suffix), all = strlen(name);

	if (all <= head + tail || strncmp(name, prefix, head) || strcmp(name + all - tail, suffix))
		return NULL;
	*length = all - head - tail;
	return name + head;
}

static double total_energy(const struct mxrt_value *list, size_t count)
{
	double sum = 0;
	size_t i;
	int length;

	for (i = 0; i < count; i++)
		if (between(list[i].name, "energy_", "_fj", &length))
			sum += list[i].value;
	return sum / FJ_PER_UJ;
}

static double microseconds(uint64_t cycles, uint32_t clock_khz)
{
	return clock_khz ? cycles * 1e3 / clock_khz : 0;
}

static void print_time(const struct mxrt_value *list, size_t count, uint32_t clock_khz)
{
	uint64_t chip = counter_value(list, count, "cycles");
	uint64_t link = counter_value(list, count, "link_cycles");

	printf("modelled time, at %.3f GHz\n", clock_khz / 1e6);
	printf("  %-16s %16.3f us %16" PRIu64 " cycles\n", "chip", microseconds(chip, clock_khz), chip);
	printf("  %-16s %16.3f us %16" PRIu64 " cycles\n", "link", microseconds(link, clock_khz), link);
}

static void print_energy(const struct mxrt_value *list, size_t count, bool all)
{
	double sum = total_energy(list, count);
	const char *name;
	size_t i;
	int length;

	printf("modelled energy\n  %-16s %16.3f uJ\n", "total", sum);
	for (i = 0; i < count; i++) {
		name = between(list[i].name, "energy_", "_fj", &length);
		if (name && (list[i].value || all))
			printf("  %-16.*s %16.3f uJ %5.1f %%\n", length, name,
			       list[i].value / FJ_PER_UJ,
			       sum > 0 ? list[i].value / FJ_PER_UJ / sum * 100 : 0);
	}
}

/* Busy cycles are those of all units of a kind: over the job's, they are units in use. */
static void print_use(const struct mxrt_value *list, size_t count, const char *prefix,
		      const char *title, const char *unit, bool all)
{
	uint64_t cycles = counter_value(list, count, "cycles");
	const char *name;
	size_t i;
	int length;

	puts(title);
	for (i = 0; i < count; i++) {
		name = between(list[i].name, prefix, "_cycles", &length);
		if (!name || (!list[i].value && !all))
			continue;
		printf("  %-16.*s %16" PRIu64 " cycles", length, name, list[i].value);
		if (cycles)
			printf(" %12.3f %s", (double)list[i].value / cycles, unit);
		putchar('\n');
	}
}

static bool in_a_group(const char *name)
{
	int length;

	return !strcmp(name, "cycles") || !strcmp(name, "link_cycles") ||
	       between(name, "energy_", "_fj", &length) ||
	       between(name, "busy_", "_cycles", &length) ||
	       between(name, "stall_", "_cycles", &length);
}

static void print_rest(const struct mxrt_value *list, size_t count, bool bytes, bool all)
{
	size_t i;
	int length;

	puts(bytes ? "bytes" : "work");
	for (i = 0; i < count; i++)
		if (!in_a_group(list[i].name) && (list[i].value || all) &&
		    bytes == !!between(list[i].name, "", "_bytes", &length))
			printf("  %-16s %16" PRIu64 "  %s\n", list[i].name, list[i].value,
			       list[i].text);
}

void print_counters(const struct mxrt_value *list, size_t count, uint32_t clock_khz, bool all)
{
	print_time(list, count, clock_khz);
	print_energy(list, count, all);
	print_use(list, count, "busy_", "busy, summed over units", "in use", all);
	print_use(list, count, "stall_", "waits, summed over tokens", "waiting", all);
	print_rest(list, count, false, all);
	print_rest(list, count, true, all);
}

/* ------------------------------------------------------------------ JSON */

static json_t *model_json(const struct report *report)
{
	char content[65];
	size_t i;

	for (i = 0; i < sizeof(report->model.content); i++)
		sprintf(content + 2 * i, "%02x", report->model.content[i]);
	return json_pack("{s:s, s:s, s:s, s:b, s:I, s:i}", "name", report->model.name,
			 "content", content, "entry", report->entry,
			 "programmed", report->model.programmed,
			 "programmed_bytes", (json_int_t)report->model.programmed_bytes,
			 "reused_chunks", report->model.reused_chunks);
}

static json_t *modelled_json(const struct report *report)
{
	uint64_t chip = counter_value(report->counters, report->nr_counters, "cycles");
	uint64_t link = counter_value(report->counters, report->nr_counters, "link_cycles");
	uint32_t khz = report->device.clock_khz;

	return json_pack("{s:i, s:f, s:f, s:f, s:f}", "clock_khz", khz,
			 "chip_us", microseconds(chip, khz), "link_us", microseconds(link, khz),
			 "time_us", microseconds(chip + link, khz),
			 "energy_uj", total_energy(report->counters, report->nr_counters));
}

int write_report(const struct report *report, const char *path)
{
	json_t *counters = json_object(), *seconds = json_array(), *whole;
	FILE *file;
	size_t i;
	int err;

	for (i = 0; i < report->nr_counters; i++)
		json_object_set_new(counters, report->counters[i].name,
				    json_integer(report->counters[i].value));
	for (i = 0; i < report->repeat; i++)
		json_array_append_new(seconds, json_real(report->seconds[i]));
	whole = json_pack("{s:o, s:{s:s, s:s, s:s, s:s, s:I}, s:{s:I, s:I, s:o}, s:o, s:o}",
			  "model", model_json(report),
			  "device", "name", report->device.name, "backend", report->device.backend,
			  "chip", report->device.chip, "organisation", report->device.organisation,
			  "serial", (json_int_t)report->device.serial,
			  "run", "sequences", (json_int_t)report->sequences,
			  "tokens", (json_int_t)report->tokens, "host_seconds", seconds,
			  "modelled", modelled_json(report), "counters", counters);
	if (!whole)
		return -ENOMEM;
	file = output_open(path);
	if (!file)
		return -errno;
	err = json_dumpf(whole, file, JSON_INDENT(2)) || fputc('\n', file) < 0 ? -EIO : 0;
	json_decref(whole);
	return output_close(file, path, err);
}
