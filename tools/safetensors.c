// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reader of safetensors files. The format: a little-endian 64-bit length, that
 * many bytes of JSON naming dtype, shape and byte range of each tensor, data.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "mxmap.h"
#include "safetensors.h"

#define MAX_HEADER	100000000	/* as the reference implementation */
#define MAX_INDEX	(64u << 20)
#define SINGLE_FILE	"model.safetensors"
#define INDEX_FILE	"model.safetensors.index.json"

struct st_file {
	char *name;		/* without its folder */
	const uint8_t *map;
	size_t bytes;
	json_t *header;		/* owns the names of its tensors */
};

struct st_set {
	struct st_file *file;
	size_t nr_files;
	struct st_tensor *tensor;	/* sorted by name */
	size_t nr_tensors;
};

static const struct {
	const char *name;
	unsigned int bits;
	enum st_dtype dtype;
} dtypes[] = {
	{ "F32", 32, ST_F32 }, { "F16", 16, ST_F16 }, { "BF16", 16, ST_BF16 },
	{ "F64", 64, ST_OTHER }, { "I64", 64, ST_OTHER }, { "U64", 64, ST_OTHER },
	{ "I32", 32, ST_OTHER }, { "U32", 32, ST_OTHER }, { "I16", 16, ST_OTHER },
	{ "U16", 16, ST_OTHER }, { "I8", 8, ST_OTHER }, { "U8", 8, ST_OTHER },
	{ "BOOL", 8, ST_OTHER }, { "F8_E5M2", 8, ST_OTHER }, { "F8_E4M3", 8, ST_OTHER },
	{ "F8_E8M0", 8, ST_OTHER }, { "C64", 64, ST_OTHER },
};

static int map_file(struct st_file *file, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *map;

	if (fd < 0)
		return mxmap_fail("cannot open %s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return mxmap_fail("%s is not a file", path);
	}
	if (st.st_size < 8) {
		close(fd);
		return mxmap_fail("%s: %jd bytes are too few for a safetensors file", path,
				  (intmax_t)st.st_size);
	}
	map = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return mxmap_fail("cannot map %s: %s", path, strerror(errno));
	file->map = map;
	file->bytes = st.st_size;
	return 0;
}

/* A JSON number that is a size, or false */
static bool get_size(const json_t *value, uint64_t *size)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*size = json_integer_value(value);
	return true;
}

static int read_shape(const char *path, const json_t *entry, struct st_tensor *tensor,
		      uint64_t *elements)
{
	const json_t *shape = json_object_get(entry, "shape");
	size_t i, nr = json_array_size(shape);

	if (!json_is_array(shape) || nr > ST_MAX_DIMS)
		return mxmap_fail("%s: tensor %s has no shape, or one of more than %d dimensions",
				  path, tensor->name, ST_MAX_DIMS);
	tensor->nr_dims = nr;
	*elements = 1;
	for (i = 0; i < nr; i++) {
		if (!get_size(json_array_get(shape, i), &tensor->dim[i]))
			return mxmap_fail("%s: tensor %s: dimension %zu is not a size", path,
					  tensor->name, i);
		if (__builtin_mul_overflow(*elements, tensor->dim[i], elements))
			return mxmap_fail("%s: the shape of tensor %s is impossibly large", path,
					  tensor->name);
	}
	return 0;
}

static int read_dtype(const char *path, const json_t *entry, struct st_tensor *tensor,
		      unsigned int *bits)
{
	const char *name = json_string_value(json_object_get(entry, "dtype"));
	size_t i;

	for (i = 0; name && i < ARRAY_SIZE(dtypes); i++) {
		if (strcmp(name, dtypes[i].name))
			continue;
		tensor->dtype_name = dtypes[i].name;
		tensor->dtype = dtypes[i].dtype;
		*bits = dtypes[i].bits;
		return 0;
	}
	return mxmap_fail("%s: tensor %s has unknown dtype %s", path, tensor->name,
			  name ? name : "(none)");
}

static int read_entry(const char *path, const struct st_file *file, uint64_t data_start,
		      const char *name, const json_t *entry, struct st_tensor *tensor)
{
	const json_t *offsets = json_object_get(entry, "data_offsets");
	uint64_t begin, end, elements, bytes, room = file->bytes - data_start;
	unsigned int bits;

	tensor->name = name;
	tensor->file = file->name;
	if (read_dtype(path, entry, tensor, &bits) || read_shape(path, entry, tensor, &elements))
		return -1;
	if (json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &begin) ||
	    !get_size(json_array_get(offsets, 1), &end) || begin > end)
		return mxmap_fail("%s: tensor %s has no proper data_offsets", path, name);
	if (end > room)
		return mxmap_fail("%s: tensor %s ends at byte %ju of the data, which has %ju: the file is truncated or damaged",
				  path, name, (uintmax_t)end, (uintmax_t)room);
	if (__builtin_mul_overflow(elements, (uint64_t)(bits / 8), &bytes) || bytes != end - begin)
		return mxmap_fail("%s: tensor %s has %ju bytes, which do not fit %ju elements of %s",
				  path, name, (uintmax_t)(end - begin), (uintmax_t)elements,
				  tensor->dtype_name);
	tensor->data = file->map + data_start + begin;
	tensor->bytes = bytes;
	return 0;
}

static int by_data(const void *left, const void *right)
{
	const struct st_tensor *l = left, *r = right;

	if (l->data != r->data)
		return l->data < r->data ? -1 : 1;
	return l->bytes < r->bytes ? -1 : l->bytes > r->bytes;
}

static int by_name(const void *left, const void *right)
{
	return strcmp(((const struct st_tensor *)left)->name,
		      ((const struct st_tensor *)right)->name);
}

static int check_overlap(const char *path, struct st_tensor *tensor, size_t nr)
{
	size_t i;

	qsort(tensor, nr, sizeof(*tensor), by_data);
	for (i = 1; i < nr; i++)
		if (tensor[i - 1].data + tensor[i - 1].bytes > tensor[i].data)
			return mxmap_fail("%s: tensors %s and %s overlap", path,
					  tensor[i - 1].name, tensor[i].name);
	return 0;
}

static int read_header(struct st_set *set, struct st_file *file, const char *path)
{
	size_t first = set->nr_tensors;
	uint64_t header_bytes;
	struct st_tensor *more;
	json_error_t error;
	const char *name;
	json_t *entry;

	memcpy(&header_bytes, file->map, 8);
	if (header_bytes > MAX_HEADER || header_bytes > file->bytes - 8)
		return mxmap_fail("%s: header of %ju bytes in a file of %zu: truncated, or no safetensors file",
				  path, (uintmax_t)header_bytes, file->bytes);
	file->header = json_loadb((const char *)file->map + 8, header_bytes,
				  JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(file->header))
		return mxmap_fail("%s: its header is no JSON object: %s", path,
				  file->header ? "something else" : error.text);
	more = realloc(set->tensor, (first + json_object_size(file->header) + 1) * sizeof(*more));
	if (!more)
		return mxmap_no_memory();
	set->tensor = more;
	json_object_foreach(file->header, name, entry) {
		if (!strcmp(name, "__metadata__"))
			continue;
		memset(&more[set->nr_tensors], 0, sizeof(*more));
		if (read_entry(path, file, 8 + header_bytes, name, entry,
			       &more[set->nr_tensors]))
			return -1;
		set->nr_tensors++;
	}
	return check_overlap(path, more + first, set->nr_tensors - first);
}

static int add_file(struct st_set *set, const char *folder, const char *name)
{
	struct st_file *more = realloc(set->file, (set->nr_files + 1) * sizeof(*more));
	char *path = mxmap_path(folder, name);
	int ret = -1;

	if (!more || !path) {
		free(path);
		return mxmap_no_memory();
	}
	set->file = more;
	more += set->nr_files;
	memset(more, 0, sizeof(*more));
	more->name = strdup(name);
	if (!more->name) {
		mxmap_no_memory();
	} else if (!map_file(more, path)) {
		set->nr_files++;
		ret = read_header(set, more, path);
	} else {
		free(more->name);
	}
	free(path);
	return ret;
}

static bool have_file(const struct st_set *set, const char *name)
{
	size_t i;

	for (i = 0; i < set->nr_files; i++)
		if (!strcmp(set->file[i].name, name))
			return true;
	return false;
}

/* Adds each shard that the index names; a shard outside of the folder is none. */
static int add_shards(struct st_set *set, const char *folder, const char *path, const char *text,
		      size_t bytes)
{
	json_error_t error;
	json_t *index = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error), *value;
	json_t *map = json_object_get(index, "weight_map");
	const char *tensor;
	int ret = 0;

	if (!json_is_object(map) || !json_object_size(map))
		ret = mxmap_fail("%s: no weight_map in it%s%s", path, index ? "" : ": ",
				 index ? "" : error.text);
	json_object_foreach(map, tensor, value) {
		const char *shard = json_string_value(value);

		if (!shard || !*shard || strchr(shard, '/') || !strcmp(shard, "."))
			ret = mxmap_fail("%s: tensor %s is said to be in %s, which is no file name",
					 path, tensor, shard ? shard : "nothing");
		else if (!have_file(set, shard))
			ret = add_file(set, folder, shard);
		if (ret)
			break;
	}
	json_decref(index);
	return ret;
}

/* Sorts the tensors for st_find(). Of one name there is one. */
static int sort_names(struct st_set *set)
{
	size_t i;

	qsort(set->tensor, set->nr_tensors, sizeof(*set->tensor), by_name);
	for (i = 1; i < set->nr_tensors; i++)
		if (!by_name(&set->tensor[i - 1], &set->tensor[i]))
			return mxmap_fail("tensor %s is both in %s and in %s", set->tensor[i].name,
					  set->tensor[i - 1].file, set->tensor[i].file);
	return 0;
}

int st_open(const char *folder, struct st_set **out)
{
	struct st_set *set = calloc(1, sizeof(*set));
	char *single = mxmap_path(folder, SINGLE_FILE), *index = mxmap_path(folder, INDEX_FILE);
	char *text = NULL;
	size_t bytes;
	int ret = -1;

	if (!set || !single || !index) {
		mxmap_no_memory();
	} else if (!access(single, F_OK)) {
		ret = add_file(set, folder, SINGLE_FILE);
	} else {
		text = mxmap_read_file(index, MAX_INDEX, &bytes);
		if (text)
			ret = add_shards(set, folder, index, text, bytes);
		else if (errno == ENOENT)
			mxmap_error("%s has neither %s nor %s", folder, SINGLE_FILE, INDEX_FILE);
	}
	if (!ret)
		ret = sort_names(set);
	free(text);
	free(single);
	free(index);
	if (ret)
		st_close(set);
	else
		*out = set;
	return ret;
}

void st_close(struct st_set *set)
{
	size_t i;

	if (!set)
		return;
	for (i = 0; i < set->nr_files; i++) {
		json_decref(set->file[i].header);
		munmap((void *)set->file[i].map, set->file[i].bytes);
		free(set->file[i].name);
	}
	free(set->file);
	free(set->tensor);
	free(set);
}

const struct st_tensor *st_find(const struct st_set *set, const char *name)
{
	struct st_tensor key = { .name = name };

	return bsearch(&key, set->tensor, set->nr_tensors, sizeof(key), by_name);
}

/* binary16 to binary32: every value has one */
static float widen_half(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16, bits = half & 0x7fff;
	float value;

	if (bits < 0x0400) {		/* zero or subnormal: a multiple of 2^-24 */
		value = bits * 0x1p-24f;
		return sign ? -value : value;
	}
	if (bits >= 0x7c00)		/* infinity or not-a-number */
		bits = 0x7f800000 | (bits & 0x3ff) << 13;
	else
		bits = (bits << 13) + (112u << 23);
	bits |= sign;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

void st_read(const struct st_tensor *tensor, uint64_t first, uint64_t nr, float *out)
{
	uint64_t i;

	if (tensor->dtype == ST_F32) {
		memcpy(out, tensor->data + 4 * first, 4 * nr);
		return;
	}
	for (i = 0; i < nr; i++) {
		uint16_t half;

		memcpy(&half, tensor->data + 2 * (first + i), 2);
		if (tensor->dtype == ST_F16) {
			out[i] = widen_half(half);
		} else {
			uint32_t bits = (uint32_t)half << 16;

			memcpy(&out[i], &bits, sizeof(bits));
		}
	}
}

void st_forget(const struct st_tensor *tensor)
{
	uintptr_t page = sysconf(_SC_PAGESIZE), begin = (uintptr_t)tensor->data;
	uintptr_t end = (begin + tensor->bytes) / page * page;

	begin = (begin + page - 1) / page * page;
	if (begin < end)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}
