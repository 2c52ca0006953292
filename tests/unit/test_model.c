// SPDX-License-Identifier: LGPL-2.1-or-later
/* mx_model_check(): what it takes, what it refuses, and that what it takes runs safely. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "internal.h"
#include "sample_model.h"

static const struct mx_chip_config config = {
	.name = "unit", .organisation = "synergy", .clock_khz = 1000000,
	.banks = 2, .bank_rows = 256, .bank_cols = 1024, .cell_bits = 4, .intermediate_banks = 1,
	.small_rows = 128, .small_cols = 128, .dac_bits = 1, .adc_bits = 2, .digit_bits = 1,
	.fabric_macs = 1024, .fabric_utilisation_percent = 85, .layer_cycles = 300,
	.bank_port_bytes = 64, .softmax_lanes = 8, .norm_units = 1, .norm_lanes = 4,
	.act_lanes = 4, .act_cycles = 8, .requant_units = 1, .requant_lanes = 8,
	.recip_cycles = 16, .rsqrt_cycles = 16, .bus_bytes = 64, .buffer_kib = 96,
	.link_setup_cycles = 500, .link_bytes_per_10_cycles = 33, .cells_endurance = 1000000,
	.max_models = 4, .max_contexts = 4, .max_buffers = 4, .max_io_bytes = 4096, .max_sg = 16,
};

static char err[256];

static uint16_t check(const struct sample_model *m, struct mx_model *model)
{
	err[0] = '\0';
	return mx_model_check(&config, &m->section, sizeof(m->section), m->params,
			      m->params_bytes, model, err, sizeof(err));
}

static void takes_a_good_model(void **state)
{
	static struct sample_model m;
	struct mx_model model;

	(void)state;
	assert_true(sample_make(&m, 0));
	if (check(&m, &model) != MXACCEL_ST_SUCCESS)
		fail_msg("refused: %s", err);
	assert_ptr_equal(model.head, &m.section.head);
	assert_ptr_equal(model.region, m.section.region);
	assert_ptr_equal(model.entry, m.section.entry);
	assert_ptr_equal(model.op, m.section.op);
	assert_ptr_equal(model.params, m.params);
	assert_int_equal(model.params_bytes, m.params_bytes);
	mx_model_release(&model);
}

/* One change of the good model, its status, and a part of the sentence. */
#define REFUSED(change, want, part) do {						\
	static struct sample_model m;							\
	struct mx_model model;								\
	struct sample_section *s = &m.section;						\
											\
	assert_true(sample_make(&m, 0));						\
	(void)s;									\
	change;										\
	if (check(&m, &model) != MXACCEL_ST_##want || !strstr(err, part))		\
		fail_msg("%s: \"%s\" is not " #want " with \"%s\"", #change, err, part);	\
} while (0)

#define TAKEN(change) do {								\
	static struct sample_model m;							\
	struct mx_model model;								\
	struct sample_section *s = &m.section;						\
											\
	assert_true(sample_make(&m, 0));						\
	(void)s;									\
	change;										\
	if (check(&m, &model) != MXACCEL_ST_SUCCESS)					\
		fail_msg("%s refused: %s", #change, err);				\
	mx_model_release(&model);							\
} while (0)

static void refuses_bad_headers(void **state)
{
	(void)state;
	REFUSED(s->head.magic++, BAD_IMAGE, "not a model");
	REFUSED(s->head.version++, BAD_VERSION, "version 2");
	REFUSED(s->head.incompat = 4, BAD_VERSION, "feature bits 0x4");
	REFUSED(s->head.name[0] = 0, BAD_IMAGE, "name");
	REFUSED(memset(s->head.name, 'x', 48), BAD_IMAGE, "name");
	REFUSED(s->head.name[2] = '\n', BAD_IMAGE, "name");
	REFUSED(s->head.name[2] = (char)0xff, BAD_IMAGE, "name");
	REFUSED(strcpy(s->head.name, "\xc0\xaf"), BAD_IMAGE, "name");	/* overlong '/' */
	REFUSED(strcpy(s->head.name, "\xed\xa0\x80"), BAD_IMAGE, "name");	/* surrogate */
	REFUSED(s->head.name[47] = 'x', BAD_IMAGE, "name");
	REFUSED(s->head.rsvd = 1, BAD_IMAGE, "reserved");
	REFUSED(s->head.params_bytes--, BAD_IMAGE, "parameters");
	REFUSED(s->head.vocab = 1, BAD_IMAGE, "vocabulary");
	REFUSED(s->head.vocab = 0x80000000, BAD_IMAGE, "vocabulary");
	REFUSED(s->head.max_tokens = 0, BAD_IMAGE, "max_tokens");
	REFUSED(s->head.max_tokens = UINT32_MAX, BAD_IMAGE, "max_tokens");
	REFUSED(s->head.max_tokens = 100000, TOO_LARGE, "intermediates");
	REFUSED(s->head.nr_regions = 0, BAD_IMAGE, "regions");
	REFUSED(s->head.nr_regions++, BAD_IMAGE, "fill");
	REFUSED(s->head.nr_regions = UINT32_MAX, BAD_IMAGE, "regions");
	REFUSED(s->head.nr_entries = 0, BAD_IMAGE, "entries");
	REFUSED(s->head.nr_entries = 257, BAD_IMAGE, "entries");
	REFUSED(s->head.nr_ops = UINT32_MAX, BAD_IMAGE, "fill");
	TAKEN(strcpy(s->head.name, "m\xc3\xa9ni \xe6\xbc\xa2 \xf0\x9f\x98\x80"));
}

static void refuses_bad_tables(void **state)
{
	(void)state;
	REFUSED(s->region[2].kind = 0, BAD_IMAGE, "region 2");
	REFUSED(s->region[2].kind = 5, BAD_IMAGE, "region 2");
	REFUSED(s->region[2].rsvd[1] = 1, BAD_IMAGE, "region 2");
	REFUSED(s->region[2].rsvd2[7] = 1, BAD_IMAGE, "region 2");
	REFUSED(s->region[2].cols = 0, BAD_IMAGE, "region 2");
	REFUSED(s->region[0].cols = 2, BAD_IMAGE, "region 0");
	REFUSED(s->region[2].cols = UINT32_MAX, TOO_LARGE, "region 2");
	REFUSED(s->region[3].cols = UINT32_MAX, TOO_LARGE, "region 3");
	REFUSED(s->region[6].cols = 40000, TOO_LARGE, "region 6");
	REFUSED(s->entry[0].name[0] = 0, BAD_IMAGE, "entry 0");
	REFUSED(memset(s->entry[1].name, 'x', 32), BAD_IMAGE, "entry 1");
	REFUSED(strcpy(s->entry[1].name, "tokens\0"), BAD_IMAGE, "entry 1");
	REFUSED(memcpy(s->entry[1].name, s->entry[0].name, 32), BAD_IMAGE, "both named");
	REFUSED(s->entry[0].rsvd[0] = 1, BAD_IMAGE, "reserved");
	REFUSED(s->entry[0].rsvd2[15] = 1, BAD_IMAGE, "reserved");
	REFUSED(s->entry[0].first_op = 1, BAD_IMAGE, "starts at op 1");
	REFUSED(s->entry[1].first_op = UINT32_MAX, BAD_IMAGE, "starts at op");
	REFUSED(s->entry[1].nr_ops = UINT32_MAX, BAD_IMAGE, "ops");
	REFUSED(s->entry[1].nr_ops = 1, BAD_IMAGE, "ops");
	REFUSED(s->entry[0].nr_ops--, BAD_IMAGE, "STORE");
	REFUSED(s->entry[1].nr_ops--, BAD_IMAGE, "STORE");
	REFUSED(s->entry[0].out_kind = MXACCEL_REGION_SCORES, BAD_IMAGE, "kind");
	REFUSED(s->entry[0].out_kind = MXACCEL_REGION_SEQ, BAD_IMAGE, "needs a SEQ region");
	REFUSED(s->entry[0].out_cols = 0, BAD_IMAGE, "columns");
	REFUSED(s->entry[0].out_cols = 7, BAD_IMAGE, "STORE of 8 columns");
	REFUSED(s->entry[0].out_cols = UINT32_MAX, TOO_LARGE, "transfer");
	REFUSED(s->entry[1].out_cols = 1025, TOO_LARGE, "transfer");
}

static void refuses_bad_fields(void **state)
{
	(void)state;
	REFUSED(s->op[OP_ACT].opcode = 0, BAD_IMAGE, "opcode 0");
	REFUSED(s->op[OP_ACT].opcode = 13, BAD_IMAGE, "opcode 13");
	REFUSED(s->op[OP_ACT].opcode = MXACCEL_OP_QUANT; s->op[OP_ACT].kind = 2, BAD_IMAGE,
		"no kind 2");
	TAKEN(s->op[OP_ACT].opcode = MXACCEL_OP_QUANT;
	      s->op[OP_ACT].kind = MXACCEL_QUANT_RESIDUAL);
	REFUSED(s->op[OP_ACT].opcode = MXACCEL_OP_LOAD, BAD_IMAGE, "LOAD");
	REFUSED(s->op[OP_ACT].opcode = MXACCEL_OP_STORE, BAD_IMAGE, "STORE");
	REFUSED(s->op[OP_LOAD].opcode = MXACCEL_OP_FENCE, BAD_IMAGE, "LOAD");
	REFUSED(s->op[OP_ACT].kind = 0, BAD_IMAGE, "kind 0");
	REFUSED(s->op[OP_ACT].kind = 6, BAD_IMAGE, "kind 6");
	REFUSED(s->op[OP_NORM_LAYER].kind = 4, BAD_IMAGE, "kind 4");
	REFUSED(s->op[OP_QK].kind = 3, BAD_IMAGE, "kind 3");
	REFUSED(s->op[OP_S_POOL].kind = 3, BAD_IMAGE, "kind 3");
	REFUSED(s->op[OP_EMBED_FIXED].kind = 4, BAD_IMAGE, "kind 4");
	REFUSED(s->op[OP_MATMUL_UP].kind = 1, BAD_IMAGE, "kind 1");
	REFUSED(s->op[OP_ADD].flags = 1, BAD_IMAGE, "flags 0x1");
	REFUSED(s->op[OP_SOFTMAX].flags = 0x10, BAD_IMAGE, "flags 0x10");
	REFUSED(s->op[OP_MATMUL_UP].flags = 7, BAD_IMAGE, "flags 0x4");
	REFUSED(s->op[OP_MATMUL_UP].flags = 0, BAD_IMAGE, "b_off");
	REFUSED(s->op[OP_ACT].rsvd = 1, BAD_IMAGE, "rsvd");
	REFUSED(s->op[OP_ACT].n = 1, BAD_IMAGE, "does not use n");
	REFUSED(s->op[OP_ACT].alpha = 1, BAD_IMAGE, "does not use alpha");
	REFUSED(s->op[OP_ACT].heads = 1, BAD_IMAGE, "does not use heads");
	REFUSED(s->op[OP_FENCE].dst = 1, BAD_IMAGE, "does not use dst");
	REFUSED(s->op[OP_LOAD].k = 1, BAD_IMAGE, "does not use k");
	REFUSED(s->op[OP_PV].k = 4, BAD_IMAGE, "does not use k");
	REFUSED(s->op[OP_QK].n = 4, BAD_IMAGE, "does not use n");
	REFUSED(s->op[OP_S_NORM_L2].w_off = 64, BAD_IMAGE, "does not use w_off");
	REFUSED(s->op[OP_NORM_RMS].b_off = 64, BAD_IMAGE, "does not use b_off");
	REFUSED(s->op[OP_EMBED_TOKEN].src2_col = 1, BAD_IMAGE, "does not use src2_col");
	REFUSED(s->op[OP_QK].alpha = sample_bits(INFINITY), BAD_IMAGE, "alpha");
	REFUSED(s->op[OP_NORM_RMS].alpha = sample_bits(NAN), BAD_IMAGE, "alpha");
	REFUSED(s->op[OP_NORM_RMS].alpha = sample_bits(-1), BAD_IMAGE, "negative");
	TAKEN(s->op[OP_QK].alpha = sample_bits(-1));
	TAKEN(s->op[OP_ACT].layer = 7);
}

static void refuses_bad_operands(void **state)
{
	(void)state;
	REFUSED(s->op[OP_ACT].dst = 7, BAD_IMAGE, "region 7");
	REFUSED(s->op[OP_ACT].src = 0xffff, BAD_IMAGE, "region 65535");
	REFUSED(s->op[OP_ADD].src2 = 7, BAD_IMAGE, "region 7");
	REFUSED(s->op[OP_LOAD].dst = REGION_X, BAD_IMAGE, "IDS");
	REFUSED(s->op[OP_EMBED_TOKEN].src = REGION_X, BAD_IMAGE, "IDS");
	REFUSED(s->op[OP_S_EMBED].dst = REGION_POOLED, BAD_IMAGE, "ROWS");
	REFUSED(s->op[OP_ACT].dst = REGION_SCORES, BAD_IMAGE, "ROWS and SEQ");
	REFUSED(s->op[OP_ACT].src = REGION_POOLED, BAD_IMAGE, "needs a ROWS");
	REFUSED(s->op[OP_QK].dst = REGION_X, BAD_IMAGE, "SCORES");
	REFUSED(s->op[OP_QK].src = REGION_POOLED, BAD_IMAGE, "ROWS");
	REFUSED(s->op[OP_PV].src = REGION_X, BAD_IMAGE, "SCORES");
	REFUSED(s->op[OP_PV].src2 = REGION_SCORES, BAD_IMAGE, "ROWS");
	REFUSED(s->op[OP_SOFTMAX].src = REGION_X, BAD_IMAGE, "SCORES");
	REFUSED(s->op[OP_SOFTMAX].src2 = REGION_X, BAD_IMAGE, "IDS");
	REFUSED(s->op[OP_S_POOL].dst = REGION_X, BAD_IMAGE, "SEQ");
	REFUSED(s->op[OP_QK].heads = 1, BAD_IMAGE, "1 heads");
	REFUSED(s->op[OP_QK].heads = 3, BAD_IMAGE, "3 heads");
	REFUSED(s->op[OP_PV].heads = 1, BAD_IMAGE, "1 heads");
	REFUSED(s->op[OP_ACT].k = 0, BAD_IMAGE, "no columns");
	REFUSED(s->op[OP_ACT].k = 13, BAD_IMAGE, "outside region 5");
	REFUSED(s->op[OP_ACT].k = UINT32_MAX, BAD_IMAGE, "outside region 5");
	REFUSED(s->op[OP_ACT].src_col = 1, BAD_IMAGE, "outside region 5");
	REFUSED(s->op[OP_ACT].dst_col = UINT32_MAX, BAD_IMAGE, "outside region 5");
	REFUSED(s->op[OP_MATMUL_UP].n = 13, BAD_IMAGE, "outside region 5");
	REFUSED(s->op[OP_MATMUL_UP].k = 0, BAD_IMAGE, "k is 0");
	REFUSED(s->op[OP_MATMUL_UP].k = MXACCEL_MAX_K + 1, BAD_IMAGE, "k is 131073");
	REFUSED(s->op[OP_QK].k = 13, BAD_IMAGE, "outside region 2");
	REFUSED(s->op[OP_QK].src2_col = 17, BAD_IMAGE, "outside region 2");
	REFUSED(s->op[OP_PV].n = 5, BAD_IMAGE, "outside region");
	REFUSED(s->op[OP_PV].n = UINT32_MAX, BAD_IMAGE, "outside region");
	REFUSED(s->op[OP_STORE].src_col = 1, BAD_IMAGE, "outside region");
	REFUSED(s->op[OP_EMBED_FIXED].src2_col = 2, BAD_IMAGE, "row 2");
	REFUSED(s->op[OP_EMBED_TOKEN].n = 9, BAD_IMAGE, "9 rows for 10 token ids");
	REFUSED(s->op[OP_EMBED_POSITION].n = 7, BAD_IMAGE, "7 rows for 8 positions");
}

static void refuses_bad_parameter_ranges(void **state)
{
	(void)state;
	REFUSED(s->op[OP_MATMUL_UP].w_off += 4, BAD_IMAGE, "multiple");
	REFUSED(s->op[OP_MATMUL_UP].s_off += 32, BAD_IMAGE, "multiple");
	REFUSED(s->op[OP_MATMUL_UP].b_off++, BAD_IMAGE, "multiple");
	REFUSED(s->op[OP_MATMUL_UP].w_off = m.params_bytes - 64, BAD_IMAGE, "pass the end");
	REFUSED(s->op[OP_MATMUL_UP].s_off = m.params_bytes, BAD_IMAGE, "pass the end");
	REFUSED(s->op[OP_MATMUL_UP].b_off = UINT64_MAX - 63, BAD_IMAGE, "pass the end");
	REFUSED(s->op[OP_NORM_RMS].w_off = m.params_bytes, BAD_IMAGE, "pass the end");
	REFUSED(s->op[OP_NORM_LAYER].b_off = m.params_bytes, BAD_IMAGE, "pass the end");
	REFUSED(s->op[OP_EMBED_TOKEN].w_off = m.params_bytes - 576, BAD_IMAGE, "pass the end");
	REFUSED(s->op[OP_EMBED_TOKEN].n = UINT32_MAX, BAD_IMAGE, "pass the end");
	REFUSED((s->op[OP_EMBED_TOKEN].n = UINT32_MAX, s->op[OP_EMBED_TOKEN].k = UINT32_MAX),
		BAD_IMAGE, "pass the end");
	TAKEN(s->op[OP_EMBED_TOKEN].w_off = m.params_bytes - 640);
	/* a table in panels: here one panel of two words */
	TAKEN((s->op[OP_EMBED_TOKEN].flags = MXACCEL_OPF_PANELS,
	       s->op[OP_EMBED_TOKEN].w_off = m.params_bytes - 128));
	REFUSED((s->op[OP_EMBED_TOKEN].flags = MXACCEL_OPF_PANELS,
		 s->op[OP_EMBED_TOKEN].w_off = m.params_bytes - 64), BAD_IMAGE, "pass the end");
	REFUSED((s->op[OP_EMBED_TOKEN].flags = MXACCEL_OPF_PANELS, s->op[OP_EMBED_TOKEN].n = 17,
		 s->op[OP_EMBED_TOKEN].w_off = m.params_bytes - 128), BAD_IMAGE, "pass the end");
	REFUSED((s->op[OP_EMBED_TOKEN].flags = MXACCEL_OPF_PANELS, s->op[OP_EMBED_TOKEN].k = 0),
		BAD_IMAGE, "k is 0");
	REFUSED((s->op[OP_EMBED_TOKEN].flags = MXACCEL_OPF_PANELS,
		 s->op[OP_EMBED_TOKEN].n = s->op[OP_EMBED_TOKEN].k = UINT32_MAX), BAD_IMAGE,
		"k is 4294967295");
	REFUSED(s->op[OP_EMBED_TOKEN].flags = MXACCEL_OPF_PANELS << 1, BAD_IMAGE, "no flags");
	REFUSED(s->op[OP_MATMUL_UP].flags |= MXACCEL_OPF_PANELS, BAD_IMAGE, "no flags");
	/* Factors lie behind the scales, at the next word. */
	TAKEN((s->op[OP_MATMUL_UP].flags |= MXACCEL_OPF_FACTORS,
	       s->op[OP_MATMUL_UP].s_off = m.params_bytes - 64 -
		       MXACCEL_FACTORS(0, s->op[OP_MATMUL_UP].n)));
	REFUSED((s->op[OP_MATMUL_UP].flags |= MXACCEL_OPF_FACTORS,
		 s->op[OP_MATMUL_UP].s_off = m.params_bytes -
			 MXACCEL_FACTORS(0, s->op[OP_MATMUL_UP].n)), BAD_IMAGE, "pass the end");
	TAKEN((s->op[OP_ACT].opcode = MXACCEL_OP_QUANT, s->op[OP_ACT].kind = 1,
	       s->op[OP_ACT].flags = MXACCEL_OPF_FACTORS, s->op[OP_ACT].w_off = 64));
	REFUSED((s->op[OP_ACT].opcode = MXACCEL_OP_QUANT, s->op[OP_ACT].kind = 1,
		 s->op[OP_ACT].flags = MXACCEL_OPF_FACTORS,
		 s->op[OP_ACT].w_off = m.params_bytes), BAD_IMAGE, "pass the end");
	REFUSED((s->op[OP_ACT].opcode = MXACCEL_OP_QUANT, s->op[OP_ACT].kind = 1,
		 s->op[OP_ACT].w_off = 64), BAD_IMAGE, "does not use w_off");
	REFUSED(s->op[OP_ACT].flags = MXACCEL_OPF_FACTORS, BAD_IMAGE, "no flags");
	TAKEN(s->op[OP_MATMUL_UP].b_off = m.params_bytes - 64);
}

static void refuses_overlaps_and_stale_reads(void **state)
{
	(void)state;
	/* in place is fine for ACT, NORM, ADD, QUANT, SOFTMAX; half over itself is not */
	REFUSED((s->op[OP_ACT].k = 6, s->op[OP_ACT].dst_col = 3), BAD_IMAGE, "overlap");
	REFUSED((s->op[OP_NORM_RMS].k = 6, s->op[OP_NORM_RMS].dst_col = 2), BAD_IMAGE, "overlap");
	REFUSED((s->op[OP_ADD].k = 4, s->op[OP_ADD].dst = REGION_QKV, s->op[OP_ADD].dst_col = 2),
		BAD_IMAGE, "overlap");
	REFUSED(s->op[OP_MATMUL_DOWN].dst = REGION_FFN, BAD_IMAGE, "overlap");
	REFUSED((s->op[OP_PV].dst = REGION_QKV, s->op[OP_PV].dst_col = 10), BAD_IMAGE, "overlap");
	TAKEN((s->op[OP_ACT].k = 6, s->op[OP_ACT].dst_col = 6));
	TAKEN((s->op[OP_MATMUL_DOWN].dst = REGION_FFN, s->op[OP_MATMUL_DOWN].k = 4,
	       s->op[OP_MATMUL_DOWN].dst_col = 4));

	/* columns that nothing has written in this entry */
	REFUSED(s->op[OP_EMBED_TOKEN].flags = MXACCEL_OPF_ACCUMULATE, BAD_IMAGE, "no earlier op");
	REFUSED(s->op[OP_MATMUL_UP].flags |= MXACCEL_OPF_ACCUMULATE, BAD_IMAGE, "no earlier op");
	TAKEN(s->op[OP_MATMUL_DOWN].flags |= MXACCEL_OPF_ACCUMULATE);
	REFUSED(s->op[OP_EMBED_TOKEN].k = 4, BAD_IMAGE, "no earlier op");
	REFUSED(s->op[OP_MATMUL_QKV].n = 20, BAD_IMAGE, "no earlier op");
	REFUSED(s->op[OP_MATMUL_UP].src = REGION_FFN, BAD_IMAGE, "no earlier op");
	REFUSED(s->op[OP_S_POOL].src = REGION_CONTEXT, BAD_IMAGE, "no earlier op");
	REFUSED(s->op[OP_SOFTMAX].opcode = MXACCEL_OP_FENCE, BAD_IMAGE, "flags");
	REFUSED((memset(&s->op[OP_QK], 0, 64), s->op[OP_QK].opcode = MXACCEL_OP_FENCE),
		BAD_IMAGE, "no earlier op");

	/* one matrix product per head-sized piece, in any order, makes the whole */
	TAKEN((s->op[OP_ACT] = s->op[OP_MATMUL_UP], s->op[OP_MATMUL_UP].n = 6,
	       s->op[OP_ACT].n = 6, s->op[OP_MATMUL_UP].dst_col = 6));
	REFUSED((s->op[OP_ACT] = s->op[OP_MATMUL_UP], s->op[OP_MATMUL_UP].n = 5,
		 s->op[OP_ACT].n = 6, s->op[OP_MATMUL_UP].dst_col = 7), BAD_IMAGE,
		"no earlier op");
}

/* More separate ranges than the check keeps apart: refused, not forgotten. */
static void bounds_the_ranges_of_a_region(void **state)
{
	static struct {
		struct mxaccel_model head;
		struct mxaccel_region region[3];
		struct mxaccel_entry entry;
		struct mxaccel_op op[20];
	} s;
	struct mx_model model;
	static uint8_t params[4096];
	unsigned int i;

	(void)state;
	for (i = 8; i <= 9; i++) {
		unsigned int j;

		memset(&s, 0, sizeof(s));
		s.head = (struct mxaccel_model){
			.magic = MXACCEL_MODEL_MAGIC, .version = MXACCEL_MODEL_VERSION,
			.name = "ranges", .params_bytes = sizeof(params), .vocab = 4,
			.max_tokens = 4, .nr_regions = 3, .nr_entries = 1, .nr_ops = 20,
		};
		s.region[0].kind = MXACCEL_REGION_IDS;
		s.region[1] = (struct mxaccel_region){ .kind = MXACCEL_REGION_ROWS, .cols = 64 };
		s.region[2] = s.region[1];
		s.entry = (struct mxaccel_entry){
			.name = "x", .nr_ops = 20, .out_kind = MXACCEL_REGION_ROWS, .out_cols = 1,
		};
		s.op[0].opcode = MXACCEL_OP_LOAD;
		for (j = 1; j < 19; j++)
			s.op[j].opcode = MXACCEL_OP_FENCE;
		/* every second column, from the right */
		for (j = 0; j < i; j++)
			s.op[1 + j] = (struct mxaccel_op){
				.opcode = MXACCEL_OP_EMBED, .kind = MXACCEL_EMBED_TOKEN, .dst = 1,
				.dst_col = 40 - 2 * j, .k = 1, .n = 4, .s_off = 1024,
			};
		s.op[19] = (struct mxaccel_op){
			.opcode = MXACCEL_OP_STORE, .src = 1, .src_col = 40, .k = 1,
		};
		assert_int_equal(mx_model_check(&config, &s, sizeof(s), params, sizeof(params),
						&model, err, sizeof(err)),
				 i == 8 ? MXACCEL_ST_SUCCESS : MXACCEL_ST_BAD_IMAGE);
		if (i == 9)
			assert_non_null(strstr(err, "separate ranges"));
		else
			mx_model_release(&model);
	}
}

static void refuses_cut_sections(void **state)
{
	static struct sample_model m;
	struct mx_model model;
	uint64_t bytes;

	(void)state;
	assert_true(sample_make(&m, 0));
	for (bytes = 0; bytes < sizeof(m.section); bytes++) {
		/* a copy of just this size, so that ASan sees any read beyond it */
		void *cut = malloc(bytes ? bytes : 1);

		assert_non_null(cut);
		memcpy(cut, &m.section, bytes);
		assert_int_equal(mx_model_check(&config, cut, bytes, m.params, m.params_bytes,
						&model, err, sizeof(err)), MXACCEL_ST_BAD_IMAGE);
		free(cut);
	}
	assert_int_equal(mx_model_check(&config, &m.section, MXACCEL_MODEL_MAX_BYTES + 1,
					m.params, m.params_bytes, &model, err, sizeof(err)),
			 MXACCEL_ST_TOO_LARGE);
}

/* --------------------------------------------------------------- mutations */

struct run {
	struct mx_chip *chip;
	const struct mxaccel_model *head;
	uint64_t out_bytes;
	unsigned int taken;
	unsigned int refused;
	uint32_t first_id;
	uint8_t out[8192];	/* two sequences of max_io_bytes each */
};

static int read_ids(void *opaque, uint64_t offset, void *to, uint64_t bytes)
{
	const struct run *run = opaque;
	int32_t ids[2 * SAMPLE_TOKENS] = { 0 };
	uint32_t tokens = run->head->max_tokens < SAMPLE_TOKENS ? run->head->max_tokens :
								   SAMPLE_TOKENS;
	uint32_t i;

	for (i = 0; i < tokens; i++)
		ids[i] = 1 + (run->first_id + i) % (run->head->vocab - 1);
	ids[tokens] = 1;
	assert_true(offset + bytes <= 2 * tokens * 4);
	memcpy(to, (uint8_t *)ids + offset, bytes);
	return 0;
}

static int write_result(void *opaque, uint64_t offset, const void *from, uint64_t bytes)
{
	struct run *run = opaque;

	assert_true(offset + bytes <= run->out_bytes && run->out_bytes <= sizeof(run->out));
	memcpy(run->out + offset, from, bytes);
	return 0;
}

static uint16_t run_entry(struct run *run, const struct mx_model *model, uint32_t entry,
			  uint32_t tokens)
{
	struct mx_job job = {
		.entry = entry, .nr_seq = 2, .tokens = tokens, .read = read_ids,
		.write = write_result, .opaque = run,
	};

	memset(run->out, 0, sizeof(run->out));
	mx_exec(run->chip, model, &job);
	if (job.status != MXACCEL_ST_SUCCESS && job.status != MXACCEL_ST_NON_FINITE)
		fail_msg("a model that was taken ends with status %u", job.status);
	return job.status;
}

/* Takes a changed model through the check and, if it passes, through every entry. */
static void try_model(struct run *run, const struct sample_section *changed,
		      const uint8_t *params, uint64_t params_bytes)
{
	/* heap copies of the exact size: a sanitizer sees the first byte beyond */
	struct sample_section *section = malloc(sizeof(*section));
	struct mx_model model;
	uint16_t status;
	uint32_t i;

	assert_non_null(section);
	memcpy(section, changed, sizeof(*section));
	status = mx_model_check(&config, section, sizeof(*section), params, params_bytes, &model,
				err, sizeof(err));
	if (status != MXACCEL_ST_SUCCESS) {
		assert_true(status == MXACCEL_ST_BAD_IMAGE || status == MXACCEL_ST_BAD_VERSION ||
			    status == MXACCEL_ST_TOO_LARGE);
		assert_true(err[0]);
		run->refused++;
		free(section);
		return;
	}
	run->taken++;
	for (i = 0; i < model.head->nr_entries; i++) {
		const struct mxaccel_entry *entry = &model.entry[i];
		uint32_t tokens = model.head->max_tokens < SAMPLE_TOKENS ?
				  model.head->max_tokens : SAMPLE_TOKENS;
		uint8_t before[sizeof(run->out)];
		uint16_t first;

		run->head = model.head;
		run->out_bytes = 2ull * 4 * entry->out_cols *
				 (entry->out_kind == MXACCEL_REGION_ROWS ? tokens : 1);
		run->first_id = 0;
		first = run_entry(run, &model, i, tokens);
		memcpy(before, run->out, sizeof(before));
		/* another job leaves other intermediates; the result must not show them */
		run->first_id = 3;
		run_entry(run, &model, i, tokens);
		run->first_id = 0;
		assert_int_equal(run_entry(run, &model, i, tokens), first);
		if (first == MXACCEL_ST_SUCCESS)
			assert_memory_equal(run->out, before, run->out_bytes);
	}
	mx_model_release(&model);
	free(section);
}

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 33;
}

static void survives_mutations(void **state)
{
	static const uint32_t odd[] = {
		0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 255, 256, 0x7fff, 0x8000,
		0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff, 0x7f800000,
	};
	static struct sample_model m;
	struct sample_section changed;
	struct mx_chip_params params = { .threads = 1, .isa = MX_ISA_AUTO };
	struct run run = { 0 };
	uint64_t seed = 1;
	uint8_t *exact;
	uint32_t i, j;

	(void)state;
	run.chip = mx_chip_new(&config, &params, err, sizeof(err));
	if (!run.chip)
		fail_msg("%s", err);
	assert_true(sample_make(&m, 0));
	exact = aligned_alloc(MXACCEL_WORD, m.params_bytes);
	assert_non_null(exact);
	memcpy(exact, m.params, m.params_bytes);

	try_model(&run, &m.section, exact, m.params_bytes);
	assert_int_equal(run.taken, 1);

	/* each bit alone */
	for (i = 0; i < sizeof(changed) * 8; i++) {
		changed = m.section;
		((uint8_t *)&changed)[i / 8] ^= 1 << i % 8;
		try_model(&run, &changed, exact, m.params_bytes);
	}
	/* each 32-bit word, to values that tend to break checks */
	for (i = 0; i < sizeof(changed) / 4; i++)
		for (j = 0; j < ARRAY_SIZE(odd); j++) {
			changed = m.section;
			memcpy((uint8_t *)&changed + i * 4, &odd[j], 4);
			try_model(&run, &changed, exact, m.params_bytes);
		}
	/* several small changes at once, and whole ops moved */
	for (i = 0; i < 20000; i++) {
		changed = m.section;
		for (j = next_random(&seed) % 4; j < 4; j++) {
			struct mxaccel_op *op = &changed.op[next_random(&seed) % SAMPLE_OPS];

			switch (next_random(&seed) % 4) {
			case 0:
				*op = m.section.op[next_random(&seed) % SAMPLE_OPS];
				break;
			case 1:
				((uint8_t *)op)[next_random(&seed) % 12] = next_random(&seed) % 8;
				break;
			case 2:
				((uint8_t *)op)[12 + next_random(&seed) % 20] =
					next_random(&seed) % 32;
				break;
			default:
				changed.region[next_random(&seed) % SAMPLE_REGIONS].cols =
					next_random(&seed) % 40;
			}
		}
		try_model(&run, &changed, exact, m.params_bytes);
	}
	print_message("%u models taken and run, %u refused\n", run.taken, run.refused);
	assert_true(run.taken > 100 && run.refused > 10000);
	free(exact);
	mx_chip_free(run.chip);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_good_model),
		cmocka_unit_test(refuses_bad_headers),
		cmocka_unit_test(refuses_bad_tables),
		cmocka_unit_test(refuses_bad_fields),
		cmocka_unit_test(refuses_bad_operands),
		cmocka_unit_test(refuses_bad_parameter_ranges),
		cmocka_unit_test(refuses_overlaps_and_stale_reads),
		cmocka_unit_test(bounds_the_ranges_of_a_region),
		cmocka_unit_test(refuses_cut_sections),
		cmocka_unit_test(survives_mutations),
	};

	return cmocka_run_group_tests_name("chip_model_check", tests, NULL, NULL);
}
