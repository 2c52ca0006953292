/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * IR drop: what is left of conductances behind the resistance of their wires.
 *
 * A wordline has its driver at one end, a bitline its sense amplifier, at ground, at the
 * other; each cell joins the two where they cross, and all segments between neighbours,
 * the driver and the sense amplifier have the same resistance. Rows that are not active
 * are cut off by their select transistors. The network is linear, so a sum is M * digits
 * with an M that depends on the cells alone. M is taken as the currents of the cells
 * while all active rows are driven with one: its sums over the rows are those of the
 * network, and what differs is how a row that is driven alone spreads over its
 * neighbours. scripts/ir-drop-error compares it with the whole nodal solution.
 *
 * The voltages are relaxed line by line: all wordlines with the bitlines as they are,
 * exactly, then all bitlines with those wordlines, and so on. Voltages are in those of a
 * driver, conductances in those of a wire segment.
 */
#include <stdlib.h>
#include <string.h>

#include "analog_draw.h"

/* Largest change of a voltage in the last sweep. */
#define SETTLED 0x1p-20
#define MOST_SWEEPS 2000
/* Lines that are solved beside each other. */
#define LINES 8

/**
 * struct net - voltages of a part of an array
 * @rows:	as struct mx_wires has, up to a multiple of LINES
 * @cell_w, @pivot_w, @at_w: [cols][rows]: cells, what elimination divides by, and
 *		voltages of the wordlines; bitlines in @bit_w
 * @cell_b, @pivot_b, @at_b: [rows][cols]: the same of the bitlines; wordlines in @word_b
 */
struct net {
	size_t rows, cols;
	double *cell_w, *pivot_w, *at_w, *bit_w;
	double *cell_b, *pivot_b, *at_b, *word_b;
};

static void transpose_to(double *to, const double *from, size_t rows, size_t cols)
{
	size_t r, c, i, j;

	for (r = 0; r < rows; r += LINES)
		for (c = 0; c < cols; c += LINES)
			for (i = 0; i < LINES; i++)
				for (j = 0; j < LINES; j++)
					to[(c + j) * rows + r + i] = from[(r + i) * cols + c + j];
}

/*
 * Pivots of @lines lines of @nodes nodes: neighbours are joined by 1, the first and last
 * node by @first and @last to what is given.
 */
static void eliminate(const double *cell, double *pivot, size_t nodes, size_t lines, double first,
		      double last)
{
	size_t i, j;

	for (i = 0; i < nodes; i++) {
		double wires = (i ? 1 : first) + (i + 1 < nodes ? 1 : last);

		for (j = 0; j < lines; j++) {
			double before = i ? pivot[(i - 1) * lines + j] : 0;

			pivot[i * lines + j] = 1 / (cell[i * lines + j] + wires - before);
		}
	}
}

/* Voltages at the nodes of lines whose cells lead to @across, and whose first node to @source. */
static void solve(const double *cell, const double *pivot, const double *across, double *at,
		  size_t nodes, size_t lines, double source)
{
	size_t i, j;

	for (j = 0; j < lines; j++)
		at[j] = (cell[j] * across[j] + source) * pivot[j];
	for (i = 1; i < nodes; i++) {
		const double *c = cell + i * lines, *x = across + i * lines, *p = pivot + i * lines;
		double *v = at + i * lines;

		for (j = 0; j < lines; j++)
			v[j] = (c[j] * x[j] + v[j - lines]) * p[j];
	}
	for (i = nodes - 1; i--;) {
		const double *p = pivot + i * lines;
		double *v = at + i * lines;

		for (j = 0; j < lines; j++)
			v[j] = v[j] + p[j] * v[j + lines];
	}
}

/* Whether voltages are where they were, about. */
static bool settled(const double *now, const double *before, size_t nr)
{
	double most[LINES] = { 0 };
	size_t i, j;

	for (i = 0; i < nr; i += LINES)
		for (j = 0; j < LINES; j++) {
			double change = now[i + j] - before[i + j];

			change = change < 0 ? -change : change;
			most[j] = change > most[j] ? change : most[j];
		}
	for (j = 0; j < LINES; j++)
		if (most[j] > SETTLED)
			return false;
	return true;
}

static void relax(struct net *net, size_t nodes, struct mx_wires *wires)
{
	size_t all = net->rows * net->cols;
	double *before;

	eliminate(net->cell_w, net->pivot_w, net->cols, net->rows, 1, 0);
	eliminate(net->cell_b, net->pivot_b, nodes, net->cols, 0, 1 / (1 + (double)wires->below));
	memset(net->bit_w, 0, all * sizeof(double));
	do {
		solve(net->cell_w, net->pivot_w, net->bit_w, net->at_w, net->cols, net->rows, 1);
		/* Transposed to and fro: what was before is seen where the new is written. */
		transpose_to(net->word_b, net->at_w, net->cols, net->rows);
		solve(net->cell_b, net->pivot_b, net->word_b, net->at_b, nodes, net->cols, 0);
		before = net->at_w;
		transpose_to(before, net->at_b, net->rows, net->cols);
		net->at_w = net->bit_w;
		net->bit_w = before;
		wires->sweeps++;
	} while (!settled(net->bit_w, net->at_w, all) && wires->sweeps < MOST_SWEEPS);
}

static bool wires(struct mx_wires *wires)
{
	size_t rows = (wires->rows + LINES - 1) / LINES * LINES, cols = wires->cols;
	size_t all = rows * cols, r, i;
	struct net net = { .rows = rows, .cols = cols };
	double **part[] = {
		&net.cell_w, &net.pivot_w, &net.at_w, &net.bit_w,
		&net.cell_b, &net.pivot_b, &net.at_b, &net.word_b,
	};
	double *memory = aligned_alloc(64, 8 * all * sizeof(double));

	if (!memory)
		return false;
	memset(memory, 0, 8 * all * sizeof(double));
	for (i = 0; i < 8; i++)
		*part[i] = memory + i * all;
	for (i = 0; i < wires->rows * cols; i++)
		net.cell_b[i] = wires->cell[i] * wires->ratio;
	transpose_to(net.cell_w, net.cell_b, rows, cols);
	wires->sweeps = 0;
	relax(&net, wires->rows, wires);
	for (r = 0; r < wires->rows; r++) {
		int16_t *cell = wires->cell + r * cols;
		const double *word = net.word_b + r * cols, *bit = net.at_b + r * cols;

		/* Rounded half up. Where a wordline has dropped more than the bitline, negative. */
		for (i = 0; i < cols; i++)
			cell[i] = (int32_t)(cell[i] * (word[i] - bit[i]) + 65536.5) - 65536;
	}
	free(memory);
	return true;
}
