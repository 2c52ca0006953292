// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "npy.h"

#define MAGIC		"\x93NUMPY"
#define MAGIC_BYTES	6
#define MAX_HEADER	65536	/* a header describes a few numbers */
#define FIRST_ROOM	(1 << 20)

__attribute__((format(printf, 3, 4)))
static int fail(char *err, size_t err_bytes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err, err_bytes, format, args);
	va_end(args);
	return -1;
}

/* ---------------------------------------------------------------- reading */

/* Text after "'key':" in a header, or NULL */
static const char *value_of(const char *header, const char *key)
{
	char quoted[32];
	const char *at;

	snprintf(quoted, sizeof(quoted), "'%s'", key);
	at = strstr(header, quoted);
	if (!at)
		return NULL;
	at += strlen(quoted);
	at += strspn(at, " ");
	if (*at++ != ':')
		return NULL;
	return at + strspn(at, " ");
}

/* "(3, 17)" into @shape; returns the number of dimensions, -1 if it is none */
static int parse_shape(const char *at, size_t *shape, int max)
{
	unsigned long long size;
	int nr = 0;
	char *end;

	if (!at || *at++ != '(')
		return -1;
	for (;;) {
		at += strspn(at, " ");
		if (*at == ')')
			return nr;
		errno = 0;
		if (*at < '0' || *at > '9')
			return -1;
		size = strtoull(at, &end, 10);
		if (errno || size > SIZE_MAX)
			return -1;
		if (nr < max)
			shape[nr] = size;
		nr++;
		at = end + strspn(end, " L");
		if (*at == ',')
			at++;
		else if (*at != ')')
			return -1;
	}
}

/* What the readers differ in. */
struct kind {
	const char *const *types;
	const char *advice;	/* after a wrong dtype */
	const char *elements;
	const char *axes;
};

/* Index of a dtype in the list, or a sentence with all of them and -1 */
static int find_type(const char *path, const char *descr, const struct kind *kind,
		     char *err, size_t err_bytes)
{
	char list[64] = "";
	size_t i, used = 0;

	for (i = 0; kind->types[i]; i++) {
		if (descr[0] == '\'' && !strncmp(descr + 1, kind->types[i], 3) && descr[4] == '\'')
			return i;
		used += snprintf(list + used, sizeof(list) - used, "%s'%s'", i ? " or " : "",
				 kind->types[i]);
	}
	used = strcspn(descr, ",}");
	return fail(err, err_bytes, "%s: dtype is %.*s, must be %s: %s", path,
		    (int)(used < 40 ? used : 40), descr, list, kind->advice);
}

static int check_header(const char *path, const char *header, const struct kind *kind,
			struct npy_matrix *ids, char *err, size_t err_bytes)
{
	const char *descr = value_of(header, "descr");
	const char *order = value_of(header, "fortran_order");
	size_t shape[2] = { 0, 0 };
	int nr_dims, type;

	if (!descr || !order)
		return fail(err, err_bytes, "%s: its .npy header has no dtype or order", path);
	type = find_type(path, descr, kind, err, err_bytes);
	if (type < 0)
		return -1;
	ids->type = type;
	if (strncmp(order, "False", 5))
		return fail(err, err_bytes,
			    "%s: array is in Fortran order: save it with numpy.ascontiguousarray()",
			    path);
	nr_dims = parse_shape(value_of(header, "shape"), shape, 2);
	if (nr_dims < 0)
		return fail(err, err_bytes, "%s: its .npy header has no proper shape", path);
	if (nr_dims != 2)
		return fail(err, err_bytes,
			    "%s: array has %d dimensions, must have 2: %s", path, nr_dims,
			    kind->axes);
	ids->rows = shape[0];
	ids->cols = shape[1];
	return 0;
}

/* Reads preamble and header; leaves @file at the data. */
static int read_header(const char *path, FILE *file, const struct kind *kind,
		       struct npy_matrix *ids, char *err, size_t err_bytes)
{
	unsigned char start[12];
	size_t length, version_bytes;
	char *header;
	int ret;

	if (fread(start, 1, 8, file) != 8 || memcmp(start, MAGIC, MAGIC_BYTES))
		return fail(err, err_bytes, "%s: %s", path,
			    ferror(file) ? strerror(errno) : "not a .npy file");
	if (start[6] < 1 || start[6] > 3)
		return fail(err, err_bytes, "%s: .npy format version %u.%u is unknown", path,
			    start[6], start[7]);
	version_bytes = start[6] == 1 ? 2 : 4;
	if (fread(start + 8, 1, version_bytes, file) != version_bytes)
		return fail(err, err_bytes, "%s: truncated in its header", path);
	length = start[8] | start[9] << 8;
	if (version_bytes == 4)
		length |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
	if (length > MAX_HEADER)
		return fail(err, err_bytes, "%s: .npy header of %zu bytes", path, length);
	header = malloc(length + 1);
	if (!header)
		return fail(err, err_bytes, "%s: no memory for its header", path);
	if (fread(header, 1, length, file) != length) {
		free(header);
		return fail(err, err_bytes, "%s: truncated in its header", path);
	}
	header[length] = 0;
	ret = check_header(path, header, kind, ids, err, err_bytes);
	free(header);
	return ret;
}

/* Memory grows with what is read: a header may claim any size. NULL: there is none. */
static void *read_bytes(FILE *file, size_t bytes, size_t *got)
{
	size_t room = bytes < FIRST_ROOM ? bytes : FIRST_ROOM;
	char *data = malloc(room ? room : 1), *larger;

	*got = 0;
	while (data) {
		*got += fread(data + *got, 1, room - *got, file);
		if (*got < room || room == bytes)
			break;
		room = room > bytes / 2 ? bytes : 2 * room;
		larger = realloc(data, room);
		if (!larger)
			free(data);
		data = larger;
	}
	return data;
}

static int read_data(const char *path, FILE *file, const struct kind *kind,
		     struct npy_matrix *ids, char *err, size_t err_bytes)
{
	size_t item = kind->types[ids->type][2] - '0', bytes, got;

	if (__builtin_mul_overflow(ids->rows, ids->cols, &bytes) ||
	    __builtin_mul_overflow(bytes, item, &bytes))
		return fail(err, err_bytes, "%s: %zu x %zu %s are larger than memory", path,
			    ids->rows, ids->cols, kind->elements);
	ids->data = read_bytes(file, bytes, &got);
	if (!ids->data)
		return fail(err, err_bytes, "%s: no memory for %zu x %zu %s", path, ids->rows,
			    ids->cols, kind->elements);
	if (ferror(file))
		fail(err, err_bytes, "%s: %s", path, strerror(errno));
	else if (got < bytes)
		fail(err, err_bytes, "%s: truncated: %zu of %zu bytes of %s [%zu, %zu]", path, got,
		     bytes, kind->elements, ids->rows, ids->cols);
	else if (getc(file) != EOF)
		fail(err, err_bytes, "%s: there is more in it than its %zu x %zu %s", path,
		     ids->rows, ids->cols, kind->elements);
	else
		return 0;
	free(ids->data);
	ids->data = NULL;
	return -1;
}

static int read_matrix(const char *path, const struct kind *kind, struct npy_matrix *matrix,
		       char *err, size_t err_bytes)
{
	struct stat st;
	FILE *file;
	int ret;

	file = fopen(path, "re");
	if (!file)
		return fail(err, err_bytes, "%s: %s", path, strerror(errno));
	if (!fstat(fileno(file), &st) && S_ISREG(st.st_mode) && !st.st_size) {
		ret = fail(err, err_bytes, "%s: file is empty", path);
	} else {
		ret = read_header(path, file, kind, matrix, err, err_bytes);
		if (!ret)
			ret = read_data(path, file, kind, matrix, err, err_bytes);
	}
	fclose(file);
	return ret;
}

int npy_read_ids(const char *path, struct npy_ids *ids, char *err, size_t err_bytes)
{
	static const char *const types[] = { "<i4", NULL };
	static const struct kind kind = {
		types, "save the ids with .astype(numpy.int32)", "ids", "[sequences, tokens]",
	};
	struct npy_matrix matrix = { 0 };

	if (read_matrix(path, &kind, &matrix, err, err_bytes))
		return -1;
	ids->rows = matrix.rows;
	ids->cols = matrix.cols;
	ids->data = matrix.data;
	return 0;
}

int npy_read_matrix(const char *path, const char *const *types, struct npy_matrix *matrix,
		    char *err, size_t err_bytes)
{
	struct kind kind = {
		types, "save the array with .astype()", "elements", "[rows, columns]",
	};

	memset(matrix, 0, sizeof(*matrix));
	return read_matrix(path, &kind, matrix, err, err_bytes);
}

/* ---------------------------------------------------------------- writing */

static int write_fail(struct npy_writer *writer, char *err, size_t err_bytes)
{
	return fail(err, err_bytes, "cannot write %s: %s", writer->path, strerror(errno));
}

/* A file of the process's usual mode beside @path, to be renamed. */
static int open_temp(struct npy_writer *writer)
{
	mode_t mask = umask(0);
	int fd;

	umask(mask);
	if (asprintf(&writer->temp, "%s.XXXXXX", writer->path) < 0) {
		writer->temp = NULL;
		return -1;
	}
	fd = mkostemp(writer->temp, O_CLOEXEC);
	if (fd < 0) {
		free(writer->temp);
		writer->temp = NULL;
		return -1;
	}
	fchmod(fd, 0666 & ~mask);
	writer->file = fdopen(fd, "w");
	return writer->file ? 0 : -1;
}

static int open_file(struct npy_writer *writer)
{
	struct stat st;

	if (!strcmp(writer->path, "-"))
		writer->file = fdopen(dup(STDOUT_FILENO), "w");
	else if (!stat(writer->path, &st) && !S_ISREG(st.st_mode))
		writer->file = fopen(writer->path, "we");	/* a pipe, /dev/null, ... */
	else
		return open_temp(writer);
	return writer->file ? 0 : -1;
}

int npy_create_typed(struct npy_writer *writer, const char *path, const char *type,
		     const size_t *shape, size_t nr_dims, char *err, size_t err_bytes)
{
	unsigned char start[10] = MAGIC "\x01";
	char header[256];
	size_t used, i;

	*writer = (struct npy_writer){ .path = path };
	used = snprintf(header, sizeof(header),
			"{'descr': '%s', 'fortran_order': False, 'shape': (", type);
	for (i = 0; i < nr_dims; i++)
		used += snprintf(header + used, sizeof(header) - used, "%zu,%s", shape[i],
				 i + 1 < nr_dims ? " " : "");
	if (nr_dims > 1)
		used--;			/* only one size alone keeps its comma */
	used += snprintf(header + used, sizeof(header) - used, "), }");
	while ((sizeof(start) + used + 1) % 64)	/* the data is to be aligned */
		header[used++] = ' ';
	header[used++] = '\n';
	start[8] = used & 0xff;
	start[9] = used >> 8;
	if (open_file(writer) || fwrite(start, 1, sizeof(start), writer->file) != sizeof(start) ||
	    fwrite(header, 1, used, writer->file) != used) {
		write_fail(writer, err, err_bytes);
		npy_abandon(writer);
		return -1;
	}
	return 0;
}

int npy_create(struct npy_writer *writer, const char *path, const size_t *shape, size_t nr_dims,
	       char *err, size_t err_bytes)
{
	return npy_create_typed(writer, path, "<f4", shape, nr_dims, err, err_bytes);
}

int npy_append_bytes(struct npy_writer *writer, const void *data, size_t bytes,
		     char *err, size_t err_bytes)
{
	if (fwrite(data, 1, bytes, writer->file) == bytes)
		return 0;
	return write_fail(writer, err, err_bytes);
}

int npy_append(struct npy_writer *writer, const float *data, size_t count,
	       char *err, size_t err_bytes)
{
	return npy_append_bytes(writer, data, count * sizeof(*data), err, err_bytes);
}

int npy_finish(struct npy_writer *writer, char *err, size_t err_bytes)
{
	FILE *file = writer->file;

	writer->file = NULL;
	if (fclose(file) || (writer->temp && rename(writer->temp, writer->path))) {
		write_fail(writer, err, err_bytes);
		npy_abandon(writer);
		return -1;
	}
	free(writer->temp);
	writer->temp = NULL;
	return 0;
}

void npy_abandon(struct npy_writer *writer)
{
	if (writer->file)
		fclose(writer->file);
	if (writer->temp) {
		unlink(writer->temp);
		free(writer->temp);
	}
	writer->file = NULL;
	writer->temp = NULL;
}
