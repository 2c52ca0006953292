// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Rules of the macro-ops: which fields each uses, what the operands must be,
 * and that nothing is read which the entry has not written before, so that
 * no job can see what another one left in the activation buffer.
 */
#include <string.h>

#include "model_check.h"

/* Fields of struct mxaccel_op that an op may use; all others must be zero. */
#define F_DST		0x001
#define F_SRC		0x002
#define F_SRC2		0x004
#define F_HEADS		0x008
#define F_DST_COL	0x010
#define F_SRC_COL	0x020
#define F_SRC2_COL	0x040
#define F_K		0x080
#define F_N		0x100
#define F_W		0x200
#define F_S		0x400
#define F_B		0x800
#define F_ALPHA		0x1000

#define F_UNARY		(F_DST | F_SRC | F_DST_COL | F_SRC_COL | F_K)

static const char * const op_names[] = {
	"", "LOAD", "EMBED", "MATMUL", "MATMUL_DYN", "SOFTMAX", "NORM", "ACT", "ADD", "POOL",
	"STORE", "FENCE", "QUANT",
};

/**
 * struct columns - an operand: columns of a region
 * @region:	number of the region
 * @from:	first column
 * @count:	number of them
 */
struct columns {
	uint32_t region;
	uint64_t from;
	uint64_t count;
};

static const char *name_of(const struct mx_check *check)
{
	return op_names[check->op->opcode];
}

/* Kinds 1 .. @kinds, or 0 where the op has none; no flags but @flags; no fields but @used. */
static bool check_form(struct mx_check *check, unsigned int kinds, uint16_t flags, uint32_t used)
{
	const struct mxaccel_op *op = check->op;
	const struct {
		uint32_t field;
		uint64_t value;
		const char *name;
	} fields[] = {
		{ F_DST, op->dst, "dst" }, { F_SRC, op->src, "src" }, { F_SRC2, op->src2, "src2" },
		{ F_HEADS, op->heads, "heads" }, { F_DST_COL, op->dst_col, "dst_col" },
		{ F_SRC_COL, op->src_col, "src_col" }, { F_SRC2_COL, op->src2_col, "src2_col" },
		{ F_K, op->k, "k" }, { F_N, op->n, "n" }, { F_W, op->w_off, "w_off" },
		{ F_S, op->s_off, "s_off" }, { F_B, op->b_off, "b_off" },
		{ F_ALPHA, op->alpha, "alpha" }, { 0, op->rsvd, "rsvd" },
	};
	size_t i;

	if (kinds ? !op->kind || op->kind > kinds : op->kind)
		return MX_BAD(check, "%s has no kind %u", name_of(check), op->kind);
	if (op->flags & ~flags)
		return MX_BAD(check, "%s has no flags 0x%x", name_of(check), op->flags & ~flags);
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (!(used & fields[i].field) && fields[i].value)
			return MX_BAD(check, "%s does not use %s, which must be zero",
				   name_of(check), fields[i].name);
	return true;
}

static bool kind_is(struct mx_check *check, uint32_t region, uint8_t kind)
{
	static const char * const kinds[] = { "", "IDS", "ROWS", "SCORES", "SEQ" };

	if (region >= check->head->nr_regions)
		return MX_BAD(check, "%s names region %u, there are %u", name_of(check), region,
			   check->head->nr_regions);
	if (check->region[region].kind != kind)
		return MX_BAD(check, "%s needs a %s region, region %u is %s", name_of(check),
			   kinds[kind], region, kinds[check->region[region].kind]);
	return true;
}

/* ROWS or SEQ, whichever the destination is; all operands of a row-wise op are alike. */
static bool kind_of_rows(struct mx_check *check, uint32_t region, uint8_t *kind)
{
	if (region >= check->head->nr_regions)
		return MX_BAD(check, "%s names region %u, there are %u", name_of(check), region,
			   check->head->nr_regions);
	*kind = check->region[region].kind;
	if (*kind != MXACCEL_REGION_ROWS && *kind != MXACCEL_REGION_SEQ)
		return MX_BAD(check, "%s works on ROWS and SEQ regions, region %u is neither",
			   name_of(check), region);
	return true;
}

static bool check_columns(struct mx_check *check, struct columns c)
{
	uint32_t cols = check->region[c.region].cols;

	if (check->region[c.region].kind == MXACCEL_REGION_IDS)
		cols = 1;
	if (!c.count)
		return MX_BAD(check, "%s on no columns", name_of(check));
	if (c.from > cols || c.count > cols - c.from)
		return MX_BAD(check, "%s: %llu columns from %llu lie outside region %u, which has %u",
			   name_of(check), (unsigned long long)c.count,
			   (unsigned long long)c.from, c.region, cols);
	return true;
}

static bool check_read(struct mx_check *check, struct columns c)
{
	const struct mx_written *written = &check->written[c.region];
	uint32_t i;

	if (!check_columns(check, c))
		return false;
	for (i = 0; written->run == check->run && i < written->nr; i++)
		if (c.from >= written->from[i] && c.from + c.count <= written->to[i])
			return true;
	return MX_BAD(check, "%s reads columns %llu to %llu of region %u, which no earlier op of the entry wrote",
		   name_of(check), (unsigned long long)c.from,
		   (unsigned long long)(c.from + c.count - 1), c.region);
}

/* Checks the range and notes it as written; the last check of an op. */
static bool check_write(struct mx_check *check, struct columns c)
{
	struct mx_written *written = &check->written[c.region];
	uint32_t from, to, first, last;

	if (!check_columns(check, c))
		return false;
	if (written->run != check->run) {
		written->run = check->run;
		written->nr = 0;
	}
	from = c.from;
	to = c.from + c.count;
	/* Ranges first .. last - 1 touch the new one and melt into it. */
	for (first = 0; first < written->nr && written->to[first] < from; first++)
		;
	for (last = first; last < written->nr && written->from[last] <= to; last++) {
		if (written->from[last] < from)
			from = written->from[last];
		if (written->to[last] > to)
			to = written->to[last];
	}
	if (written->nr - (last - first) == MX_CHECK_RANGES)
		return MX_BAD(check, "%s: region %u would be written in more than %u separate ranges of columns",
			   name_of(check), c.region, MX_CHECK_RANGES);
	memmove(&written->from[first + 1], &written->from[last],
		(written->nr - last) * sizeof(written->from[0]));
	memmove(&written->to[first + 1], &written->to[last],
		(written->nr - last) * sizeof(written->to[0]));
	written->from[first] = from;
	written->to[first] = to;
	written->nr += 1 - (last - first);
	return true;
}

/* Destination and source must not overlap; @in_place allows them to be the same columns. */
static bool check_apart(struct mx_check *check, struct columns dst, struct columns src,
			bool in_place)
{
	if (dst.region != src.region || dst.from >= src.from + src.count ||
	    src.from >= dst.from + dst.count)
		return true;
	if (in_place && dst.from == src.from && dst.count == src.count)
		return true;
	return MX_BAD(check, "%s: destination and source overlap in region %u%s", name_of(check),
		   dst.region, in_place ? " without being the same columns" : "");
}

static bool check_params(struct mx_check *check, const char *field, uint64_t offset,
			 uint64_t bytes)
{
	if (offset % MXACCEL_WORD)
		return MX_BAD(check, "%s: %s is not a multiple of %u", name_of(check), field,
			   MXACCEL_WORD);
	if (offset > check->params_bytes || bytes > check->params_bytes - offset)
		return MX_BAD(check, "%s: %llu bytes at %s = %llu pass the end of the parameters (%llu bytes)",
			   name_of(check), (unsigned long long)bytes, field,
			   (unsigned long long)offset, (unsigned long long)check->params_bytes);
	return true;
}

/*
 * "ids" of a formula are always those that the entry's LOAD brought. An op
 * may name their region; zero there means the same.
 */
static bool check_ids(struct mx_check *check, uint16_t region)
{
	return !region || (kind_is(check, region, MXACCEL_REGION_IDS) &&
			   check_read(check, (struct columns){ region, 0, 1 }));
}

static bool check_load(struct mx_check *check)
{
	const struct mxaccel_op *op = check->op;

	return check_form(check, 0, 0, F_DST) && kind_is(check, op->dst, MXACCEL_REGION_IDS) &&
	       check_write(check, (struct columns){ op->dst, 0, 1 });
}

/* The inner dimension of what lies in panels or is multiplied: within int32, and not so large that sizes overflow. */
static bool check_inner(struct mx_check *check)
{
	if (!check->op->k || check->op->k > MXACCEL_MAX_K)
		return MX_BAD(check, "%s: k is %u, must be 1 to %u", name_of(check), check->op->k,
			   MXACCEL_MAX_K);
	return true;
}

static bool check_embed(struct mx_check *check)
{
	const struct mxaccel_op *op = check->op;
	struct columns dst = { op->dst, op->dst_col, op->k };
	bool panels = op->flags & MXACCEL_OPF_PANELS;
	uint64_t table;

	if (!check_form(check, MXACCEL_EMBED_FIXED, MXACCEL_OPF_ACCUMULATE | MXACCEL_OPF_PANELS,
			F_DST | F_SRC | F_DST_COL | F_K | F_N | F_W | F_S |
			(op->kind == MXACCEL_EMBED_FIXED ? F_SRC2_COL : 0)) ||
	    !kind_is(check, op->dst, MXACCEL_REGION_ROWS) || !check_ids(check, op->src) ||
	    (panels && !check_inner(check)))
		return false;
	if (op->kind == MXACCEL_EMBED_TOKEN && op->n < check->head->vocab)
		return MX_BAD(check, "EMBED: a table of %u rows for %u token ids", op->n,
			   check->head->vocab);
	if (op->kind == MXACCEL_EMBED_POSITION && op->n < check->head->max_tokens)
		return MX_BAD(check, "EMBED: a table of %u rows for %u positions", op->n,
			   check->head->max_tokens);
	if (op->kind == MXACCEL_EMBED_FIXED && op->src2_col >= op->n)
		return MX_BAD(check, "EMBED: row %u of a table of %u rows", op->src2_col, op->n);
	if (panels)
		table = MXACCEL_PANEL_BYTES(op->n, op->k);
	else if (__builtin_mul_overflow((uint64_t)op->n, MXACCEL_TABLE_STRIDE(op->k), &table))
		table = UINT64_MAX;
	return check_params(check, "w_off", op->w_off, table) &&
	       check_params(check, "s_off", op->s_off, (uint64_t)op->n * 4) &&
	       (!(op->flags & MXACCEL_OPF_ACCUMULATE) || check_read(check, dst)) &&
	       check_write(check, dst);
}

static bool check_matmul(struct mx_check *check)
{
	const struct mxaccel_op *op = check->op;
	bool bias = op->flags & MXACCEL_OPF_BIAS, factors = op->flags & MXACCEL_OPF_FACTORS;
	struct columns dst = { op->dst, op->dst_col, op->n };
	struct columns src = { op->src, op->src_col, op->k };
	uint8_t kind;

	return check_form(check, 0,
			  MXACCEL_OPF_BIAS | MXACCEL_OPF_ACCUMULATE | MXACCEL_OPF_FACTORS,
			  F_UNARY | F_N | F_W | F_S | (bias ? F_B : 0)) &&
	       kind_of_rows(check, op->dst, &kind) && kind_is(check, op->src, kind) &&
	       check_inner(check) && check_read(check, src) &&
	       check_apart(check, dst, src, false) &&
	       check_params(check, "w_off", op->w_off, MXACCEL_PANEL_BYTES(op->n, op->k)) &&
	       check_params(check, "s_off", op->s_off, factors ?
			    MXACCEL_FACTORS(0, op->n) + (uint64_t)op->k * 4 :
			    (uint64_t)op->n * 4) &&
	       (!bias || check_params(check, "b_off", op->b_off, (uint64_t)op->n * 4)) &&
	       (!(op->flags & MXACCEL_OPF_ACCUMULATE) || check_read(check, dst)) &&
	       check_write(check, dst);
}

static bool finite_alpha(struct mx_check *check)
{
	if ((check->op->alpha & 0x7f800000) == 0x7f800000)
		return MX_BAD(check, "%s: alpha is not a finite number", name_of(check));
	return true;
}

/* SCORES regions are used whole: one head of the op for each head of the region. */
static bool check_heads(struct mx_check *check, uint16_t scores)
{
	if (!kind_is(check, scores, MXACCEL_REGION_SCORES))
		return false;
	if (check->op->heads != check->region[scores].cols)
		return MX_BAD(check, "%s: %u heads with region %u of %u heads", name_of(check),
			   check->op->heads, scores, check->region[scores].cols);
	return true;
}

static bool check_dyn(struct mx_check *check)
{
	const struct mxaccel_op *op = check->op;
	bool qk = op->kind == MXACCEL_DYN_QK;
	uint64_t wide = (uint64_t)op->heads * (qk ? op->k : op->n);
	struct columns scores = { qk ? op->dst : op->src, 0, op->heads };
	struct columns dst = qk ? scores : (struct columns){ op->dst, op->dst_col, wide };
	struct columns src = qk ? (struct columns){ op->src, op->src_col, wide } : scores;
	struct columns src2 = { op->src2, op->src2_col, wide };

	return check_form(check, MXACCEL_DYN_PV, 0,
			  F_DST | F_SRC | F_SRC2 | F_HEADS | F_SRC2_COL |
			  (qk ? F_SRC_COL | F_K | F_ALPHA : F_DST_COL | F_N)) &&
	       check_heads(check, scores.region) &&
	       kind_is(check, qk ? op->src : op->dst, MXACCEL_REGION_ROWS) &&
	       kind_is(check, op->src2, MXACCEL_REGION_ROWS) &&
	       (!qk || (check_inner(check) && finite_alpha(check))) &&
	       check_read(check, src) && check_read(check, src2) &&
	       check_apart(check, dst, src2, false) && check_write(check, dst);
}

static bool check_softmax(struct mx_check *check)
{
	const struct mxaccel_op *op = check->op;
	bool pad = op->flags & MXACCEL_OPF_PAD_MASK;
	uint32_t heads;

	if (!check_form(check, 0, MXACCEL_OPF_PAD_MASK | MXACCEL_OPF_CAUSAL,
			F_DST | F_SRC | (pad ? F_SRC2 : 0)) ||
	    !kind_is(check, op->dst, MXACCEL_REGION_SCORES) ||
	    !kind_is(check, op->src, MXACCEL_REGION_SCORES) || !check_ids(check, op->src2))
		return false;
	heads = check->region[op->dst].cols;
	if (check->region[op->src].cols != heads)
		return MX_BAD(check, "SOFTMAX from %u to %u heads", check->region[op->src].cols,
			   heads);
	return check_read(check, (struct columns){ op->src, 0, heads }) &&
	       check_write(check, (struct columns){ op->dst, 0, heads });
}

static bool check_norm(struct mx_check *check)
{
	const struct mxaccel_op *op = check->op;
	struct columns dst = { op->dst, op->dst_col, op->k };
	struct columns src = { op->src, op->src_col, op->k };
	uint64_t bytes = (uint64_t)op->k * 4;
	uint32_t used = F_UNARY;
	uint8_t kind;

	if (op->kind != MXACCEL_NORM_L2)
		used |= F_W | F_ALPHA;
	if (op->kind == MXACCEL_NORM_LAYER)
		used |= F_B;
	if (!check_form(check, MXACCEL_NORM_L2, 0, used) || !finite_alpha(check))
		return false;
	if (op->alpha >> 31)
		return MX_BAD(check, "NORM: alpha is negative");
	return kind_of_rows(check, op->dst, &kind) && kind_is(check, op->src, kind) &&
	       check_read(check, src) && check_apart(check, dst, src, true) &&
	       (!(used & F_W) || check_params(check, "w_off", op->w_off, bytes)) &&
	       (!(used & F_B) || check_params(check, "b_off", op->b_off, bytes)) &&
	       check_write(check, dst);
}

static bool check_elementwise(struct mx_check *check)
{
	const struct mxaccel_op *op = check->op;
	bool add = op->opcode == MXACCEL_OP_ADD, factors = op->flags & MXACCEL_OPF_FACTORS;
	uint16_t flags = op->opcode == MXACCEL_OP_QUANT ? MXACCEL_OPF_FACTORS : 0;
	unsigned int kinds = add ? 0 : op->opcode == MXACCEL_OP_QUANT ? MXACCEL_QUANT_RESIDUAL :
									MXACCEL_ACT_TANH;
	struct columns dst = { op->dst, op->dst_col, op->k };
	struct columns src = { op->src, op->src_col, op->k };
	struct columns src2 = { op->src2, op->src2_col, op->k };
	uint8_t kind;

	return check_form(check, kinds, flags,
			  F_UNARY | (add ? F_SRC2 | F_SRC2_COL : 0) | (factors ? F_W : 0)) &&
	       kind_of_rows(check, op->dst, &kind) && kind_is(check, op->src, kind) &&
	       check_read(check, src) && check_apart(check, dst, src, true) &&
	       (!add || (kind_is(check, op->src2, kind) && check_read(check, src2) &&
			 check_apart(check, dst, src2, true))) &&
	       (!factors || check_params(check, "w_off", op->w_off, (uint64_t)op->k * 4)) &&
	       check_write(check, dst);
}

static bool check_pool(struct mx_check *check)
{
	const struct mxaccel_op *op = check->op;

	return check_form(check, MXACCEL_POOL_MEAN, 0,
			  F_UNARY | (op->kind == MXACCEL_POOL_MEAN ? F_SRC2 : 0)) &&
	       kind_is(check, op->dst, MXACCEL_REGION_SEQ) &&
	       kind_is(check, op->src, MXACCEL_REGION_ROWS) && check_ids(check, op->src2) &&
	       check_read(check, (struct columns){ op->src, op->src_col, op->k }) &&
	       check_write(check, (struct columns){ op->dst, op->dst_col, op->k });
}

static bool check_store(struct mx_check *check)
{
	const struct mxaccel_op *op = check->op;

	if (!check_form(check, 0, 0, F_SRC | F_SRC_COL | F_K) ||
	    !kind_is(check, op->src, check->entry->out_kind))
		return false;
	if (op->k != check->entry->out_cols)
		return MX_BAD(check, "STORE of %u columns, the entry's result has %u", op->k,
			   check->entry->out_cols);
	return check_read(check, (struct columns){ op->src, op->src_col, op->k });
}

bool mx_check_op(struct mx_check *check)
{
	const struct mxaccel_op *op = check->op;
	bool first = op == check->first_op;
	bool last = op == check->first_op + check->entry->nr_ops - 1;

	if (first != (op->opcode == MXACCEL_OP_LOAD))
		return MX_BAD(check, "the first op of an entry must be LOAD, and no other may be");
	if (last != (op->opcode == MXACCEL_OP_STORE))
		return MX_BAD(check, "the last op of an entry must be STORE, and no other may be");
	switch (op->opcode) {
	case MXACCEL_OP_LOAD:
		return check_load(check);
	case MXACCEL_OP_EMBED:
		return check_embed(check);
	case MXACCEL_OP_MATMUL:
		return check_matmul(check);
	case MXACCEL_OP_MATMUL_DYN:
		return check_dyn(check);
	case MXACCEL_OP_SOFTMAX:
		return check_softmax(check);
	case MXACCEL_OP_NORM:
		return check_norm(check);
	case MXACCEL_OP_ACT:
	case MXACCEL_OP_ADD:
	case MXACCEL_OP_QUANT:
		return check_elementwise(check);
	case MXACCEL_OP_POOL:
		return check_pool(check);
	case MXACCEL_OP_STORE:
		return check_store(check);
	case MXACCEL_OP_FENCE:
		return check_form(check, 0, 0, 0);
	}
	return MX_BAD(check, "unknown opcode %u", op->opcode);
}
