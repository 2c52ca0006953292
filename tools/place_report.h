/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Placement of a mapped model: puts the table into its MODEL section, and says
 * what it takes of the chip and how fast that is.
 */
#ifndef PLACE_REPORT_H
#define PLACE_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "chip.h"

/* "spread" or "linear"; false for anything else. *@policy is an enum mx_place_policy. */
bool place_policy_from_name(const char *name, int *policy);

/**
 * place_apply() - place the weights of a program
 * @model:	MODEL section without a placement, from malloc(); is replaced by one
 *		with it. Stays as it is if the chip has not enough tiles: then
 *		target_fits() says so.
 * @bytes:	its length
 *
 * Return: 0 or -1 after mxmap_fail().
 */
int place_apply(const struct mx_chip_config *config, int policy, struct mxaccel_model **model,
		uint64_t *bytes);

/* mx_place_check() for a MODEL section that is right by construction */
bool place_fits(const struct mx_chip_config *config, const struct mxaccel_model *model,
		uint64_t bytes, char *why, size_t room);

/**
 * place_report() - what a placement takes and gives
 * @model:	MODEL section that fits the chip
 *
 * Documentation/mapper.rst explains the members. Return: for json_decref(), or
 * NULL after mxmap_fail().
 */
json_t *place_report(const struct mx_chip_config *config, const char *policy,
		     const struct mxaccel_model *model, uint64_t bytes);

/* The report without the list of weights: for the model card. New reference or NULL. */
json_t *place_summary(const json_t *report);

/* The report for people */
void place_print(const json_t *report, FILE *to);

/* Writes the report as JSON. Return: 0 or -1 after mxmap_fail(). */
int place_save(const json_t *report, const char *path);

#endif /* PLACE_REPORT_H */
