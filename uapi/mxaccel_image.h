/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Layout of model images (.mxw) and of the part of them that the chip runs.
 *
 * A file is: one header page, holding the section table; then the sections,
 * each at a page boundary, in ascending order, the gaps filled with zeros.
 * MODEL and PARAMS follow each other and are what is programmed into the
 * chip; everything else is for the host. Documentation/image-format.rst
 * explains the whole; libmxrt and mxmap (files) and the chip (MODEL) include
 * this file. All values are little-endian.
 */
#ifndef _UAPI_MXACCEL_IMAGE_H
#define _UAPI_MXACCEL_IMAGE_H

#include "mxaccel_hw.h"

/* ------------------------------------------------------------------ file */

#define MXACCEL_IMAGE_MAGIC		0x4547414d4957584dULL	/* "MXWIMAGE" */
#define MXACCEL_IMAGE_MAJOR		1
#define MXACCEL_IMAGE_MINOR		0
#define MXACCEL_IMAGE_SECTIONS		48	/* room in the header page */

/* A reader refuses an image with an incompatible feature bit that it does not know, by number. */
#define MXACCEL_IMAGE_INCOMPAT_KNOWN	0ULL

/**
 * struct mxaccel_section - entry of the section table
 * @kind:	MXACCEL_SEC_*; readers skip kinds they do not know
 * @rsvd:	zero
 * @offset:	from the start of the file, a multiple of MXACCEL_PAGE
 * @bytes:	length
 * @digest:	SHA-256 over the concatenated SHA-256 digests of the section's
 *		chunks of MXACCEL_CHUNK bytes (the last may be shorter; an empty
 *		section has none). Chunks can be hashed in parallel, and a chunk's
 *		digest tells whether a resident copy of it can stay.
 * @rsvd2:	zero
 */
struct mxaccel_section {
	__le32	kind;
	__le32	rsvd;
	__le64	offset;
	__le64	bytes;
	__u8	digest[32];
	__u8	rsvd2[8];
};
MXACCEL_ASSERT_SIZE(struct mxaccel_section, 64);
MXACCEL_ASSERT_AT(struct mxaccel_section, digest, 24);

#define MXACCEL_SEC_MODEL		1	/* struct mxaccel_model and its tables */
#define MXACCEL_SEC_PARAMS		2	/* weights, scales, biases: the model's parameter space */
#define MXACCEL_SEC_CHUNKS		3	/* SHA-256 of each PARAMS chunk, 32 bytes each */
#define MXACCEL_SEC_VOCAB		4	/* WordPiece vocabulary: UTF-8 tokens, each ended by '\n' */
#define MXACCEL_SEC_TOKENIZER		5	/* struct mxaccel_tokenizer */
#define MXACCEL_SEC_CARD		6	/* model card: JSON text */
#define MXACCEL_SEC_GOLDEN		7	/* struct mxaccel_golden and its data */
#define MXACCEL_SEC_CALIBRATION		8	/* what the model was calibrated with: JSON text */

/**
 * struct mxaccel_image - first page of a file
 * @magic:	MXACCEL_IMAGE_MAGIC
 * @major:	layout version; readers refuse a major they do not know
 * @minor:	grows with compatible additions
 * @header_bytes: MXACCEL_PAGE
 * @file_bytes:	size of the whole file
 * @incompat:	feature bits without which the image cannot be understood
 * @compat:	feature bits that may be ignored
 * @content:	content id: SHA-256 over MODEL's digest followed by PARAMS' digest
 * @name:	of the model, UTF-8, NUL-padded and -terminated
 * @chip:	chip file the image was mapped for, NUL-padded and -terminated
 * @builder:	program and version that wrote it, NUL-padded and -terminated
 * @nr_sections: entries of @section in use
 * @crc32c:	CRC-32C (Castagnoli) of the page with this field zero
 * @section:	the section table; unused entries are zero
 * @rsvd:	zero
 */
struct mxaccel_image {
	__le64	magic;
	__le16	major;
	__le16	minor;
	__le32	header_bytes;
	__le64	file_bytes;
	__le64	incompat;
	__le64	compat;
	__u8	content[32];
	char	name[48];
	char	chip[32];
	char	builder[64];
	__le32	nr_sections;
	__le32	crc32c;
	__u8	rsvd[800];
	struct mxaccel_section section[MXACCEL_IMAGE_SECTIONS];
};
MXACCEL_ASSERT_SIZE(struct mxaccel_image, MXACCEL_PAGE);
MXACCEL_ASSERT_AT(struct mxaccel_image, content, 40);
MXACCEL_ASSERT_AT(struct mxaccel_image, nr_sections, 216);
MXACCEL_ASSERT_AT(struct mxaccel_image, crc32c, 220);
MXACCEL_ASSERT_AT(struct mxaccel_image, section, 1024);

/**
 * struct mxaccel_tokenizer - how text becomes ids (BERT's WordPiece)
 * @flags:	MXACCEL_TOK_*
 * @pad:	id of padding, which the chip masks: 0
 * @unk:	id of an unknown word
 * @cls:	id put first
 * @sep:	id put last
 * @max_word:	characters of a word above which it is unknown
 * @rsvd:	zero
 */
struct mxaccel_tokenizer {
	__le32	flags;
	__le32	pad;
	__le32	unk;
	__le32	cls;
	__le32	sep;
	__le32	max_word;
	__u8	rsvd[40];
};
MXACCEL_ASSERT_SIZE(struct mxaccel_tokenizer, 64);

#define MXACCEL_TOK_LOWER		0x1	/* lower-case */
#define MXACCEL_TOK_STRIP_ACCENTS	0x2	/* remove combining marks after NFD */
#define MXACCEL_TOK_SPLIT_CJK		0x4	/* each CJK character is a word */

/**
 * struct mxaccel_golden - a job with its expected answer
 * @entry:	program entry
 * @nr_seq:	sequences
 * @tokens:	ids per sequence
 * @cycles:	modelled cycles on @mxaccel_image.chip
 * @out_bytes:	size of the result
 * @out_sha256:	SHA-256 of the result, bit for bit (fidelity=exact)
 * @rsvd:	zero
 *
 * Followed by nr_seq * tokens __le32 ids.
 */
struct mxaccel_golden {
	__le32	entry;
	__le32	nr_seq;
	__le32	tokens;
	__le32	rsvd;
	__le64	cycles;
	__le64	out_bytes;
	__u8	out_sha256[32];
};
MXACCEL_ASSERT_SIZE(struct mxaccel_golden, 64);

/* ------------------------------------------------ MODEL: what the chip runs */

#define MXACCEL_MODEL_MAGIC		0x4c444f4d	/* "MODL" */
#define MXACCEL_MODEL_VERSION		1
#define MXACCEL_MODEL_MAX_BYTES		(16u << 20)	/* of the section */
#define MXACCEL_MODEL_MAX_ENTRIES	256	/* programs of a model */
#define MXACCEL_MODEL_INCOMPAT_KNOWN	0ULL

/**
 * struct mxaccel_model - start of the MODEL section
 * @magic:	MXACCEL_MODEL_MAGIC
 * @version:	MXACCEL_MODEL_VERSION
 * @incompat:	feature bits the chip must know. A chip refuses opcodes, kinds and
 *		flags that it does not know, and unused fields that are not zero; a
 *		bit is needed only for what an older chip would take and misread.
 * @name:	as in the file header
 * @params_bytes: size of PARAMS; every parameter offset is checked against it
 * @vocab:	token ids are 0 .. vocab - 1; 0 is padding
 * @max_tokens:	longest sequence
 * @nr_regions:	entries of the region table, which follows this header
 * @nr_entries:	entries of the entry table, which follows the regions
 * @nr_ops:	macro-ops, which follow the entries
 * @nr_places:	entries of the placement table, which follows the ops; 0: there is
 *		none, and the other fields place_* are zero
 * @place_units: units of the chip that the placement was made for, see struct
 *		mxaccel_place
 * @place_depth: tiles that each holds
 * @place_rows:	rows of weights of a tile; banks: 0
 * @place_cols:	columns of weights of a tile; banks: 0
 * @place_organisation: what a unit is, MXACCEL_PLACE_*
 * @step_slices: slices of a weight, for which there are steps: 1 to MXACCEL_SLICES
 * @step_cell_bits: bits of a slice of the chip that the steps were made for
 * @step_dac_bits: bits of its inputs' digits
 * @nr_steps:	entries of the table of steps, which follows the placement table and
 *		ends the section: one for each MATMUL, in the order of the ops; 0: there
 *		is none, and the other fields step_* are zero
 * @step_rows:	rows of a conversion
 * @step_adc_bits: bits of a code
 * @step_mapping: weights in cells, MXACCEL_MAPPING_*
 * @step_input:	coding of inputs, MXACCEL_INPUT_*
 * @rsvd:	zero
 */
struct mxaccel_model {
	__le32	magic;
	__le32	version;
	__le64	incompat;
	char	name[48];
	__le64	params_bytes;
	__le32	vocab;
	__le32	max_tokens;
	__le32	nr_regions;
	__le32	nr_entries;
	__le32	nr_ops;
	__le32	nr_places;
	__le32	place_units;
	__le32	place_depth;
	__le32	place_rows;
	__le32	place_cols;
	__u8	place_organisation;
	__u8	step_slices;
	__u8	step_cell_bits;
	__u8	step_dac_bits;
	__le32	nr_steps;
	__le32	step_rows;
	__u8	step_adc_bits;
	__u8	step_mapping;
	__u8	step_input;
	__u8	rsvd;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_model, 128);
MXACCEL_ASSERT_AT(struct mxaccel_model, params_bytes, 64);
MXACCEL_ASSERT_AT(struct mxaccel_model, nr_ops, 88);
MXACCEL_ASSERT_AT(struct mxaccel_model, place_organisation, 112);
MXACCEL_ASSERT_AT(struct mxaccel_model, nr_steps, 116);
MXACCEL_ASSERT_AT(struct mxaccel_model, rsvd, 127);

#define MXACCEL_PLACE_BANKS		1	/* a dense bank; a tile is MXACCEL_WORD bytes */
#define MXACCEL_PLACE_GROUPS		2	/* arrays that share ADCs; a tile is an array */
#define MXACCEL_PLACE_ARRAYS		3	/* an array with its own ADC, which is one tile */

#define MXACCEL_MAPPING_DIFFERENTIAL	1	/* a pair of cells, magnitude by sign */
#define MXACCEL_MAPPING_OFFSET		2	/* w + 128 in single cells */
#define MXACCEL_INPUT_TWOS_COMPLEMENT	1	/* the last digit is signed */
#define MXACCEL_INPUT_SIGN_MAGNITUDE	2	/* all digits have the sign */
#define MXACCEL_INPUT_UNSIGNED		3	/* 0 to 255 */

/**
 * struct mxaccel_region - a named piece of the activation buffer
 * @kind:	MXACCEL_REGION_*, which gives the shape for a sequence of T tokens
 * @rsvd:	zero
 * @cols:	columns; SCORES: heads; IDS: 0 or 1
 * @rsvd2:	zero
 *
 * Elements are binary32, those of IDS int32.
 */
struct mxaccel_region {
	__u8	kind;
	__u8	rsvd[3];
	__le32	cols;
	__u8	rsvd2[8];
};
MXACCEL_ASSERT_SIZE(struct mxaccel_region, 16);

#define MXACCEL_REGION_IDS		1	/* [T] */
#define MXACCEL_REGION_ROWS		2	/* [T, cols] */
#define MXACCEL_REGION_SCORES		3	/* [cols = heads, T, T] */
#define MXACCEL_REGION_SEQ		4	/* [1, cols]: one row per sequence */

/**
 * struct mxaccel_entry - a program of the model
 * @name:	"tokens", "sentence", ..., NUL-padded and -terminated
 * @first_op:	index of its first macro-op: 0, or where the entry before ends
 * @nr_ops:	number of them; the first is LOAD, the last is STORE, no others are
 * @out_kind:	region kind of the result: ROWS gives [nr_seq, tokens, out_cols]
 *		with zeros after a sequence's last token, SEQ [nr_seq, out_cols]
 * @out_cols:	columns of the result, binary32
 * @rsvd:	zero
 * @rsvd2:	zero
 */
struct mxaccel_entry {
	char	name[32];
	__le32	first_op;
	__le32	nr_ops;
	__u8	out_kind;
	__u8	rsvd[3];
	__le32	out_cols;
	__u8	rsvd2[16];
};
MXACCEL_ASSERT_SIZE(struct mxaccel_entry, 64);
MXACCEL_ASSERT_AT(struct mxaccel_entry, out_kind, 40);

/**
 * struct mxaccel_op - macro-op, 64 bytes
 * @opcode:	MXACCEL_OP_*
 * @kind:	variant of the opcode, MXACCEL_<OPCODE>_*
 * @flags:	MXACCEL_OPF_*
 * @dst:	destination region
 * @src:	first source region
 * @src2:	second source region
 * @heads:	attention heads (MATMUL_DYN)
 * @dst_col:	first column written
 * @src_col:	first column read of @src
 * @src2_col:	first column read of @src2
 * @k:		length of the dot products; columns for element-wise ops
 * @n:		output columns; rows of the table (EMBED)
 * @w_off:	weights, table or gamma in PARAMS
 * @s_off:	binary32 scales in PARAMS, one per output channel or table row
 * @b_off:	binary32 bias or beta in PARAMS
 * @alpha:	binary32 scalar (score scale, epsilon), as its bits
 * @layer:	for reports: layer of the model, 0xffff outside of layers
 * @rsvd:	zero
 *
 * Unused fields are zero. Parameter offsets are multiples of MXACCEL_WORD.
 */
struct mxaccel_op {
	__u8	opcode;
	__u8	kind;
	__le16	flags;
	__le16	dst;
	__le16	src;
	__le16	src2;
	__le16	heads;
	__le32	dst_col;
	__le32	src_col;
	__le32	src2_col;
	__le32	k;
	__le32	n;
	__le64	w_off;
	__le64	s_off;
	__le64	b_off;
	__le32	alpha;
	__le16	layer;
	__le16	rsvd;
};
MXACCEL_ASSERT_SIZE(struct mxaccel_op, 64);
MXACCEL_ASSERT_AT(struct mxaccel_op, dst_col, 12);
MXACCEL_ASSERT_AT(struct mxaccel_op, w_off, 32);
MXACCEL_ASSERT_AT(struct mxaccel_op, alpha, 56);

/**
 * struct mxaccel_place - where weights lie on the chip
 * @w_off:	of the MATMUL or EMBED ops that use them
 * @first_unit:	first unit
 * @nr_units:	units, which follow each other; unit 0 follows the last of the chip
 * @fill:	0: tiles are dealt to the units in turn. Else units are filled one after
 *		the other: @fill tiles on the first, place_depth on each that follows
 *		but the last
 * @rsvd:	zero
 *
 * Tiles of a product of k inputs by n channels: ceil(k / place_rows) *
 * ceil(n / place_cols); of a table of n rows: ceil(n / place_rows) *
 * ceil(k / place_cols), in panels as of a product; in banks: words of its bytes
 * in PARAMS. The table has every w_off of the program once, in ascending order,
 * and puts on no unit more than it holds. A chip of another geometry than the
 * table's makes its own, so that any image runs on any chip that it fits.
 */
struct mxaccel_place {
	__le64	w_off;
	__le32	first_unit;
	__le32	nr_units;
	__le32	fill;
	__u8	rsvd[12];
};
MXACCEL_ASSERT_SIZE(struct mxaccel_place, 32);

#define MXACCEL_SLICES		8		/* the most that a weight has */
#define MXACCEL_STEP_MAX	(1u << 20)

/**
 * struct mxaccel_steps - steps of the ADCs in a stationary product
 * @step:	counts of a code, of each slice, the lowest first: 1 to
 *		MXACCEL_STEP_MAX; 0 beyond the header's step_slices
 *
 * Made by calibration with real activations. They matter with fidelity=analog on a
 * chip with adc_range = calibrated whose geometry is the one that the header names;
 * every other chip has its own steps, or none.
 */
struct mxaccel_steps {
	__le32	step[MXACCEL_SLICES];
};
MXACCEL_ASSERT_SIZE(struct mxaccel_steps, 32);

/*
 * Macro-ops. T is the sequence's length (index of its last non-zero id plus
 * one), R the rows of a region for it: T for ROWS, 1 for SEQ. "x" stands for
 * the columns of the source region that the op names. "ids" are always those
 * that the entry's LOAD brought; EMBED may name their region in src, SOFTMAX
 * (PAD_MASK) and POOL (MEAN) in src2, or leave that zero.
 *
 * SOFTMAX, NORM, ACT, ADD and QUANT may write the very columns they read; otherwise
 * sources and destination do not overlap. Nothing is read that the entry has
 * not written before. The chip refuses a model that breaks any of this.
 *
 * LOAD		dst (IDS) = the sequence's ids
 * EMBED	dst[t, dst_col + c] = table[row][c] * s[row], c < k; ACCUMULATE adds.
 *		table: int8, n rows, each padded to MXACCEL_WORD bytes, at w_off; with
 *		PANELS in panels (below), as the weights of a MATMUL with n channels
 *		and k inputs, so that one copy in PARAMS serves both.
 *		kind TOKEN: row = ids[t]; POSITION: row = t; FIXED: row = src2_col.
 * MATMUL	dst[r, dst_col + j] = quant(x[r]) . W[j] * (s_x[r] * s[j]) + bias[j],
 *		j < n, with k inputs; W in panels (below) at w_off; BIAS flag;
 *		ACCUMULATE adds it to dst. FACTORS: x[r][i] * f[i] stands for x[r][i],
 *		with k binary32 at MXACCEL_FACTORS(s_off, n).
 * MATMUL_DYN	kind QK: dst (SCORES)[h, i, j] = alpha * (quant(q[i, h]) . quant(k[j, h]))
 *		  * (s_q * s_k), k columns per head from src_col + h * k and
 *		  src2_col + h * k (source regions ROWS);
 *		kind PV: dst (ROWS)[i, dst_col + h * n + c] = sum over j of
 *		  quant(src[h, i, j] * s_v[j, h]) * quant(v[j, h])[c], scaled by the
 *		  row's scale; v[j, h] = src2[j, src2_col + h * n + c], c < n.
 * SOFTMAX	dst = src (SCORES, may be the same): along j, masked where ids[j] = 0
 *		(PAD_MASK), where j > i (CAUSAL); masked places become 0
 * NORM		kind LAYER: (x - mean) / sqrt(var + alpha) * gamma + beta (w_off, b_off);
 *		kind RMS: x / sqrt(mean(x^2) + alpha) * gamma; kind L2: x / sqrt(sum(x^2)),
 *		zero rows stay zero. k columns.
 * ACT		dst = f(src), k columns
 * ADD		dst = src + src2, k columns
 * POOL		dst (SEQ) from src (ROWS), k columns: FIRST row, or MEAN of the rows
 *		whose id is not 0
 * STORE	result = src, all k = out_cols columns from src_col
 * QUANT	kind RESIDUAL: dst = src - quant(src) * s, k columns: what a product of
 *		src leaves out. A product of it with the same weights, accumulated,
 *		lets about 15 bits and the sign of src count. FACTORS: src[i] * f[i]
 *		stands for src[i], with k binary32 at w_off.
 * FENCE	end of a layer, a hint: what that costs depends on the chip's organisation
 */
#define MXACCEL_OP_LOAD			1	/* ids arrive */
#define MXACCEL_OP_EMBED		2	/* rows of a table */
#define MXACCEL_OP_MATMUL		3	/* product with stationary weights */
#define MXACCEL_OP_MATMUL_DYN		4	/* product of two activations */
#define MXACCEL_OP_SOFTMAX		5	/* softmax with masks */
#define MXACCEL_OP_NORM			6	/* normalisation of rows */
#define MXACCEL_OP_ACT			7	/* activation function */
#define MXACCEL_OP_ADD			8	/* sum of two regions */
#define MXACCEL_OP_POOL			9	/* one row from all */
#define MXACCEL_OP_STORE		10	/* the result leaves */
#define MXACCEL_OP_FENCE		11	/* end of a layer */
#define MXACCEL_OP_QUANT		12	/* quantisation of rows */

#define MXACCEL_EMBED_TOKEN		1	/* row ids[t] */
#define MXACCEL_EMBED_POSITION		2	/* row t */
#define MXACCEL_EMBED_FIXED		3	/* row src2_col */
#define MXACCEL_DYN_QK			1	/* scores */
#define MXACCEL_DYN_PV			2	/* weighted sum of values */
#define MXACCEL_NORM_LAYER		1	/* mean and variance */
#define MXACCEL_NORM_RMS		2	/* root mean square */
#define MXACCEL_NORM_L2			3	/* length 1 */
#define MXACCEL_ACT_GELU_ERF		1	/* GELU, exact */
#define MXACCEL_ACT_GELU_TANH		2	/* GELU, tanh approximation */
#define MXACCEL_ACT_RELU		3	/* max(x, 0) */
#define MXACCEL_ACT_SILU		4	/* x * sigmoid(x) */
#define MXACCEL_ACT_TANH		5	/* tanh(x) */
#define MXACCEL_QUANT_RESIDUAL		1	/* what it loses */
#define MXACCEL_POOL_FIRST		1	/* first row */
#define MXACCEL_POOL_MEAN		2	/* mean of the rows whose id is not 0 */

#define MXACCEL_OPF_ACCUMULATE		0x1	/* EMBED, MATMUL: add to what is there */
#define MXACCEL_OPF_BIAS		0x2	/* MATMUL: add b_off */
#define MXACCEL_OPF_PAD_MASK		0x4	/* SOFTMAX: mask keys whose id is 0 */
#define MXACCEL_OPF_CAUSAL		0x8	/* SOFTMAX: mask keys after the query */
#define MXACCEL_OPF_PANELS		0x10	/* EMBED: the table lies in panels */
#define MXACCEL_OPF_FACTORS		0x20	/* MATMUL, QUANT: each input column times a factor */

/*
 * Weights of a stationary product, int8 [N, K], lie in panels of 16 output
 * channels by 4 inputs, one 64-byte word each, the word a bank delivers:
 *
 *	byte offset of W[n][k] = ((n / 16 * ceil(K / 4) + k / 4) * 16 + n % 16) * 4 + k % 4
 *
 * Places beyond N or K hold zero.
 */
#define MXACCEL_WORD			64
#define MXACCEL_PANEL_COLS		16
#define MXACCEL_PANEL_K			4
#define MXACCEL_MAX_K			131072	/* keeps any dot product within int32 */

#define MXACCEL_PANEL_BYTES(n, k) \
	(((__u64)(n) + MXACCEL_PANEL_COLS - 1) / MXACCEL_PANEL_COLS * \
	 (((__u64)(k) + MXACCEL_PANEL_K - 1) / MXACCEL_PANEL_K) * MXACCEL_WORD)
#define MXACCEL_PANEL_OFFSET(n, k, K) \
	((((__u64)(n) / MXACCEL_PANEL_COLS * \
	   (((__u64)(K) + MXACCEL_PANEL_K - 1) / MXACCEL_PANEL_K) + \
	   (__u64)(k) / MXACCEL_PANEL_K) * MXACCEL_PANEL_COLS + \
	  (__u64)(n) % MXACCEL_PANEL_COLS) * MXACCEL_PANEL_K + (__u64)(k) % MXACCEL_PANEL_K)

/* Where a MATMUL has its factors: behind its scales, at the next word */
#define MXACCEL_FACTORS(s_off, n) \
	((__u64)(s_off) + ((__u64)(n) * 4 + MXACCEL_WORD - 1) / MXACCEL_WORD * MXACCEL_WORD)

/* A row of an embedding table with k columns */
#define MXACCEL_TABLE_STRIDE(k) \
	(((__u64)(k) + MXACCEL_WORD - 1) / MXACCEL_WORD * MXACCEL_WORD)

#endif /* _UAPI_MXACCEL_IMAGE_H */
