/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside the analog products: the parts that differ by instruction set. */
#ifndef MX_CHIP_ANALOG_KERNEL_H
#define MX_CHIP_ANALOG_KERNEL_H

#include "analog.h"
#include "kernels.h"

#define COLS MXACCEL_PANEL_COLS
/* Rows of inputs ("tokens") that a tile has, a block, and a piece of work. */
#define TILE 16
#define BLOCK 64
#define PIECE 128

/* Rows whose bits choose one entry of a table. */
#define LUT_ROWS 6
#define LUT_ENTRIES 64
/* Rows of a group of cells with effects at most, if they are converted with tables. */
#define LUT_PART_ROWS 384

/**
 * struct mx_lut_slice - a slice of 16 columns of one group, converted with tables
 * @level:	[COLS][@level_stride]: of each row of the group, zeros up to the rows of four
 *		tables, and 64 bytes more
 * @columns:	those that count
 * @bytes:	those whose sums can be bytes: see mx_panel.bytes
 * @tables:	tables of the group
 * @index:	[table][step][BLOCK]: which entry, of each token; tokens lie at
 *		mx_lut_lane(). Blocks of tokens are @block_stride bytes apart.
 * @blocks:	blocks of tokens, two at most
 * @per_byte:	tables whose sums cannot spread over more than a byte holds
 * @has_signs:	levels have
 * @last_flip:	of these, what codes of the last step are xored with
 * @bias:	of these, what is added to the results
 * @divisor, @shift, @half: round(S / lsb) = ((S + half) * divisor >> 16 >> shift) -
 *		offset; @divisor 0: lsb is 1
 * @offset:	codes by which S was raised before, an even number
 * @lsb:	counts of a code
 * @tie_even:	ties go to the even code
 * @low, @high:	range of the codes
 * @scale:	factor of the sum of codes times @step_weight, which is added to
 * @acc:	of each column, [block][BLOCK]
 * @step_weight: of each step
 */
struct mx_lut_slice {
	const int8_t *level;
	size_t level_stride;
	uint16_t columns;
	uint16_t bytes;
	size_t tables;
	const uint8_t *index;
	size_t block_stride;
	size_t blocks;
	size_t per_byte;
	bool has_signs;
	uint8_t last_flip;
	int32_t bias;
	uint16_t divisor;
	uint16_t shift;
	uint16_t half;
	int16_t offset;
	int16_t lsb;
	bool tie_even;
	int16_t low, high;
	int32_t scale;
	int16_t step_weight[MX_MAX_STEPS];
	int32_t (*acc)[PIECE];
};

static inline size_t mx_lut_tables(size_t rows)
{
	return (rows + LUT_ROWS - 1) / LUT_ROWS;
}

/* Tables whose sums are one byte, where another has the rest of them. */
static inline size_t mx_lut_half(size_t tables)
{
	return (tables + 1) / 2;
}

/* Byte of a token in an index vector: results then come out in the tokens' order. */
static inline uint32_t mx_lut_lane(uint32_t token)
{
	return token / 4 % 4 * 16 + token / 16 * 4 + token % 4;
}

/**
 * struct mx_converter - what becomes of a sum: code = round(sum / divisor), clamped
 * @half_even:	ties go to the even code, else up
 * @weight:	of a code in the result
 */
struct mx_converter {
	int32_t divisor;
	bool half_even;
	int32_t low, high;
	int64_t weight;
};

/**
 * struct mx_token_noise - read noise of the sums of one token, of a group and slice
 * @seed, @panel, @table: as in struct mx_read_noise
 * @key:	of the token, see mx_noise_key()
 * @conversion:	number of the first step
 * @spread:	of each step
 */
struct mx_token_noise {
	uint64_t seed;
	uint64_t key;
	uint32_t panel;
	uint32_t conversion;
	double spread[MX_MAX_STEPS];
	const int32_t *table;
};

/**
 * struct mx_group_codes - all steps of a slice of a group, converted and added up
 * @level:	[@quads][COLS][4]
 * @digit:	[@quads][TILE][4] of the first step, the next ones @step_bytes on
 * @columns:	those that count
 * @steps:	of an input
 * @shift:	of the divisor, a power of two
 * @half_even:	as in struct mx_converter, like @low, @high and @weight, which fit 16 bits
 * @noise:	of each token, for token_codes; NULL without
 */
struct mx_group_codes {
	const int8_t *level;
	const uint8_t *digit;
	size_t step_bytes;
	size_t quads;
	uint16_t columns;
	uint32_t steps;
	uint32_t shift;
	bool half_even;
	int32_t low[MX_MAX_STEPS], high[MX_MAX_STEPS], weight[MX_MAX_STEPS];
	const struct mx_token_noise *noise;
};

/**
 * struct mx_read_noise - noise of the sums of a tile, of one group, slice and step
 * @seed:	key
 * @key:	of each row, see mx_noise_key()
 * @panel:	which 16 columns
 * @conversion:	number of the group, slice and step
 * @spread:	of each row: standard deviation in 1 / MX_NORMAL_ONE of the sums' unit
 * @table:	mx_normal_table()
 */
struct mx_read_noise {
	uint64_t seed;
	uint64_t key[TILE];
	uint32_t panel;
	uint32_t conversion;
	double spread[TILE];
	const int32_t *table;
};

/**
 * struct mx_analog_kernel - functions of one instruction set
 * @tile8:	sums[c][t] = sum over 4 * @quads rows of level[..] * digit[..], with
 *		level [quad][COLS][4], digit [quad][TILE][4] not negative
 * @tile16:	the same with 2 * @pairs rows in [pair][..][2]
 * @convert:	codes of a column of a tile, added to its results; returns how many
 *		were clamped. Rows of the tile that are not there have sum and code 0.
 * @levels:	mx_analog_level() of @bytes weights, a multiple of 64, for levels up to 127
 * @row8:	sums[c] of one token of a tile, whose digits start at @digit
 * @tile_codes:	adds the codes of a tile, weighted, to @acc; returns how many were clamped
 * @token_codes: the same of its first @tokens, by itself: for few of them
 * @noise:	adds read noise
 * @lut:	one-bit steps, no effects: returns how many conversions saturated;
 *		NULL: this set has none
 * @parts:	the same with effects, for levels in 1 / MX_ANALOG_UNIT, up to LUT_PART_ROWS
 *		rows, an lsb up to 256 that is a power of two, @shift being that of lsb *
 *		MX_ANALOG_UNIT; adds what saturated; returns columns that it leaves to others
 */
struct mx_analog_kernel {
	void (*tile8)(const int8_t *level, const uint8_t *digit, size_t quads,
		      int32_t sums[COLS][TILE]);
	void (*tile16)(const int16_t *level, const int16_t *digit, size_t pairs,
		       int32_t sums[COLS][TILE]);
	uint32_t (*convert)(const struct mx_converter *converter, const int32_t sum[TILE],
			    int32_t code[TILE], int64_t acc[TILE]);
	void (*levels)(const struct mx_analog *analog, const int8_t *w, size_t bytes,
		       uint32_t slice, int8_t *level);
	void (*row8)(const int8_t *level, const uint8_t *digit, size_t quads, int32_t sums[COLS]);
	uint64_t (*tile_codes)(const struct mx_group_codes *group, int32_t acc[COLS][PIECE]);
	uint64_t (*token_codes)(const struct mx_group_codes *group, size_t tokens,
				int32_t acc[TILE][COLS]);
	void (*noise)(const struct mx_read_noise *noise, int32_t sums[COLS][TILE]);
	uint64_t (*lut)(const struct mx_lut_slice *slice);
	uint16_t (*parts)(const struct mx_lut_slice *slice, uint64_t *saturated);
};

extern const struct mx_analog_kernel mx_analog_portable, mx_analog_avx2, mx_analog_avx512,
	mx_analog_avx512_vbmi;

/* analog_tables_avx512.c, analog_parts_avx512.c; they need VBMI. */
uint64_t mx_analog_tables_avx512(const struct mx_lut_slice *slice);
uint16_t mx_analog_parts_avx512(const struct mx_lut_slice *slice, uint64_t *saturated);

#endif /* MX_CHIP_ANALOG_KERNEL_H */
