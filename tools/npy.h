/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arrays in NumPy's .npy format: integer matrices in, arrays out.
 * Errors are sentences with the file's name; there is nothing to clean up
 * after one but what is said here.
 */
#ifndef MX_NPY_H
#define MX_NPY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/**
 * struct npy_ids - an int32 matrix [rows, cols] in memory
 */
struct npy_ids {
	size_t rows;
	size_t cols;
	int32_t *data;
};

/**
 * npy_read_ids() - read an int32 matrix
 * @path:	file in format version 1, 2 or 3, C order, dtype '<i4'
 * @ids:	filled; @ids->data is to be freed
 * @err:	on failure: a sentence
 * @err_bytes:	room at @err
 *
 * Return: 0 or -1.
 */
int npy_read_ids(const char *path, struct npy_ids *ids, char *err, size_t err_bytes);

/**
 * struct npy_matrix - a matrix [rows, cols] in memory
 * @type:	index of its dtype in the list given to npy_read_matrix()
 */
struct npy_matrix {
	size_t rows;
	size_t cols;
	size_t type;
	void *data;
};

/**
 * npy_read_matrix() - read a matrix of one of several dtypes
 * @types:	dtypes as NumPy writes them, with one digit for the bytes: "|i1";
 *		ended by NULL
 * @matrix:	filled; @matrix->data is to be freed
 *
 * Otherwise as npy_read_ids().
 */
int npy_read_matrix(const char *path, const char *const *types, struct npy_matrix *matrix,
		    char *err, size_t err_bytes);

/**
 * struct npy_writer - an array being written
 * @file:	temporary file beside @path, or what @path is if that is no regular file
 * @temp:	its name, NULL if there is none
 */
struct npy_writer {
	FILE *file;
	const char *path;
	char *temp;
};

/**
 * npy_create() - start a float32 array in C order
 * @writer:	filled
 * @path:	file, "-" for the standard output; must stay until the end
 * @shape:	sizes of the dimensions
 * @nr_dims:	dimensions, 1 to 4
 *
 * A regular file appears, or replaces an older one, only with npy_finish().
 * Return: 0 or -1 with a sentence in @err.
 */
int npy_create(struct npy_writer *writer, const char *path, const size_t *shape, size_t nr_dims,
	       char *err, size_t err_bytes);

/* The same with another dtype, as NumPy writes it: "<i8"; 1 to 5 dimensions */
int npy_create_typed(struct npy_writer *writer, const char *path, const char *type,
		     const size_t *shape, size_t nr_dims, char *err, size_t err_bytes);

/* Appends elements. Return: 0 or -1; after a failure only npy_abandon() is left to do. */
int npy_append(struct npy_writer *writer, const float *data, size_t count,
	       char *err, size_t err_bytes);

/* The same in bytes, for any dtype. */
int npy_append_bytes(struct npy_writer *writer, const void *data, size_t bytes,
		     char *err, size_t err_bytes);

/* Ends the file. Return: 0 or -1; nothing of it is left then. */
int npy_finish(struct npy_writer *writer, char *err, size_t err_bytes);

/* Drops what was written. A zeroed or finished writer may be abandoned. */
void npy_abandon(struct npy_writer *writer);

#endif /* MX_NPY_H */
