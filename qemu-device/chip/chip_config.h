/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A parsed chip file. Fields are named after the keys, see config_keys.c for
 * which organisation has which; those that an organisation lacks are zero.
 */
#ifndef MX_CHIP_CONFIG_H
#define MX_CHIP_CONFIG_H

#include <stdint.h>

enum mx_organisation {
	MX_SYNERGY,	/* dense banks read like memory, a small compute fabric */
	MX_INPLACE,	/* weight-stationary groups that share ADCs, small SRAM crossbars */
	MX_TRADITIONAL,	/* an ADC per array, the rest off chip or rewritten */
};

enum mx_fabric_kind {
	MX_FABRIC_DIGITAL,	/* INT8 multiply-accumulate units, the costed stand-in */
	MX_FABRIC_CROSSBAR,	/* computation crossbars with low-resolution ADCs */
};

enum mx_attention_mode {
	MX_ATTENTION_REWRITE,	/* K and V are written into memristors, layer by layer */
	MX_ATTENTION_OFFCHIP,	/* Q, K and V travel to a companion chip */
};

enum mx_input_coding {
	MX_TWOS_COMPLEMENT,	/* the last step is the sign: of weight -128 if it is one bit */
	MX_SIGN_MAGNITUDE,	/* 7 bits of magnitude, driven with the sign */
	MX_UNSIGNED,		/* 8 bits; signed activations enter as x + 128 */
};

enum mx_weight_mapping {
	MX_DIFFERENTIAL,	/* sign and magnitude in a pair of cells, subtracted before the ADC */
	MX_OFFSET,		/* w + 128; 128 * (sum of the inputs) is taken off digitally */
};

enum mx_adc_range {
	MX_ADC_FIXED,		/* one step for all slices */
	MX_ADC_CALIBRATED,	/* a step of its own for each slice */
};

enum mx_adc_tie {
	MX_HALF_EVEN,
	MX_HALF_UP,		/* towards plus infinity */
};

enum mx_correct {
	MX_CORRECT_NONE,
	MX_CORRECT_ARRAY,	/* gain and offset of each array, measured after programming */
};

#define MX_MAX_SLICES 8
#define MX_MAX_ARRAY_COLS 4096
#define MX_MAX_SPARE_COLS 64	/* these two as in config_keys.c */
#define MX_MAX_COPIES 15

/*
 * What fidelity=analog computes with, see Documentation/analog.rst. A count is
 * what a cell one level higher adds to its bitline for an input of one.
 */
struct mx_analog_keys {
	enum mx_input_coding input;
	enum mx_weight_mapping mapping;
	uint32_t rows_active;		/* in one conversion; 0: all of an array */
	enum mx_adc_range adc_range;
	enum mx_adc_tie adc_tie;
	uint32_t adc_step;		/* counts of a code; once parsed, 0 for calibrated */
	uint32_t adc_steps[MX_MAX_SLICES]; /* of each slice, filled for fixed, too */
	double program_sigma;		/* programming error in counts of the highest level */
	double program_sigma_prop;	/* further, as a share of the cell's conductance */
	double stuck_at_0;		/* share of the cells stuck at the lowest level */
	double stuck_at_1;		/* share of the cells stuck at the highest level */
	double read_sigma;		/* noise of each reading, in counts of the highest level */
	double drift_nu;		/* conductance falls with age^-nu: mean over the cells */
	double drift_nu_sigma;		/* and standard deviation */
	double rtn_share;		/* share of the cells with random telegraph noise */
	double rtn_amplitude;		/* share of its conductance that such a cell loses at times */
	double small_rtn_share;		/* synergy: the same of the computation crossbars */
	double small_rtn_amplitude;
	double on_off_ratio;		/* highest to lowest conductance; 0: infinite */
	double wire_ohm;		/* segment of a wordline or bitline between neighbours */
	double cell_ohm;		/* cell at its highest level */
	uint32_t spare_cols;		/* of each array, besides its columns */
	uint32_t redundant_slices;	/* highest slices whose cells are there several times */
	uint32_t redundant_copies;	/* how many times */
	enum mx_correct correction;	/* digital, of the codes */
	uint32_t drift_compensation;	/* 1: its gain follows the cells' age */
};

/* Picojoules per event. */
struct mx_energy_keys {
	double adc;		/* conversion */
	double dac;		/* wordline drive */
	double array_read;	/* activation of one array for one input bit, all columns */
	double shift_add;	/* shift-and-add of a conversion */
	double register_bit;	/* bit in or out of a register file */
	double reduce_add;	/* 24-bit addition of partial sums */
	double sram_bit;	/* bit in or out of the activation buffer */
	double noc_bit;		/* bit through the network on chip */
	double mac;		/* INT8 multiply-accumulate of the digital fabric */
	double dynamic_mac;	/* the same in a small SRAM crossbar */
	double bank_bit;	/* bit read from a dense bank, sense amplifier included */
	double softmax;		/* element, like the next four */
	double norm;
	double act;
	double requant;
	double add;
	double cell_write;	/* programming of a cell, verification included */
	double host_bit;	/* bit over the host link */
	double offchip_bit;	/* bit between a traditional chip and its companion */
	double companion_element; /* nonlinear element computed by the companion */
	double companion_mac;	/* multiply-accumulate computed by the companion */
};

/* Static power. */
struct mx_power_keys {
	double adc_mw;		/* of an ADC in use */
	double adc_idle;	/* share of it that an idle ADC takes, 0 to 1 */
	double sram_kib_mw;	/* leakage */
	double mac_uw;		/* leakage of a digital multiply-accumulate unit */
	double misc_mw;		/* clock, control, host interface */
};

/* Square micrometres, unless the name has another unit. */
struct mx_area_keys {
	double feature_nm;	/* F */
	double cell_f2;		/* memristor cell in F^2 */
	double select;		/* isolation or select switch of a wordline or bitline */
	double decoder;		/* select decoder of a subarray */
	double adc;
	double dac;
	double sample_hold;	/* of a bitline */
	double shift_add;
	double group_control;
	double input_reg_byte;
	double output_reg_byte;
	double small_logic;	/* adder trees of 2048 INT8 cells of a small SRAM crossbar */
	double small_mib_mm2;	/* SRAM of the small crossbars */
	double sram_mib_mm2;	/* activation buffer */
	double softmax_lane;
	double norm_lane;
	double act_lane;
	double requant_lane;
	double router;
	double bank_periphery;	/* of a dense bank: decoders, sense amplifiers */
	double mac;		/* digital INT8 multiply-accumulate unit */
	double sfu;		/* all digital function units of a synergy chip */
	double tile;		/* tile of a traditional chip with ADCs of tile_adc */
	double tile_adc;
	double offchip_link;	/* links of one traditional chip */
	double control;		/* sequencer, network, clock */
	double host_io;		/* PCIe and PLL */
};

/**
 * struct mx_chip_config - a parsed chip file
 *
 * Cycles are of @clock_khz. Energies are in picojoules, areas in square
 * micrometres.
 */
struct mx_chip_config {
	char name[32];
	char organisation[32];
	enum mx_organisation kind;
	uint32_t clock_khz;

	/* [large], synergy */
	uint32_t banks, bank_rows, bank_cols, intermediate_banks;
	uint32_t bank_port_bytes;	/* that a bank delivers per cycle */
	/* [large], all */
	uint32_t cell_bits;
	/* [large], inplace and traditional: groups of arrays behind shared ADCs */
	uint32_t chips, tiles;		/* traditional: chips of the system, tiles of a chip */
	uint32_t groups;		/* of the chip; traditional: arrays of a tile */
	uint32_t subarrays;		/* arrays of a group, one active at a time; traditional: 1 */
	uint32_t large_rows, large_cols; /* of an array */
	uint32_t adcs;			/* of a group */
	uint32_t large_adc_bits, adc_mhz;
	uint32_t settle_cycles, adc_cycles, shift_cycles, requant_cycles, switch_cycles;
	uint32_t cluster;		/* groups behind one router */
	uint32_t multicast;		/* groups that one transfer of inputs reaches */

	/* [small] */
	uint32_t small_rows, small_cols;
	uint32_t dac_bits, adc_bits, digit_bits;	/* synergy */
	uint32_t small_units, small_contexts;		/* inplace */

	/* [fabric], synergy */
	enum mx_fabric_kind fabric_kind;
	uint32_t fabric_macs, fabric_utilisation_percent;	/* digital */
	uint32_t fabric_crossbars, fabric_adcs;	/* crossbar: number, ADCs of each */
	uint32_t layer_cycles;		/* also traditional: fill and drain of a layer */

	/* [sfu], synergy and inplace */
	uint32_t softmax_lanes, norm_units, norm_lanes, act_lanes, act_cycles;
	uint32_t requant_units, requant_lanes, recip_cycles, rsqrt_cycles;

	/* [buffer] */
	uint32_t bus_bytes;		/* per cycle, between buffer, arrays and small crossbars */
	uint32_t buffer_kib;		/* activation SRAM */
	uint32_t intermediate_kib;	/* inplace, traditional: room for regions, see mx1-inplace.ini */

	/* [attention], traditional */
	enum mx_attention_mode attention;
	uint32_t kv_barrier;		/* 1: attention waits for all K and V of the layer */
	uint32_t overlap_link;		/* 1: transfers to the companion overlap products */
	double offchip_bytes;		/* per cycle, to the companion */

	/* [cells] */
	uint32_t cells_row_cycles;	/* programming a row, verification included */
	uint64_t cells_endurance;	/* writes that a cell survives */
	uint32_t cells_retry_ppm;	/* cells of a million that need another pulse */
	uint32_t cells_stuck_ppb;	/* cells of 1e9 that are stuck when new */
	uint32_t cells_spare_cols;	/* columns of a chunk that can replace faulty ones */
	uint32_t cells_spare_chunks;	/* chunks held back to replace worn ones */

	/* [link] */
	uint32_t link_setup_cycles, link_bytes_per_10_cycles;

	struct mx_analog_keys analog;	/* inplace, traditional */

	/* [limits] */
	uint32_t max_models, max_contexts, max_buffers, max_io_bytes, max_sg;

	struct mx_energy_keys energy;
	struct mx_power_keys power;
	struct mx_area_keys area;
};

#endif /* MX_CHIP_CONFIG_H */
