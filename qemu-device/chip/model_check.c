// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Checks a MODEL section before the chip ever runs it: header, tables and how
 * they fit together. model_check_ops.c has the rules of each macro-op.
 *
 * The section comes from outside, so every number in it is hostile until it
 * has been compared with something.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analog.h"
#include "model_check.h"
#include "place_policy.h"

void mx_check_fail(struct mx_check *check, const char *format, ...)
{
	va_list args;
	int used = 0;

	if (check->entry && check->op)
		used = snprintf(check->err, check->err_bytes, "entry \"%.31s\", op %td: ",
				check->entry->name, check->op - check->first_op);
	if (used < 0 || (size_t)used >= check->err_bytes)
		return;
	va_start(args, format);
	vsnprintf(check->err + used, check->err_bytes - used, format, args);
	va_end(args);
}

bool mx_check_zero(const void *data, size_t bytes)
{
	const uint8_t *p = data;

	while (bytes--)
		if (*p++)
			return false;
	return true;
}

/* Bytes of the UTF-8 character at @p, which has @room bytes, or 0 if it is none for a name. */
static size_t printable_char(const uint8_t *p, size_t room)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code = p[0];
	size_t i, length;

	if (code < 0x80)
		return code >= 0x20 && code != 0x7f;
	length = code >> 5 == 6 ? 2 : code >> 4 == 14 ? 3 : code >> 3 == 30 ? 4 : 0;
	if (!length || length > room)
		return 0;
	code &= 0x7f >> length;
	for (i = 1; i < length; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < smallest[length] || code > 0x10ffff || (code >= 0x80 && code < 0xa0) ||
	    (code >= 0xd800 && code < 0xe000))
		return 0;
	return length;
}

/* A name: one or more printable characters, then NULs to the end of the field. */
static bool name_ok(const char *name, size_t room)
{
	size_t at = 0, step;

	while (at < room && name[at]) {
		step = printable_char((const uint8_t *)name + at, room - at);
		if (!step)
			return false;
		at += step;
	}
	return at && at < room && mx_check_zero(name + at, room - at);
}

static bool check_header(struct mx_check *check, uint64_t model_bytes, uint64_t params_bytes)
{
	const struct mxaccel_model *head = check->head;
	uint64_t unknown = head->incompat & ~MXACCEL_MODEL_INCOMPAT_KNOWN;

	if (head->magic != MXACCEL_MODEL_MAGIC)
		return MX_BAD(check, "not a model: magic is 0x%08x", head->magic);
	check->status = MXACCEL_ST_BAD_VERSION;
	if (head->version != MXACCEL_MODEL_VERSION)
		return MX_BAD(check, "model has version %u, this chip knows %u", head->version,
			      MXACCEL_MODEL_VERSION);
	if (unknown)
		return MX_BAD(check, "model needs feature bits 0x%llx that this chip lacks",
			      (unsigned long long)unknown);
	check->status = MXACCEL_ST_BAD_IMAGE;
	if (!name_ok(head->name, sizeof(head->name)))
		return MX_BAD(check, "the model's name is empty, not printable or not terminated");
	if (head->rsvd)
		return MX_BAD(check, "a reserved field of the model's header is not zero");
	if (head->params_bytes != params_bytes)
		return MX_BAD(check, "the model wants %llu bytes of parameters, there are %llu",
			      (unsigned long long)head->params_bytes,
			      (unsigned long long)params_bytes);
	if (head->vocab < 2 || head->vocab > INT32_MAX)
		return MX_BAD(check, "a vocabulary of %u ids is impossible", head->vocab);
	if (!head->max_tokens || head->max_tokens > MXACCEL_MAX_K)
		return MX_BAD(check, "max_tokens is %u, must be 1 to %u", head->max_tokens,
			      MXACCEL_MAX_K);
	if (!head->nr_regions || head->nr_regions > UINT16_MAX + 1)
		return MX_BAD(check, "%u regions, must be 1 to %u", head->nr_regions,
			      UINT16_MAX + 1);
	if (!head->nr_entries || head->nr_entries > MXACCEL_MODEL_MAX_ENTRIES)
		return MX_BAD(check, "%u entries, must be 1 to %u", head->nr_entries,
			      MXACCEL_MODEL_MAX_ENTRIES);
	if (sizeof(*head) + (uint64_t)head->nr_regions * sizeof(struct mxaccel_region) +
	    (uint64_t)head->nr_entries * sizeof(struct mxaccel_entry) +
	    (uint64_t)head->nr_ops * sizeof(struct mxaccel_op) +
	    (uint64_t)head->nr_places * sizeof(struct mxaccel_place) +
	    (uint64_t)head->nr_steps * sizeof(struct mxaccel_steps) != model_bytes)
		return MX_BAD(check, "%u regions, %u entries, %u ops, %u placements and %u rows of steps do not fill the section's %llu bytes",
			      head->nr_regions, head->nr_entries, head->nr_ops, head->nr_places,
			      head->nr_steps, (unsigned long long)model_bytes);
	if (!head->nr_places && (head->place_units || head->place_depth || head->place_rows ||
				 head->place_cols || head->place_organisation))
		return MX_BAD(check, "the header tells what a placement was made for, but there is none");
	return true;
}

uint64_t mx_region_bytes(const struct mxaccel_region *region, uint64_t tokens)
{
	uint64_t elements, bytes;

	switch (region->kind) {
	case MXACCEL_REGION_IDS:
		elements = tokens;
		break;
	case MXACCEL_REGION_ROWS:
		elements = tokens * region->cols;
		break;
	case MXACCEL_REGION_SCORES:
		if (__builtin_mul_overflow(tokens * tokens, (uint64_t)region->cols, &elements))
			return UINT64_MAX;
		break;
	default:
		elements = region->cols;
	}
	if (__builtin_mul_overflow(elements, (uint64_t)4, &bytes) ||
	    __builtin_add_overflow(bytes, (uint64_t)MXACCEL_WORD - 1, &bytes))
		return UINT64_MAX;
	return bytes / MXACCEL_WORD * MXACCEL_WORD;
}

static bool check_regions(struct mx_check *check)
{
	uint64_t room = mx_chip_act_bytes(check->config), used = 0, bytes;
	uint32_t i;

	for (i = 0; i < check->head->nr_regions; i++) {
		const struct mxaccel_region *region = &check->region[i];

		if (region->kind < MXACCEL_REGION_IDS || region->kind > MXACCEL_REGION_SEQ)
			return MX_BAD(check, "region %u has unknown kind %u", i, region->kind);
		if (!mx_check_zero(region->rsvd, sizeof(region->rsvd)) ||
		    !mx_check_zero(region->rsvd2, sizeof(region->rsvd2)))
			return MX_BAD(check, "a reserved field of region %u is not zero", i);
		if (region->kind == MXACCEL_REGION_IDS ? region->cols > 1 : !region->cols)
			return MX_BAD(check, "region %u cannot have %u columns", i, region->cols);
		bytes = mx_region_bytes(region, check->head->max_tokens);
		if (bytes > room - used) {
			check->status = MXACCEL_ST_TOO_LARGE;
			return MX_BAD(check, "%u tokens need more than the %llu bytes that the chip has for intermediates (region %u)",
				      check->head->max_tokens, (unsigned long long)room, i);
		}
		used += bytes;
	}
	return true;
}

/* The result, and the ids, of one sequence of any length the model takes fit a job. */
static bool check_io(struct mx_check *check, const struct mxaccel_entry *entry)
{
	uint64_t rows = entry->out_kind == MXACCEL_REGION_ROWS ? check->head->max_tokens : 1;
	uint64_t max = check->config->max_io_bytes;

	if (rows * entry->out_cols > max / 4 || check->head->max_tokens > max / 4) {
		check->status = MXACCEL_ST_TOO_LARGE;
		return MX_BAD(check, "entry \"%s\": a sequence of %u tokens passes the %llu bytes that a job may transfer",
			      entry->name, check->head->max_tokens, (unsigned long long)max);
	}
	return true;
}

static bool check_entry(struct mx_check *check, uint32_t index, uint32_t next_op)
{
	const struct mxaccel_entry *entry = &check->entries[index];
	uint32_t i;

	if (!name_ok(entry->name, sizeof(entry->name)))
		return MX_BAD(check, "the name of entry %u is empty, not printable or not terminated",
			      index);
	for (i = 0; i < index; i++)
		if (!strcmp(check->entries[i].name, entry->name))
			return MX_BAD(check, "entries %u and %u are both named \"%s\"", i, index,
				      entry->name);
	if (!mx_check_zero(entry->rsvd, sizeof(entry->rsvd)) ||
	    !mx_check_zero(entry->rsvd2, sizeof(entry->rsvd2)))
		return MX_BAD(check, "a reserved field of entry %u is not zero", index);
	if (entry->first_op != next_op)
		return MX_BAD(check, "entry %u starts at op %u, not at %u, where the one before ends",
			      index, entry->first_op, next_op);
	if (entry->nr_ops < 2 || entry->nr_ops > check->head->nr_ops - next_op)
		return MX_BAD(check, "entry %u cannot have %u ops", index, entry->nr_ops);
	if (entry->out_kind != MXACCEL_REGION_ROWS && entry->out_kind != MXACCEL_REGION_SEQ)
		return MX_BAD(check, "entry %u has a result of kind %u", index, entry->out_kind);
	if (!entry->out_cols)
		return MX_BAD(check, "entry %u has a result without columns", index);
	return check_io(check, entry);
}

static bool check_entries(struct mx_check *check, const struct mxaccel_op *ops)
{
	uint32_t next_op = 0, i, j;

	for (i = 0; i < check->head->nr_entries; i++) {
		if (!check_entry(check, i, next_op))
			return false;
		check->entry = &check->entries[i];
		check->first_op = ops + next_op;
		check->run = i + 1;
		for (j = 0; j < check->entry->nr_ops; j++) {
			check->op = check->first_op + j;
			if (!mx_check_op(check))
				return false;
		}
		next_op += check->entry->nr_ops;
		check->entry = NULL;
		check->op = NULL;
	}
	if (next_op != check->head->nr_ops)
		return MX_BAD(check, "ops %u to %u belong to no entry", next_op,
			      check->head->nr_ops - 1);
	return true;
}

/* The image's own placement if it was made for this chip, else the chip's. */
static uint16_t place(struct mx_check *check, struct mx_model *model, uint64_t model_bytes)
{
	struct mx_place_geometry geometry = mx_place_geometry(check->config);
	const struct mxaccel_place *table = (const void *)(model->op + model->head->nr_ops);
	uint16_t status = MXACCEL_ST_SUCCESS;

	if (model->head->nr_places)
		status = mx_place_table_check(&geometry, model, table, &model->place, check->err,
					      check->err_bytes);
	if (status == MXACCEL_ST_SUCCESS)
		status = mx_place_check(check->config, model, model_bytes, check->err,
					check->err_bytes);
	if (status == MXACCEL_ST_SUCCESS && !model->place) {
		status = mx_place_make(&geometry, model, MX_PLACE_SPREAD, &model->place);
		if (status == MXACCEL_ST_TOO_LARGE)
			mx_check_fail(check, "weights that overlap have more tiles than the chip");
	}
	if (status == MXACCEL_ST_SUCCESS) {
		model->prepared = calloc(model->head->nr_ops, sizeof(*model->prepared));
		if (!model->prepared)
			status = MXACCEL_ST_NO_MEMORY;
		else
			model->nr_prepared = model->head->nr_ops;
	}
	if (status == MXACCEL_ST_NO_MEMORY)
		mx_check_fail(check, "out of memory");
	if (status != MXACCEL_ST_SUCCESS)
		mx_model_release(model);
	return status;
}

void mx_model_release(struct mx_model *model)
{
	uint32_t i;

	free(model->place);
	model->place = NULL;
	for (i = 0; i < model->nr_prepared; i++)
		mx_analog_prepared_free(model->prepared[i]);
	free(model->prepared);
	model->prepared = NULL;
	model->nr_prepared = 0;
}

uint16_t mx_model_check(const struct mx_chip_config *config,
			const void *model_section, uint64_t model_bytes,
			const void *params, uint64_t params_bytes,
			struct mx_model *model, char *err, size_t err_bytes)
{
	const struct mxaccel_model *head = model_section;
	struct mx_check check = {
		.config = config, .head = head, .params_bytes = params_bytes,
		.status = MXACCEL_ST_BAD_IMAGE, .err = err, .err_bytes = err_bytes,
	};
	const struct mxaccel_op *ops;

	if (model_bytes > MXACCEL_MODEL_MAX_BYTES) {
		mx_check_fail(&check, "a MODEL section of %llu bytes is over the limit of %u",
			      (unsigned long long)model_bytes, MXACCEL_MODEL_MAX_BYTES);
		return MXACCEL_ST_TOO_LARGE;
	}
	if (model_bytes < sizeof(*head)) {
		mx_check_fail(&check, "a MODEL section of %llu bytes has no header",
			      (unsigned long long)model_bytes);
		return MXACCEL_ST_BAD_IMAGE;
	}
	if (!check_header(&check, model_bytes, params_bytes))
		return check.status;
	check.region = (const struct mxaccel_region *)(head + 1);
	check.entries = (const struct mxaccel_entry *)(check.region + head->nr_regions);
	ops = (const struct mxaccel_op *)(check.entries + head->nr_entries);
	if (!check_regions(&check))
		return check.status;

	check.written = calloc(head->nr_regions, sizeof(check.written[0]));
	if (!check.written) {
		mx_check_fail(&check, "out of memory");
		return MXACCEL_ST_NO_MEMORY;
	}
	if (check_entries(&check, ops) && mx_check_steps(&check, ops)) {
		memset(model, 0, sizeof(*model));
		model->head = head;
		model->region = check.region;
		model->entry = check.entries;
		model->op = ops;
		model->params = params;
		model->params_bytes = params_bytes;
		check.status = place(&check, model, model_bytes);
	}
	free(check.written);
	return check.status;
}
