// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Steps of the ADCs that an image brings, from calibration: checked, and found for a
 * product. They fit one geometry of conversions; another chip has its own.
 */
#include "analog.h"
#include "model_check.h"

void mx_model_steps_geometry(const struct mx_chip_config *config, struct mxaccel_model *head)
{
	const struct mx_analog_keys *keys = &config->analog;

	head->step_slices = mx_chip_slices(config);
	head->step_cell_bits = config->cell_bits;
	head->step_dac_bits = config->dac_bits;
	head->step_rows = keys->rows_active ? keys->rows_active : config->large_rows;
	head->step_adc_bits = config->large_adc_bits;
	head->step_mapping = keys->mapping == MX_OFFSET ? MXACCEL_MAPPING_OFFSET :
							  MXACCEL_MAPPING_DIFFERENTIAL;
	head->step_input = keys->input == MX_UNSIGNED ? MXACCEL_INPUT_UNSIGNED :
			   keys->input == MX_SIGN_MAGNITUDE ? MXACCEL_INPUT_SIGN_MAGNITUDE :
							      MXACCEL_INPUT_TWOS_COMPLEMENT;
}

static bool same_geometry(const struct mx_chip_config *config, const struct mxaccel_model *head)
{
	struct mxaccel_model chip;

	mx_model_steps_geometry(config, &chip);
	return chip.step_slices == head->step_slices &&
	       chip.step_cell_bits == head->step_cell_bits &&
	       chip.step_dac_bits == head->step_dac_bits && chip.step_rows == head->step_rows &&
	       chip.step_adc_bits == head->step_adc_bits &&
	       chip.step_mapping == head->step_mapping && chip.step_input == head->step_input;
}

static const struct mxaccel_steps *table_of(const struct mxaccel_model *head,
					    const struct mxaccel_op *ops)
{
	const struct mxaccel_place *places = (const void *)(ops + head->nr_ops);

	return (const void *)(places + head->nr_places);
}

const uint32_t *mx_model_steps(const struct mx_chip_config *config, const struct mx_model *model,
			       const struct mxaccel_op *op)
{
	const uint32_t *own = config->analog.adc_steps;
	const struct mxaccel_steps *row = table_of(model->head, model->op);
	const struct mxaccel_op *at;

	if (config->analog.adc_range != MX_ADC_CALIBRATED)
		return own;
	if (!model->head->nr_steps || !same_geometry(config, model->head))
		return own[0] ? own : NULL;
	for (at = model->op; op && at < op; at++)
		row += at->opcode == MXACCEL_OP_MATMUL;
	return row->step;
}

static bool divides_8(uint8_t bits)
{
	return bits == 1 || bits == 2 || bits == 4 || bits == 8;
}

static bool check_geometry(struct mx_check *check)
{
	const struct mxaccel_model *head = check->head;

	if (!head->step_slices || head->step_slices > MXACCEL_SLICES)
		return MX_BAD(check, "steps for %u slices, must be 1 to %u", head->step_slices,
			      MXACCEL_SLICES);
	if ((!divides_8(head->step_cell_bits) && head->step_cell_bits != 3) ||
	    !divides_8(head->step_dac_bits))
		return MX_BAD(check, "steps for cells of %u bits and digits of %u, must be 1, 2, 4, 8 (cells also 3)",
			      head->step_cell_bits, head->step_dac_bits);
	if (!head->step_rows || !head->step_adc_bits)
		return MX_BAD(check, "steps for conversions of %u rows to %u bits", head->step_rows,
			      head->step_adc_bits);
	if (!head->step_mapping || head->step_mapping > MXACCEL_MAPPING_OFFSET)
		return MX_BAD(check, "steps for unknown mapping %u", head->step_mapping);
	if (!head->step_input || head->step_input > MXACCEL_INPUT_UNSIGNED)
		return MX_BAD(check, "steps for unknown coding of inputs %u", head->step_input);
	return true;
}

bool mx_check_steps(struct mx_check *check, const struct mxaccel_op *ops)
{
	const struct mxaccel_model *head = check->head;
	const struct mxaccel_steps *table = table_of(head, ops);
	uint32_t products = 0, i, j;

	if (!head->nr_steps) {
		if (head->step_slices || head->step_cell_bits || head->step_dac_bits ||
		    head->step_rows || head->step_adc_bits || head->step_mapping ||
		    head->step_input)
			return MX_BAD(check, "the header tells what steps were made for, but there are none");
		return true;
	}
	for (i = 0; i < head->nr_ops; i++)
		products += ops[i].opcode == MXACCEL_OP_MATMUL;
	if (head->nr_steps != products)
		return MX_BAD(check, "%u rows of steps for %u MATMULs", head->nr_steps, products);
	if (!check_geometry(check))
		return false;
	for (i = 0; i < head->nr_steps; i++) {
		for (j = 0; j < head->step_slices; j++)
			if (!table[i].step[j] || table[i].step[j] > MXACCEL_STEP_MAX)
				return MX_BAD(check, "row %u of steps: slice %u has a step of %u counts, must be 1 to %u",
					      i, j, table[i].step[j], MXACCEL_STEP_MAX);
		for (; j < MXACCEL_SLICES; j++)
			if (table[i].step[j])
				return MX_BAD(check, "row %u of steps: slice %u has a step, there are %u slices",
					      i, j, head->step_slices);
	}
	return true;
}
