// SPDX-License-Identifier: LGPL-2.1-or-later
/* mxchip: the report as text. */
#include <stdio.h>
#include <string.h>

#include "area.h"
#include "mxchip.h"

static void print_area(const json_t *area)
{
	static const struct {
		const char *key, *text;
	} parts[MX_AREA_NR] = {
#define MX_X(id, key, text) { #key, text },
		MX_AREA_PARTS(MX_X)
#undef MX_X
	};
	size_t i;

	for (i = 0; i < MX_AREA_NR; i++) {
		const json_t *part = json_object_get(area, parts[i].key);

		if (part)
			printf("  %9.3f mm2  %s\n", json_real_value(part), parts[i].text);
	}
	printf("  %9.3f mm2  total\n", json_real_value(json_object_get(area, "total")));
}

static void print_model(const json_t *model)
{
	json_int_t arrays = json_integer_value(json_object_get(model, "arrays"));

	printf("model %s: %.1f MB of parameters, up to %lld tokens",
	       json_string_value(json_object_get(model, "name")),
	       json_integer_value(json_object_get(model, "params_bytes")) / 1e6,
	       (long long)json_integer_value(json_object_get(model, "max_tokens")));
	if (arrays)
		printf(", %lld LARGE arrays", (long long)arrays);
	if (json_is_true(json_object_get(model, "fits")))
		printf(": fits\n");
	else
		printf("\n  does not fit: %s\n",
		       json_string_value(json_object_get(model, "error")));
}

static void print_estimate(const json_t *one)
{
	const json_t *value, *error = json_object_get(one, "error");
	const char *name;

	printf("%lld tokens, batch of %lld:\n",
	       (long long)json_integer_value(json_object_get(one, "tokens")),
	       (long long)json_integer_value(json_object_get(one, "batch")));
	if (error)
		printf("  %s\n", json_string_value(error));
	json_object_foreach(json_object_get(one, "counters"), name, value)
		if (json_integer_value(value))
			printf("  %22lld  %s\n", (long long)json_integer_value(value), name);
}

void print_report(const struct mx_chip_config *config, const json_t *report)
{
	const json_t *model = json_object_get(report, "model"), *one;
	size_t i;

	printf("chip %s: organisation %s, %g MHz\n", config->name, config->organisation,
	       config->clock_khz / 1e3);
	if (config->kind == MX_SYNERGY)
		printf("%u banks of %u x %u cells, %u of them for intermediates", config->banks,
		       config->bank_rows, config->bank_cols, config->intermediate_banks);
	else
		printf("%llu groups of %u arrays of %u x %u cells, %u ADCs of %u bits each",
		       (unsigned long long)mx_chip_groups(config), config->subarrays,
		       config->large_rows, config->large_cols, config->adcs,
		       config->large_adc_bits);
	printf("; %u bits per cell; %.1f MB for models\n", config->cell_bits,
	       mx_chip_capacity(config) / 1e6);
	print_area(json_object_get(report, "area_mm2"));
	if (model)
		print_model(model);
	json_array_foreach(json_object_get(report, "estimates"), i, one)
		print_estimate(one);
}
