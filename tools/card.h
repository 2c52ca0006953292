/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Model card of an image: where the model comes from and what was done to it. */
#ifndef CARD_H
#define CARD_H

#include <jansson.h>

#include "hf_config.h"
#include "program.h"
#include "quantise.h"

/**
 * card_make() - JSON text
 * @folder:	of the checkpoint; its last part becomes the source's name
 * @name:	of the model
 * @chip:	it was mapped for
 * @placement:	place_report(), of which the summary gets into the card
 *
 * Return: free() it. NULL after mxmap_fail().
 */
char *card_make(const char *folder, const char *name, const char *chip,
		const struct hf_config *config, const struct plan *plan,
		const struct quantise_report *report, const json_t *placement);

/* Last part of a path, whatever slashes and dots end it. Return: free() it, or NULL. */
char *card_folder_name(const char *folder);

#endif /* CARD_H */
