// SPDX-License-Identifier: LGPL-2.1-or-later
/* The keys of chip files. The chip specification's table is made from this one. */
#include "config_keys.h"
#include "internal.h"
#include "nv.h"

#define S	MX_OF(MX_SYNERGY)
#define I	MX_OF(MX_INPLACE)
#define T	MX_OF(MX_TRADITIONAL)
#define ALL	MX_OF_ALL

#define AT(field)	offsetof(struct mx_chip_config, field)
#define KEY(orgs, section, name, field, min, max) \
	{ orgs, section, name, AT(field), MX_KEY_U32, min, max, NULL, false }
#define KEY64(orgs, section, name, field, min, max) \
	{ orgs, section, name, AT(field), MX_KEY_U64, min, max, NULL, false }
#define REAL(orgs, section, name, field, min, max) \
	{ orgs, section, name, AT(field), MX_KEY_REAL, min, max, NULL, false }
#define WORD(orgs, section, name, field, words) \
	{ orgs, section, name, AT(field), MX_KEY_WORD, 0, 0, words, false }

/* Of [analog]: effects of any cells; what computes in LARGE cells; synergy's small crossbars. */
#define CELLS(name, max) \
	{ ALL, "analog", #name, AT(analog.name), MX_KEY_REAL, 0, max, NULL, true }
#define SMALL(name, max) \
	{ S, "analog", #name, AT(analog.name), MX_KEY_REAL, 0, max, NULL, true }
#define ANALOG(name, max) \
	{ I | T, "analog", #name, AT(analog.name), MX_KEY_REAL, 0, max, NULL, true }
#define ANALOG_KEY(name, field, min, max) \
	{ I | T, "analog", name, AT(analog.field), MX_KEY_U32, min, max, NULL, true }
#define ANALOG_WORD(name, words) \
	{ I | T, "analog", #name, AT(analog.name), MX_KEY_WORD, 0, 0, words, true }

#define ENERGY(orgs, name)	REAL(orgs, "energy", #name, energy.name, 0, 1000000)
#define POWER(orgs, name, max)	REAL(orgs, "power", #name, power.name, 0, max)
#define AREA(orgs, name)	REAL(orgs, "area", #name, area.name, 0, 1000000000)

static const char *const organisations[] = { "synergy", "inplace", "traditional", NULL };
static const char *const fabrics[] = { "digital", "crossbar", NULL };
static const char *const attentions[] = { "rewrite", "offchip", NULL };

static const char *const inputs[] = { "twos_complement", "sign_magnitude", "unsigned", NULL };
static const char *const mappings[] = { "differential", "offset", NULL };
static const char *const ranges[] = { "fixed", "calibrated", NULL };
static const char *const corrections[] = { "none", "array", NULL };
static const char *const ties[] = { "half_even", "half_up", NULL };

const struct mx_key mx_keys[] = {
	WORD(ALL, "chip", "organisation", kind, organisations),
	KEY(ALL, "chip", "clock_khz", clock_khz, 1, 100000000),

	KEY(S, "large", "banks", banks, 2, 65536),
	KEY(S, "large", "bank_rows", bank_rows, 1, 1 << 20),
	KEY(S, "large", "bank_cols", bank_cols, 1, 1 << 20),
	KEY(T, "large", "chips", chips, 1, 4096),
	KEY(T, "large", "tiles", tiles, 1, 65536),
	KEY(I | T, "large", "groups", groups, 1, 1 << 20),
	KEY(I, "large", "subarrays", subarrays, 1, 4096),
	KEY(I | T, "large", "rows", large_rows, 8, 4096),
	KEY(I | T, "large", "cols", large_cols, 8, 4096),
	KEY(ALL, "large", "cell_bits", cell_bits, 1, 8),
	KEY(S, "large", "intermediate_banks", intermediate_banks, 1, 65535),
	KEY(S, "large", "port_bytes", bank_port_bytes, 1, 1 << 20),
	KEY(I | T, "large", "dac_bits", dac_bits, 1, 8),
	KEY(I | T, "large", "adcs", adcs, 1, 4096),
	KEY(I | T, "large", "adc_bits", large_adc_bits, 1, 16),
	KEY(I | T, "large", "adc_mhz", adc_mhz, 1, 1000000),
	KEY(I | T, "large", "settle_cycles", settle_cycles, 1, 1 << 20),
	KEY(I | T, "large", "adc_cycles", adc_cycles, 0, 1 << 20),
	KEY(I | T, "large", "shift_cycles", shift_cycles, 0, 1 << 20),
	KEY(I | T, "large", "requant_cycles", requant_cycles, 0, 1 << 20),
	KEY(I, "large", "switch_cycles", switch_cycles, 0, 1 << 20),
	KEY(I, "large", "cluster", cluster, 1, 1 << 20),
	KEY(I | T, "large", "multicast", multicast, 1, 1 << 20),

	KEY(I, "small", "units", small_units, 1, 65536),
	KEY(S | I, "small", "rows", small_rows, 1, 65536),
	KEY(S | I, "small", "cols", small_cols, 1, 65536),
	KEY(I, "small", "contexts", small_contexts, 1, 65536),
	KEY(S, "small", "dac_bits", dac_bits, 1, 8),
	KEY(S, "small", "adc_bits", adc_bits, 1, 16),
	KEY(S, "small", "digit_bits", digit_bits, 1, 8),

	WORD(S, "fabric", "kind", fabric_kind, fabrics),
	KEY(S, "fabric", "macs", fabric_macs, 1, 1 << 24),
	KEY(S, "fabric", "utilisation_percent", fabric_utilisation_percent, 1, 100),
	KEY(S, "fabric", "crossbars", fabric_crossbars, 1, 1 << 24),
	KEY(S, "fabric", "adcs", fabric_adcs, 1, 65536),
	KEY(S, "fabric", "adc_mhz", adc_mhz, 1, 1000000),
	KEY(S, "fabric", "settle_cycles", settle_cycles, 1, 1 << 20),
	KEY(S | T, "fabric", "layer_cycles", layer_cycles, 0, 1 << 30),

	KEY(S | I, "sfu", "softmax_lanes", softmax_lanes, 1, 65536),
	KEY(S | I, "sfu", "norm_units", norm_units, 1, 64),
	KEY(S | I, "sfu", "norm_lanes", norm_lanes, 1, 65536),
	KEY(S | I, "sfu", "act_lanes", act_lanes, 1, 65536),
	KEY(S | I, "sfu", "act_cycles", act_cycles, 0, 1 << 20),
	KEY(ALL, "sfu", "requant_units", requant_units, 1, 64),
	KEY(ALL, "sfu", "requant_lanes", requant_lanes, 1, 65536),
	KEY(S | I, "sfu", "recip_cycles", recip_cycles, 0, 1 << 20),
	KEY(S | I, "sfu", "rsqrt_cycles", rsqrt_cycles, 0, 1 << 20),

	KEY(ALL, "buffer", "bus_bytes", bus_bytes, 1, 1 << 20),
	KEY(S | I, "buffer", "kib", buffer_kib, 1, 1 << 24),
	KEY(I | T, "buffer", "intermediate_kib", intermediate_kib, 64, 1 << 24),

	WORD(T, "attention", "mode", attention, attentions),
	KEY(T, "attention", "kv_barrier", kv_barrier, 0, 1),
	KEY(T, "attention", "overlap_link", overlap_link, 0, 1),
	REAL(T, "attention", "offchip_bytes", offchip_bytes, 1, 1000000),

	KEY(ALL, "cells", "row_cycles", cells_row_cycles, 1, 1 << 30),
	KEY64(ALL, "cells", "endurance", cells_endurance, 1, 1000000000000000),
	KEY(ALL, "cells", "retry_ppm", cells_retry_ppm, 0, 1000000),
	KEY(ALL, "cells", "stuck_ppb", cells_stuck_ppb, 0, 1000000000),
	KEY(ALL, "cells", "spare_cols", cells_spare_cols, 0, 65536),
	KEY(ALL, "cells", "spare_chunks", cells_spare_chunks, 0, 1 << 20),

	KEY(ALL, "link", "setup_cycles", link_setup_cycles, 0, 1 << 30),
	KEY(ALL, "link", "bytes_per_10_cycles", link_bytes_per_10_cycles, 1, 1 << 30),

	ENERGY(ALL, adc),
	ENERGY(ALL, dac),
	ENERGY(ALL, array_read),
	ENERGY(ALL, shift_add),
	ENERGY(I | T, register_bit),
	ENERGY(I | T, reduce_add),
	ENERGY(ALL, sram_bit),
	ENERGY(I | T, noc_bit),
	ENERGY(S, mac),
	ENERGY(I, dynamic_mac),
	ENERGY(S, bank_bit),
	ENERGY(S | I, softmax),
	ENERGY(S | I, norm),
	ENERGY(S | I, act),
	ENERGY(S | I, requant),
	ENERGY(ALL, add),
	ENERGY(ALL, cell_write),
	ENERGY(ALL, host_bit),
	ENERGY(T, offchip_bit),
	ENERGY(T, companion_element),
	ENERGY(T, companion_mac),

	POWER(I | T, adc_mw, 1000000),
	POWER(I | T, adc_idle, 1),
	POWER(S | I, sram_kib_mw, 1000000),
	POWER(S, mac_uw, 1000000),
	POWER(S | I, misc_mw, 1000000),

	REAL(S | I, "area", "feature_nm", area.feature_nm, 1, 1000),
	REAL(S | I, "area", "cell_f2", area.cell_f2, 1, 10000),
	AREA(I, select),
	AREA(I, decoder),
	AREA(ALL, adc),
	AREA(S | I, dac),
	AREA(S | I, sample_hold),
	AREA(S | I, shift_add),
	AREA(I, group_control),
	AREA(I, input_reg_byte),
	AREA(I, output_reg_byte),
	AREA(I, small_logic),
	AREA(I, small_mib_mm2),
	AREA(S | I, sram_mib_mm2),
	AREA(I, softmax_lane),
	AREA(I, norm_lane),
	AREA(I, act_lane),
	AREA(I, requant_lane),
	AREA(I, router),
	AREA(S, bank_periphery),
	AREA(S, mac),
	AREA(S, sfu),
	AREA(T, tile),
	AREA(T, tile_adc),
	AREA(T, offchip_link),
	AREA(S | I, control),
	AREA(I, host_io),

	ANALOG_WORD(input, inputs),
	ANALOG_WORD(mapping, mappings),
	ANALOG_KEY("rows_active", rows_active, 0, 4096),
	ANALOG_WORD(adc_range, ranges),
	ANALOG_WORD(adc_tie, ties),
	ANALOG_KEY("adc_step", adc_step, 1, 1 << 20),
	ANALOG_KEY("adc_step_0", adc_steps[0], 0, 1 << 20),
	ANALOG_KEY("adc_step_1", adc_steps[1], 0, 1 << 20),
	ANALOG_KEY("adc_step_2", adc_steps[2], 0, 1 << 20),
	ANALOG_KEY("adc_step_3", adc_steps[3], 0, 1 << 20),
	ANALOG_KEY("adc_step_4", adc_steps[4], 0, 1 << 20),
	ANALOG_KEY("adc_step_5", adc_steps[5], 0, 1 << 20),
	ANALOG_KEY("adc_step_6", adc_steps[6], 0, 1 << 20),
	ANALOG_KEY("adc_step_7", adc_steps[7], 0, 1 << 20),
	CELLS(program_sigma, 1),
	CELLS(program_sigma_prop, 1),
	CELLS(stuck_at_0, 1),
	CELLS(stuck_at_1, 1),
	CELLS(on_off_ratio, 1000000000),
	ANALOG(read_sigma, 1),
	CELLS(drift_nu, 1),
	CELLS(drift_nu_sigma, 1),
	CELLS(rtn_share, 1),
	CELLS(rtn_amplitude, 1),
	SMALL(small_rtn_share, 1),
	SMALL(small_rtn_amplitude, 1),
	ANALOG(wire_ohm, 1000),
	ANALOG(cell_ohm, 1000000000),
	ANALOG_KEY("spare_cols", spare_cols, 0, 64),
	ANALOG_KEY("redundant_slices", redundant_slices, 0, 8),
	ANALOG_KEY("redundant_copies", redundant_copies, 0, 15),
	ANALOG_WORD(correction, corrections),
	ANALOG_KEY("drift_compensation", drift_compensation, 0, 1),

	KEY(ALL, "limits", "models", max_models, 1, MX_NV_MAX_MODELS),
	KEY(ALL, "limits", "contexts", max_contexts, 1, 65536),
	KEY(ALL, "limits", "buffers", max_buffers, 1, 1 << 20),
	KEY(ALL, "limits", "io_bytes", max_io_bytes, MXACCEL_PAGE,
	    UINT32_MAX & ~(MXACCEL_PAGE - 1u)),
	KEY(ALL, "limits", "sg", max_sg, 1, 1 << 24),
};

const size_t mx_nr_keys = ARRAY_SIZE(mx_keys);

_Static_assert(ARRAY_SIZE(mx_keys) <= MX_MAX_KEYS, "the parser has room for every key");
