// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a calibration was made with, and how it went. */
#include <stdio.h>
#include <string.h>

#include "calibrate.h"
#include "mxmap.h"

int calibrate_describe(const struct calibration_settings *settings,
		       const struct calibration_text *text, const struct mx_chip_config *chip,
		       json_t *products, json_t **calibration)
{
	const char *slash = strrchr(settings->file, '/');
	char sha256[65];
	size_t i;

	for (i = 0; i < sizeof(text->sha256); i++)
		sprintf(sha256 + 2 * i, "%02x", text->sha256[i]);
	*calibration = json_pack("{s:{s:s, s:s, s:I, s:I, s:I, s:I}, s:s, s:s, s:o}",
				 "text", "file", slash ? slash + 1 : settings->file,
				 "sha256", sha256, "sentences", (json_int_t)text->lines,
				 "used", (json_int_t)text->used,
				 "tokens", (json_int_t)text->tokens, "cut", (json_int_t)text->cut,
				 "chip", chip->name,
				 "method", settings->method == CALIBRATE_MAX ? "max" : "mse",
				 "smooth", settings->smooth < 0 ? json_null() :
								  json_real(settings->smooth));
	if (!*calibration)
		return mxmap_fail("cannot describe the calibration: the name of %s is not UTF-8",
				  settings->file);
	return json_object_set(*calibration, "products", products) ? mxmap_no_memory() : 0;
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

	if (!json_array_size(products))
		return;
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
