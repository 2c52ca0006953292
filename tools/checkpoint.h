/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tensors of a BERT checkpoint, by the names that a plan gives them. */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include <stdbool.h>

#include "program.h"
#include "safetensors.h"

/**
 * struct checkpoint - tensors of a BERT checkpoint
 * @set:	its files
 * @prefix:	of the encoder's names: "" or "bert."; those of heads have none
 */
struct checkpoint {
	struct st_set *set;
	const char *prefix;
};

int checkpoint_open(const char *folder, struct checkpoint *checkpoint);
void checkpoint_close(struct checkpoint *checkpoint);

/* A tensor by its name without prefix, in two parts; NULL if it is not there */
const struct st_tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name,
					const char *suffix);

/*
 * A weight's tensor, or its bias, of one of its parts. Checkpoints made of
 * TensorFlow's call those of norms gamma and beta.
 */
const struct st_tensor *checkpoint_part(const struct checkpoint *checkpoint,
					const struct weight *weight, unsigned int index,
					bool bias);

/* Every tensor that the plan needs is there, has its shape and a float type. */
int checkpoint_check(const struct checkpoint *checkpoint, const struct plan *plan);

#endif /* CHECKPOINT_H */
