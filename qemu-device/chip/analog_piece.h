/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside the analog products: what the pieces of one product share, and one piece. */
#ifndef MX_CHIP_ANALOG_PIECE_H
#define MX_CHIP_ANALOG_PIECE_H

#include <stdatomic.h>

#include "analog_prepare.h"

/* Levels behind those of the last column that a kernel may read. */
#define LEVEL_SLACK 64
/* Fewer tokens than this are not worth the tables. */
#define TABLE_TOKENS 32

/**
 * struct work - a product
 * @token_pieces: pieces of its tokens
 * @proves:	conversions that lose nothing are left out
 * @tables:	tables of a full group; 0: the kernel has none for these parameters
 * @parts:	the kernel's mx_analog_kernel.parts serves
 * @fused:	steps of a slice can be added up by the kernel: see struct mx_group_codes
 * @words:	digits are needed as 16-bit numbers, too
 * @index_bytes: of one block of tokens and one group in @index
 * @index:	[block of tokens][group][table][step][BLOCK], see struct mx_lut_slice
 * @digits:	see mx_analog_digits_at(); NULL with @tables
 * @spread:	[block of TILE][group][step][TILE]: standard deviation of the read noise of
 *		a sum, in 1 / MX_NORMAL_ONE of the unit; NULL without read noise
 * @sum_x:	[rows]: sum of each row's inputs
 * @tile:	[rows / TILE][k / 4][TILE][4]: inputs as bytes, see mx_analog_flip();
 *		NULL unless @proves
 */
struct work {
	const struct mx_analog *a;
	struct mx_analog_product *p;
	const struct mx_analog_prepared *prepared;
	const struct mx_analog_kernel *kernel;
	size_t token_pieces;
	bool proves;
	size_t tables;
	bool parts;
	bool fused;
	bool words;
	size_t index_bytes;
	uint8_t *index;
	uint8_t *digits;
	double *spread;
	int64_t *sum_x;
	uint8_t *tile;
	atomic_uint_fast64_t saturated;
	atomic_bool no_memory;
};

/**
 * struct piece - 16 columns and up to PIECE tokens, with memory to work on them
 * @panel, @row, @rows: which
 * @column:	[COLS][mx_analog_level_stride()]: weights of a group, for tables
 * @level:	the same and LEVEL_SLACK: levels of a slice of them
 * @cells:	[active / 2][COLS][2]: levels of a slice, without effects
 * @narrow:	[active / 4][COLS][4]: the same as bytes
 * @fast:	[COLS][PIECE]: sums of codes that fit 32 bits
 * @tokens:	[PIECE][COLS]: the same of tokens computed by themselves
 * @by_token:	the first of these: all with read noise, else those of a tile that is not full
 * @acc:	[COLS][PIECE]: the others
 * @out:	[PIECE][COLS]: all of them, for mx_analog_product.put
 * @profile:	what it adds to the product's profile, or NULL
 */
struct piece {
	size_t panel, row, rows;
	int8_t *column;
	int8_t *level;
	int16_t *cells;
	int8_t *narrow;
	int32_t (*fast)[PIECE];
	int32_t (*tokens)[COLS];
	size_t by_token;
	int64_t (*acc)[PIECE];
	int64_t (*out)[COLS];
	struct mx_profile_part *profile;
	int32_t sums[COLS][TILE] __attribute__((aligned(64)));
	uint64_t saturated;
};

/* Bytes of a step's digits of a tile and group: 16-bit ones, then the same as bytes. */
static inline size_t mx_analog_digits_bytes(const struct mx_analog *analog)
{
	return mx_analog_pad(analog->active, 4) * TILE * 3;
}

static inline uint8_t *mx_analog_digits_at(const struct work *work, size_t tile, size_t group,
					   uint32_t step)
{
	size_t at = (tile * work->prepared->groups + group) * work->a->steps + step;

	return work->digits + at * mx_analog_digits_bytes(work->a);
}

/* Levels of a group's column, with zeros up to the four tables that are made at once. */
static inline size_t mx_analog_level_stride(const struct mx_analog *analog)
{
	return mx_analog_pad(mx_analog_pad(analog->active, 4 * LUT_ROWS), 64);
}

/* Exclusive-or that makes a signed input byte x + 128, and leaves an unsigned one. */
static inline int32_t mx_analog_flip(const struct mx_analog *analog)
{
	return analog->keys.input == MX_UNSIGNED ? 0 : 0x80;
}

/* Whether the tables of a kernel can serve; sets work->tables and work->index_bytes. */
void mx_analog_plan_tables(struct work *work);
/* Fills the index of one block of tokens and one group. */
void mx_analog_index(struct work *work, size_t block, size_t group);
/* Fills the digits of one block of tokens and one group, which were zeroed. */
void mx_analog_digits(struct work *work, size_t block, size_t group);
/* Fills the spread of one block of tokens. */
void mx_analog_spread(struct work *work, size_t block);
/* Whether tables can serve for cells with effects; after mx_analog_plan_tiles() */
void mx_analog_plan_parts(struct work *work);
/* Converts some columns of a slice of a group with these; returns those that are left. */
uint16_t mx_analog_convert_parts(struct work *work, struct piece *piece, size_t group,
				 uint32_t slice, uint16_t columns, const int8_t *narrow);
/* Converts some columns of each slice of a group. */
void mx_analog_convert(struct work *work, struct piece *piece, size_t group,
		       const uint16_t columns[MX_MAX_SLICES]);
/* The same with tables; analog_tables.c. */
void mx_analog_convert_tables(struct work *work, struct piece *piece, size_t group,
			      const uint16_t columns[MX_MAX_SLICES]);
/* Converts all groups and slices, and corrects each: analog_gain.c. Into piece->acc */
void mx_analog_convert_corrected(struct work *work, struct piece *piece, uint16_t columns);
/* Whether mx_group_codes can hold all there is; sets work->fused and work->words. */
void mx_analog_plan_tiles(struct work *work);

#endif /* MX_CHIP_ANALOG_PIECE_H */
