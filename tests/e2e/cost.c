// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a chip file says that jobs of a BERT encoder cost, without weights:
 * mxmap's program, the chip's estimate. For test_agreement.py and test_cost.py.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "area.h"
#include "chip.h"
#include "mxmap.h"
#include "program.h"

static _Noreturn void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("cost: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* What the mapper's parts want of mxmap.c. */
void mxmap_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	exit(1);
}

static void read_chip(const char *path, struct mx_chip_config *config)
{
	static char text[1 << 20];
	char err[256];
	FILE *file = fopen(path, "r");
	size_t bytes;

	if (!file)
		die("cannot read %s", path);
	bytes = fread(text, 1, sizeof(text), file);
	fclose(file);
	if (mx_chip_config_parse(config, "chip", text, bytes, err, sizeof(err)))
		die("%s: %s", path, err);
}

static void print(const struct mx_chip_config *config, const struct mx_counters *counters,
		  uint64_t arrays)
{
	static const char *const names[] = {
#define MX_X(name, file, text) #file,
		MXACCEL_COUNTERS(MX_X)
#undef MX_X
	};
	double parts[MX_AREA_NR];
	int i;

	for (i = 0; i < MXACCEL_CTR_NR; i++)
		printf("%s %llu\n", names[i], (unsigned long long)counters->v[i]);
	printf("arrays %llu\n", (unsigned long long)arrays);
	printf("area %.9g\n", mx_chip_area(config, arrays, parts));
}

int main(int argc, char **argv)
{
	struct hf_config bert = { .act = MXACCEL_ACT_GELU_ERF, .eps = 1e-12f, .types = 2 };
	struct heads heads = { .pooler = true };
	struct mx_chip_config config;
	struct mx_counters counters;
	struct mxaccel_model *model;
	struct plan plan;
	uint32_t lengths[256], nr = 0, tokens, planes, entry, longest;
	uint64_t bytes, arrays;
	char err[256];

	if (argc < 12 || argc > 11 + 256)
		die("usage: cost CHIP LAYERS HIDDEN HEADS FFN VOCAB POSITIONS PLANES ENTRY TOKENS LENGTH...");
	read_chip(argv[1], &config);
	bert.layers = atoi(argv[2]);
	bert.hidden = atoi(argv[3]);
	bert.heads = atoi(argv[4]);
	bert.ffn = atoi(argv[5]);
	bert.vocab = atoi(argv[6]);
	bert.positions = atoi(argv[7]);
	planes = atoi(argv[8]);
	entry = atoi(argv[9]);
	tokens = atoi(argv[10]);
	for (nr = 0; (int)nr < argc - 11; nr++)
		lengths[nr] = atoi(argv[11 + nr]);
	longest = bert.positions;
	if (plan_make(&bert, &heads, false, &plan))
		return 1;
	model = program_make(&bert, &plan, "bert", longest, planes, &bytes);
	if (!model)
		return 1;
	if (mx_chip_estimate(&config, model, bytes, entry, lengths, nr, tokens, &counters, &arrays,
			     err, sizeof(err)))
		die("%s", err);
	print(&config, &counters, arrays);
	free(model);
	plan_free(&plan);
	return 0;
}
