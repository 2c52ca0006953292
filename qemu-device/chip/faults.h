/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the cells of a chunk are like: stuck ones, and how many need more than
 * one pulse. Functions of the chip's seed, the chunk and its wear only.
 */
#ifndef MX_CHIP_FAULTS_H
#define MX_CHIP_FAULTS_H

#include "chip.h"

/**
 * struct mx_faults - stuck cells of a chunk
 * @cells:	stuck cells
 * @cols:	columns with at least one of them
 */
struct mx_faults {
	uint32_t cells;
	uint32_t cols;
};

/* Cells of a chunk, and the columns (bitlines) they form, at least 1. */
uint32_t mx_chunk_cells(const struct mx_chip_config *config);
uint32_t mx_chunk_cols(const struct mx_chip_config *config);

/**
 * mx_faults_draw() - stuck cells of a new chunk
 * @p:		probability that a cell is stuck
 * @cells:	cells of the chunk
 * @cols:	its columns
 * @scratch:	room for @cols bytes
 *
 * The number of stuck cells is binomial (n = @cells, @p), drawn by inversion of
 * the distribution with one 53-bit uniform number; each falls into a column with
 * equal probability. Where P(no stuck cell) < 1e-300, the number is the mean and
 * every column is faulty. Philox counter: chunk, draw, MX_PHILOX_STUCK, 0.
 */
struct mx_faults mx_faults_draw(uint64_t seed, uint32_t chunk, double p, uint32_t cells,
				uint32_t cols, uint8_t *scratch);

/**
 * mx_retries_draw() - further pulses to program a whole chunk once
 * @wear:	number of this programming, 1 for the first
 * @cells:	cells of the chunk
 * @p:		probability that a cell needs another pulse
 *
 * Binomial (n = @cells, @p) by its normal approximation: n p + z sqrt(n p (1 - p)),
 * rounded, at least 0, where z = sqrt(3) (u1 + u2 + u3 + u4 - 2) with uniform u in
 * [0, 1). Philox counter: chunk, wear, MX_PHILOX_RETRY, 0.
 */
uint64_t mx_retries_draw(uint64_t seed, uint32_t chunk, uint32_t wear, uint32_t cells, double p);

#endif /* MX_CHIP_FAULTS_H */
