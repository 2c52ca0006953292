/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a chip takes of silicon, by component. */
#ifndef MX_CHIP_AREA_H
#define MX_CHIP_AREA_H

#include <stdint.h>

#include "chip_config.h"

/* Components: name, key in reports, description. */
#define MX_AREA_PARTS(X) \
	X(CELLS,	cells,		"memristor cells of the LARGE crossbars") \
	X(PERIPHERY,	periphery,	"select switches, decoders, sense amplifiers") \
	X(ADC,		adc,		"analog-to-digital converters") \
	X(CONVERTERS,	converters,	"drivers, sample-and-hold, shift-and-add, group control") \
	X(REGISTERS,	registers,	"input and output registers of the groups") \
	X(FABRIC,	fabric,		"compute fabric") \
	X(SMALL_LOGIC,	small_logic,	"adder trees of the small SRAM crossbars") \
	X(SMALL_SRAM,	small_sram,	"SRAM of the small crossbars: K and V") \
	X(SFU,		sfu,		"digital function units") \
	X(BUFFER,	buffer,		"activation SRAM") \
	X(NOC,		noc,		"routers") \
	X(CONTROL,	control,	"control, clock, host interface") \
	X(TILES,	tiles,		"traditional: tiles without their ADCs") \
	X(LINKS,	links,		"traditional: links between chips")

enum mx_area_part {
#define MX_X(name, key, text) MX_AREA_##name,
	MX_AREA_PARTS(MX_X)
#undef MX_X
	MX_AREA_NR
};

/**
 * mx_chip_area() - area of a chip in mm2
 * @config:	chip file
 * @arrays:	traditional: arrays in use, since such a system is as large as its
 *		model; tiles are counted in parts, links by whole chips. 0: all.
 * @part:	out: by component
 *
 * Formulas: Documentation/cost-model.rst. Return: the sum.
 */
double mx_chip_area(const struct mx_chip_config *config, uint64_t arrays,
		    double part[MX_AREA_NR]);

#endif /* MX_CHIP_AREA_H */
