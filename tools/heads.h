/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which heads a checkpoint has beside the encoder, and which of them can be mapped. */
#ifndef HEADS_H
#define HEADS_H

#include "checkpoint.h"
#include "hf_config.h"
#include "program.h"

/*
 * Heads that are there in part, or need what is not there, are left out with a
 * warning. Return: 0 or -1 after mxmap_fail().
 */
int heads_find(const struct checkpoint *checkpoint, const struct hf_config *config,
	       struct heads *heads);

#endif /* HEADS_H */
