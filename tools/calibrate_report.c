// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a calibration was made with, and how it went. */
#include <stdio.h>
#include <string.h>

#include "calibrate.h"
#include "mxmap.h"

int calibrate_describe(const struct calibrate_input *input, const char *path,
		       enum calibrate_method method, json_t *products, json_t **calibration)
{
	const struct calibration_text *text = input->text;
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	char sha256[65];
	size_t i;

	for (i = 0; i < sizeof(text->sha256); i++)
		sprintf(sha256 + 2 * i, "%02x", text->sha256[i]);
	*calibration = json_pack("{s:{s:s?, s:s, s:I, s:I, s:I, s:I}, s:s, s:s, s:i, s:O}",
				 "text", "file", name, "sha256", sha256,
				 "sentences", (json_int_t)text->lines,
				 "used", (json_int_t)text->used,
				 "tokens", (json_int_t)text->tokens, "cut", (json_int_t)text->cut,
				 "method", method == CALIBRATE_MAX ? "max" : "mse",
				 "chip", input->chip->name,
				 "adc_bits", (int)input->chip->large_adc_bits,
				 "products", products);
	return *calibration ? 0 : mxmap_fail("cannot describe the calibration: the name of %s is not UTF-8",
					     path);
}

static json_int_t integer(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void print_list(const char *what, const json_t *list, bool percent, FILE *to)
{
	size_t i;

	fprintf(to, "%s", what);
	for (i = 0; i < json_array_size(list); i++) {
		const json_t *value = json_array_get(list, i);

		if (percent)
			fprintf(to, " %5.1f", 100 * json_real_value(value));
		else
			fprintf(to, " %3" JSON_INTEGER_FORMAT, json_integer_value(value));
	}
}

void calibrate_print(const json_t *calibration, FILE *to)
{
	const json_t *text = json_object_get(calibration, "text");
	const json_t *products = json_object_get(calibration, "products"), *product;
	size_t i;

	fprintf(to, "calibration with %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
		" sentences, %" JSON_INTEGER_FORMAT " tokens, method %s: steps of each slice; conversions clamped and rounded in %%\n",
		integer(text, "used"), integer(text, "sentences"), integer(text, "tokens"),
		json_string_value(json_object_get(calibration, "method")));
	json_array_foreach(products, i, product) {
		fprintf(to, "  %-44s plane %" JSON_INTEGER_FORMAT,
			json_string_value(json_object_get(product, "weight")),
			json_integer_value(json_object_get(product, "plane")));
		print_list(": ", json_object_get(product, "steps"), false, to);
		print_list("  clamped", json_object_get(product, "clamped"), true, to);
		print_list("  rounded", json_object_get(product, "rounded"), true, to);
		fputc('\n', to);
	}
}
