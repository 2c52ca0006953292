/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reader of safetensors files: model.safetensors, or the shards that
 * model.safetensors.index.json names. Files are mapped, not copied, and
 * nothing in them is believed before it has been checked.
 */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include <stdint.h>

#define ST_MAX_DIMS 8

enum st_dtype { ST_OTHER, ST_F32, ST_F16, ST_BF16 };

/**
 * struct st_tensor - a tensor of a file
 * @name:	as in the file
 * @file:	name of the file, for messages
 * @dtype_name:	as in the file
 * @dtype:	ST_OTHER: of a type that is no weight
 * @nr_dims:	dimensions
 * @dim:	their sizes
 * @data:	its bytes, of any alignment
 * @bytes:	their number
 */
struct st_tensor {
	const char *name;
	const char *file;
	const char *dtype_name;
	enum st_dtype dtype;
	unsigned int nr_dims;
	uint64_t dim[ST_MAX_DIMS];
	const uint8_t *data;
	uint64_t bytes;
};

struct st_set;

/* Opens the tensors of a Hugging Face folder. Return: 0 or -1 after mxmap_fail(). */
int st_open(const char *folder, struct st_set **out);
void st_close(struct st_set *set);

/* Tensor of a name, or NULL */
const struct st_tensor *st_find(const struct st_set *set, const char *name);

/* Elements [first, first + nr) as binary32, exactly. The tensor's dtype is not ST_OTHER. */
void st_read(const struct st_tensor *tensor, uint64_t first, uint64_t nr, float *out);

/* The tensor's bytes will not be read again soon: lets the system drop their pages. */
void st_forget(const struct st_tensor *tensor);

#endif /* SAFETENSORS_H */
