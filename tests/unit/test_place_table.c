// SPDX-License-Identifier: LGPL-2.1-or-later
/* Placement tables of images: they come back, and malformed ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "place_policy.h"
#include "place_model.h"
#include "sample_model.h"

static const struct mx_chip_config small = {
	.name = "small", .kind = MX_INPLACE, .groups = 64, .subarrays = 32, .large_rows = 16,
	.large_cols = 16, .cell_bits = 2, .small_units = 2, .small_rows = 8, .small_cols = 8,
	.small_contexts = 16, .intermediate_kib = 64, .max_io_bytes = 4096,
};

/* The sample model with a table made for its chip */
struct placed {
	struct sample_section s;
	struct mxaccel_place table[16];
};

static struct sample_model sample;
static char err[512];

static uint64_t placed_bytes(const struct placed *p)
{
	return sizeof(p->s) + p->s.head.nr_places * sizeof(p->table[0]);
}

static uint16_t check(const struct mx_chip_config *config, const struct placed *p,
		      struct mx_model *model)
{
	err[0] = '\0';
	return mx_model_check(config, p, placed_bytes(p), sample.params, sample.params_bytes,
			      model, err, sizeof(err));
}

static struct placed placed(enum mx_place_policy policy)
{
	struct mx_place_geometry geometry = mx_place_geometry(&small);
	struct mx_place *place = NULL;
	struct mx_model model;
	struct placed p = { 0 };

	assert_true(sample_make(&sample, 0));
	p.s = sample.section;
	if (check(&small, &p, &model) != MXACCEL_ST_SUCCESS)
		fail_msg("refused: %s", err);
	assert_int_equal(mx_place_make(&geometry, &model, policy, &place), MXACCEL_ST_SUCCESS);
	assert_true(place->nr <= 16);
	mx_place_write(place, &p.s.head, p.table);
	free(place);
	mx_model_release(&model);
	return p;
}

static void tables_come_back(void **state)
{
	struct mx_place_geometry geometry = mx_place_geometry(&small);
	struct placed spread = placed(MX_PLACE_SPREAD), linear = placed(MX_PLACE_LINEAR);
	struct mx_place *made = NULL;
	struct mx_chip_config other;
	struct mx_model model;
	size_t i;

	(void)state;
	assert_int_equal(check(&small, &linear, &model), MXACCEL_ST_SUCCESS);
	assert_int_equal(mx_place_make(&geometry, &model, MX_PLACE_LINEAR, &made),
			 MXACCEL_ST_SUCCESS);
	place_same(model.place, made);
	free(made);
	mx_model_release(&model);
	mx_model_release(&model);
	assert_null(model.place);

	assert_int_equal(check(&small, &spread, &model), MXACCEL_ST_SUCCESS);
	mx_model_release(&model);

	/* On a chip of another geometry the table does not count, whatever differs. */
	for (i = 0; i < 5; i++) {
		other = small;
		if (i == 0)
			other.groups *= 2;
		else if (i == 1)
			other.subarrays *= 2;
		else if (i == 2)
			other.large_rows *= 2;
		else if (i == 3)
			other.large_cols *= 2;
		else
			other.kind = MX_TRADITIONAL, other.chips = other.tiles = 1;
		geometry = mx_place_geometry(&other);
		if (check(&other, &linear, &model) != MXACCEL_ST_SUCCESS)
			fail_msg("%s", err);
		assert_int_equal(mx_place_make(&geometry, &model, MX_PLACE_SPREAD, &made),
				 MXACCEL_ST_SUCCESS);
		place_same(model.place, made);
		free(made);
		mx_model_release(&model);
	}
}

/* That unit holds one tile less. */
static void all_on_one_unit(struct placed *p)
{
	struct mx_model model;
	uint32_t i;

	assert_int_equal(check(&small, p, &model), MXACCEL_ST_SUCCESS);
	p->s.head.place_depth = model.place->tiles - 1;
	for (i = 0; i < p->s.head.nr_places; i++)
		p->table[i] = (struct mxaccel_place){ .w_off = p->table[i].w_off, .nr_units = 1 };
	mx_model_release(&model);
}

/* One change of a good table, and a part of the sentence; also on a chip of another geometry. */
#define REFUSED(policy, change, part) do {						\
	struct placed p = placed(policy);						\
	struct mx_chip_config other = small;						\
	struct mxaccel_model *head = &p.s.head;						\
	struct mxaccel_place *t = p.table;						\
	struct mx_model model;								\
											\
	(void)head, (void)t;								\
	change;										\
	other.groups = 96;								\
	if (check(&small, &p, &model) != MXACCEL_ST_BAD_IMAGE || !strstr(err, part))	\
		fail_msg("%s: \"%s\" is not BAD_IMAGE with \"%s\"", #change, err, part);	\
	assert_int_equal(check(&other, &p, &model), MXACCEL_ST_BAD_IMAGE);		\
} while (0)

static void malformed_tables_are_refused(void **state)
{
	(void)state;
	REFUSED(MX_PLACE_SPREAD, head->place_organisation = 0, "organisation 0");
	REFUSED(MX_PLACE_SPREAD, head->place_organisation = 4, "organisation 4");
	REFUSED(MX_PLACE_SPREAD, head->place_organisation = MXACCEL_PLACE_BANKS, "tiles of 16 x 4");
	REFUSED(MX_PLACE_SPREAD, head->place_units = 0, "0 units");
	REFUSED(MX_PLACE_SPREAD, head->place_depth = 0, "0 tiles");
	REFUSED(MX_PLACE_SPREAD, head->place_rows = 0, "tiles of 0 x 4");
	REFUSED(MX_PLACE_SPREAD, head->place_cols = 0, "tiles of 16 x 0");
	REFUSED(MX_PLACE_SPREAD, head->place_units = 1; head->place_depth = 1, "cannot hold");
	REFUSED(MX_PLACE_SPREAD, head->place_cols = 64, "units for 1 tiles");
	REFUSED(MX_PLACE_SPREAD, head->nr_places--, "placements for the");
	REFUSED(MX_PLACE_SPREAD, head->nr_places++, "placements for the");
	REFUSED(MX_PLACE_SPREAD, head->nr_places = 0, "there is none");
	REFUSED(MX_PLACE_SPREAD, t[1].w_off += 64, "placement 1");
	REFUSED(MX_PLACE_SPREAD, t[0] = t[1], "placement 0");
	REFUSED(MX_PLACE_SPREAD, t[2].rsvd[11] = 1, "reserved");
	REFUSED(MX_PLACE_SPREAD, t[2].first_unit = 64, "unit 64 of 64");
	REFUSED(MX_PLACE_SPREAD, t[2].nr_units = 0, "0 units");
	REFUSED(MX_PLACE_SPREAD, t[3].nr_units++, "units for");
	REFUSED(MX_PLACE_SPREAD, t[3].nr_units = UINT32_MAX, "units for");
	REFUSED(MX_PLACE_LINEAR, t[0].fill = 33, "fills its first unit");
	REFUSED(MX_PLACE_LINEAR, t[0].fill++, "fills its first unit");
	REFUSED(MX_PLACE_LINEAR, t[0].nr_units++, "units for");
	REFUSED(MX_PLACE_SPREAD, all_on_one_unit(&p), "tiles on a unit");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_come_back),
		cmocka_unit_test(malformed_tables_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
