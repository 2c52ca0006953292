/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside mx_model_check(): state, and the part that knows macro-ops. */
#ifndef MX_CHIP_MODEL_CHECK_H
#define MX_CHIP_MODEL_CHECK_H

#include "internal.h"

/* Separate column ranges of a region that the check keeps apart. */
#define MX_CHECK_RANGES 8

/**
 * struct mx_written - columns of a region that ops of an entry have written
 * @run:	entry that this is about (mx_check.run); of another: nothing written
 * @nr:		ranges, sorted, neither touching nor overlapping
 * @from:	first column of each
 * @to:		column after the last of each
 */
struct mx_written {
	uint32_t run;
	uint32_t nr;
	uint32_t from[MX_CHECK_RANGES];
	uint32_t to[MX_CHECK_RANGES];
};

/**
 * struct mx_check - a check under way
 * @config:	the chip
 * @head:	MODEL section; @region and @entries point to its tables
 * @params_bytes: size of the PARAMS section
 * @status:	what to return when a check fails
 * @run:	number of the entry, from 1
 * @entry:	entry being checked, or NULL
 * @first_op:	its first op
 * @op:		op being checked, or NULL
 * @written:	for each region
 * @err:	gets the sentence when a check fails, @err_bytes at most
 */
struct mx_check {
	const struct mx_chip_config *config;
	const struct mxaccel_model *head;
	const struct mxaccel_region *region;
	const struct mxaccel_entry *entries;
	uint64_t params_bytes;
	uint16_t status;
	uint32_t run;
	const struct mxaccel_entry *entry;
	const struct mxaccel_op *first_op;
	const struct mxaccel_op *op;
	struct mx_written *written;
	char *err;
	size_t err_bytes;
};

/* Writes the sentence, with the place in front. */
void __printf(2, 3)
mx_check_fail(struct mx_check *check, const char *format, ...);

#define MX_BAD(check, ...) (mx_check_fail(check, __VA_ARGS__), false)

bool mx_check_zero(const void *data, size_t bytes);

/* Checks check->op, which is part of check->entry. False after mx_check_fail(). */
bool mx_check_op(struct mx_check *check);

/* Checks the table of steps; @ops are good. model_steps.c */
bool mx_check_steps(struct mx_check *check, const struct mxaccel_op *ops);

#endif /* MX_CHIP_MODEL_CHECK_H */
