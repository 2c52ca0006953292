// SPDX-License-Identifier: LGPL-2.1-or-later
/* mxchip: the report, as JSON; mxchip_print.c makes text of it. */
#include <stdlib.h>
#include <string.h>

#include "area.h"
#include "config_keys.h"
#include "internal.h"	/* the runtime's: an image's MODEL section */
#include "mxchip.h"

/* jansson's own answer to a lack of memory is NULL, which nothing here could use. */
static json_t *sure(json_t *value)
{
	if (!value)
		mxchip_die(EXIT_INPUT, "no memory, or text that is not UTF-8");
	return value;
}

static void put(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, sure(value)))
		mxchip_die(EXIT_INPUT, "no memory");
}

static json_t *key_value(const struct mx_chip_config *config, const struct mx_key *key)
{
	const void *field = (const char *)config + key->offset;

	switch (key->type) {
	case MX_KEY_U64:
		return json_integer(*(const uint64_t *)field);
	case MX_KEY_REAL:
		return json_real(*(const double *)field);
	case MX_KEY_WORD:
		return json_string(key->words[*(const unsigned int *)field]);
	default:
		return json_integer(*(const uint32_t *)field);
	}
}

/* Every key that this organisation has: { section: { key: value } } */
static json_t *report_keys(const struct mx_chip_config *config)
{
	json_t *keys = sure(json_object()), *section;
	size_t i;

	for (i = 0; i < mx_nr_keys; i++) {
		if (!(mx_keys[i].organisations & MX_OF(config->kind)))
			continue;
		section = json_object_get(keys, mx_keys[i].section);
		if (!section) {
			section = sure(json_object());
			put(keys, mx_keys[i].section, section);
		}
		put(section, mx_keys[i].name, key_value(config, &mx_keys[i]));
	}
	return keys;
}

static void put_area(const struct mx_chip_config *config, uint64_t arrays, json_t *report)
{
	static const char *const name[] = {
#define MX_X(id, key, text) #key,
		MX_AREA_PARTS(MX_X)
#undef MX_X
	};
	json_t *area = sure(json_object());
	double part[MX_AREA_NR], sum;
	int i;

	sum = mx_chip_area(config, arrays, part);
	for (i = 0; i < MX_AREA_NR; i++)
		if (part[i] > 0)
			put(area, name[i], json_real(part[i]));
	put(area, "total", json_real(sum));
	put(report, "area_mm2", area);
}

json_t *report_chip(const struct mx_chip_config *config, const struct chip_file *file)
{
	json_t *report = sure(json_object()), *values = sure(json_object());

	put(values, "capacity_bytes", json_integer(mx_chip_capacity(config)));
	put(values, "act_bytes", json_integer(mx_chip_act_bytes(config)));
	put(values, "groups", json_integer(mx_chip_groups(config)));
	put(values, "array_weights", json_integer(mx_chip_array_weights(config)));
	put(report, "chip", json_string(config->name));
	put(report, "organisation", json_string(config->organisation));
	put(report, "file", json_string(file->path));
	put(report, "values", values);
	put(report, "keys", report_keys(config));
	put_area(config, 0, report);
	return report;
}

/* Every sequence has @tokens ids, none of them padding. */
static uint16_t estimate(const struct mx_chip_config *config, const struct mxrt_image *image,
			 uint32_t entry, uint32_t nr_seq, uint32_t tokens,
			 struct mx_counters *counters, uint64_t *arrays, char *err, size_t err_bytes)
{
	uint32_t *lengths = calloc(nr_seq, sizeof(*lengths)), i;
	uint16_t status;

	if (!lengths)
		mxchip_die(EXIT_INPUT, "no memory for %u sequences", nr_seq);
	for (i = 0; i < nr_seq; i++)
		lengths[i] = tokens;
	*err = 0;
	status = mx_chip_estimate(config, mxrt_section_data(image, MXACCEL_SEC_MODEL),
				  image->section[MXACCEL_SEC_MODEL]->bytes, entry, lengths, nr_seq,
				  tokens, counters, arrays, err, err_bytes);
	free(lengths);
	if (status && !*err)
		snprintf(err, err_bytes, "%s", mxrt_strerror(status));
	return status;
}

static json_t *report_estimate(const struct mx_chip_config *config, const struct mxrt_image *image,
			       uint32_t entry, uint32_t nr_seq, uint32_t tokens)
{
	static const char *const name[] = {
#define MXACCEL_X(id, file, text) #file,
		MXACCEL_COUNTERS(MXACCEL_X)
#undef MXACCEL_X
	};
	json_t *one = sure(json_object()), *counts;
	struct mx_counters counters = { 0 };
	uint64_t arrays = 0;
	char err[512];
	uint32_t i;

	put(one, "tokens", json_integer(tokens));
	put(one, "batch", json_integer(nr_seq));
	if (estimate(config, image, entry, nr_seq, tokens, &counters, &arrays, err, sizeof(err))) {
		put(one, "error", json_string(err));
		return one;
	}
	counts = sure(json_object());
	for (i = 0; i < MXACCEL_CTR_NR; i++)
		put(counts, name[i], json_integer(counters.v[i]));
	put(one, "counters", counts);
	put(one, "arrays", json_integer(arrays));
	put_area(config, arrays, one);
	return one;
}

static void put_estimates(const struct mx_chip_config *config, const struct options *options,
			  const struct mxrt_image *image, json_t *report)
{
	int entry = mxrt_image_find_entry(image, options->entry);
	json_t *list = sure(json_array());
	unsigned int t, b;

	if (entry < 0)
		mxchip_die(EXIT_USAGE, "%s", mxrt_last_error());
	for (t = 0; t < options->tokens.nr; t++)
		for (b = 0; b < options->batch.nr; b++)
			if (json_array_append_new(list, report_estimate(config, image, entry,
									options->batch.value[b],
									options->tokens.value[t])))
				mxchip_die(EXIT_INPUT, "no memory");
	put(report, "estimates", list);
}

bool report_model(const struct mx_chip_config *config, const struct options *options,
		  json_t *report)
{
	json_t *about = sure(json_object());
	struct mx_counters counters;
	struct mxrt_image *image;
	uint64_t arrays = 0, bytes;
	char err[512];
	bool fits;

	if (mxrt_image_open(options->image, 0, &image))
		mxchip_die(EXIT_INPUT, "%s", mxrt_last_error());
	bytes = image->section[MXACCEL_SEC_PARAMS]->bytes;
	fits = !estimate(config, image, 0, 1, 1, &counters, &arrays, err, sizeof(err));
	put(about, "name", json_string(image->model->name));
	put(about, "max_tokens", json_integer(image->model->max_tokens));
	put(about, "params_bytes", json_integer(bytes));
	put(about, "fits", json_boolean(fits));
	if (fits) {
		put(about, "arrays", json_integer(arrays));
		put_area(config, arrays, report);
	} else {
		put(about, "error", json_string(err));
	}
	put(report, "model", about);
	if (fits && options->estimate)
		put_estimates(config, options, image, report);
	mxrt_image_close(image);
	return fits;
}
