// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a chip takes of silicon: closed forms over the chip file. */
#include <string.h>

#include "area.h"
#include "chip.h"

/* All in um2 until the end; 1 mm2 is 1e6 of them. */
#define MM2 1e6

static double cells(const struct mx_chip_config *c, double number)
{
	return number * c->area.cell_f2 * c->area.feature_nm * c->area.feature_nm * 1e-6;
}

static double crossbar_fabric(const struct mx_chip_config *c)
{
	double each = cells(c, (double)c->small_rows * c->small_cols) +
		      c->small_rows * c->area.dac + c->small_cols * c->area.sample_hold +
		      c->fabric_adcs * (c->area.adc + c->area.shift_add);

	return c->fabric_crossbars * each;
}

static void synergy(const struct mx_chip_config *c, double *part)
{
	part[MX_AREA_CELLS] = cells(c, (double)c->banks * c->bank_rows * c->bank_cols);
	part[MX_AREA_PERIPHERY] = c->banks * c->area.bank_periphery;
	part[MX_AREA_FABRIC] = c->fabric_kind == MX_FABRIC_DIGITAL ?
			       c->fabric_macs * c->area.mac : crossbar_fabric(c);
	part[MX_AREA_SFU] = c->area.sfu;
	part[MX_AREA_BUFFER] = c->buffer_kib / 1024.0 * c->area.sram_mib_mm2 * MM2;
	part[MX_AREA_CONTROL] = c->area.control;
}

static void inplace(const struct mx_chip_config *c, double *part)
{
	double groups = c->groups, arrays = groups * c->subarrays;
	double outputs = c->large_cols / mx_chip_weight_cells(c), rows = c->large_rows;
	double cols = (double)c->large_cols + c->analog.spare_cols;
	double small = (double)c->small_units * c->small_rows * c->small_cols;

	part[MX_AREA_CELLS] = cells(c, arrays * rows * cols);
	part[MX_AREA_PERIPHERY] = arrays * ((rows + cols) * c->area.select +
					    c->area.decoder);
	part[MX_AREA_ADC] = groups * c->adcs * c->area.adc;
	part[MX_AREA_CONVERTERS] = groups * (rows * c->area.dac +
					     cols * c->area.sample_hold +
					     c->adcs * c->area.shift_add + c->area.group_control);
	/* Double-buffered: a byte per input, three per partial sum. */
	part[MX_AREA_REGISTERS] = groups * (2 * rows * c->area.input_reg_byte +
					    2 * outputs * 3 * c->area.output_reg_byte);
	part[MX_AREA_SMALL_LOGIC] = small / 2048 * c->area.small_logic;
	part[MX_AREA_SMALL_SRAM] = small * c->small_contexts / 1048576 *
				   c->area.small_mib_mm2 * MM2;
	part[MX_AREA_SFU] = c->softmax_lanes * c->area.softmax_lane +
			    (double)c->norm_units * c->norm_lanes * c->area.norm_lane +
			    c->act_lanes * c->area.act_lane +
			    (double)c->requant_units * c->requant_lanes * c->area.requant_lane;
	part[MX_AREA_BUFFER] = c->buffer_kib / 1024.0 * c->area.sram_mib_mm2 * MM2;
	part[MX_AREA_NOC] = (c->groups + c->cluster - 1) / c->cluster * c->area.router;
	part[MX_AREA_CONTROL] = c->area.control + c->area.host_io;
}

static void traditional(const struct mx_chip_config *c, uint64_t arrays, double *part)
{
	uint64_t per_chip = (uint64_t)c->tiles * c->groups;

	if (!arrays)
		arrays = mx_chip_groups(c);
	part[MX_AREA_ADC] = (double)arrays * c->adcs * c->area.adc;
	part[MX_AREA_TILES] = (double)arrays / c->groups *
			      (c->area.tile - c->groups * c->area.tile_adc);
	part[MX_AREA_LINKS] = (arrays + per_chip - 1) / per_chip * c->area.offchip_link;
}

double mx_chip_area(const struct mx_chip_config *config, uint64_t arrays,
		    double part[MX_AREA_NR])
{
	double sum = 0;
	int i;

	memset(part, 0, MX_AREA_NR * sizeof(*part));
	switch (config->kind) {
	case MX_SYNERGY:
		synergy(config, part);
		break;
	case MX_INPLACE:
		inplace(config, part);
		break;
	case MX_TRADITIONAL:
		traditional(config, arrays, part);
		break;
	}
	for (i = 0; i < MX_AREA_NR; i++) {
		part[i] /= MM2;
		sum += part[i];
	}
	return sum;
}
