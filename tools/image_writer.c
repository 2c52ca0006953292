// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writer of model images: a temporary file beside the final one, renamed when
 * it is complete and durable.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "image_writer.h"
#include "mxmap.h"

struct image_writer {
	char *path, *temporary;
	int fd;
	uint64_t at;			/* bytes in the file, @used of the chunk not counted */
	struct mxaccel_section section[MXACCEL_IMAGE_SECTIONS];
	uint32_t nr_sections;
	uint8_t chunk[MXACCEL_CHUNK];
	size_t used;
	uint8_t *digest;		/* of the section's chunks */
	size_t nr_digests, room;
};

/* What a signal must remove; there is one writer at a time. */
static _Atomic(char *) leftover;

static void remove_leftover(int signal_number)
{
	if (leftover)
		unlink(leftover);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static int write_failed(const struct image_writer *writer)
{
	return mxmap_fail("cannot write %s: %s", writer->path, strerror(errno));
}

/* A device or folder must not be replaced by a file. */
static int check_target(const char *path)
{
	struct stat st;

	if (stat(path, &st)) {
		if (errno == ENOENT)
			return 0;
		return mxmap_fail("cannot write %s: %s", path, strerror(errno));
	}
	if (!S_ISREG(st.st_mode))
		return mxmap_fail("cannot write %s: it exists and is not a file", path);
	return 0;
}

struct image_writer *image_create(const char *path)
{
	struct image_writer *writer;
	mode_t mask;

	if (check_target(path))
		return NULL;
	writer = calloc(1, sizeof(*writer));
	if (!writer || asprintf(&writer->temporary, "%s.XXXXXX", path) < 0) {
		free(writer);
		mxmap_no_memory();
		return NULL;
	}
	writer->path = strdup(path);
	writer->fd = writer->path ? mkostemp(writer->temporary, O_CLOEXEC) : -1;
	if (writer->fd < 0) {
		mxmap_error("cannot create %s: %s", path, strerror(errno));
		free(writer->path);
		free(writer->temporary);
		free(writer);
		return NULL;
	}
	leftover = writer->temporary;
	signal(SIGINT, remove_leftover);
	signal(SIGTERM, remove_leftover);
	signal(SIGHUP, remove_leftover);
	signal(SIGXFSZ, SIG_IGN);	/* write() fails, with a message. */
	/* mkostemp() lets nobody else read it. */
	mask = umask(0);
	umask(mask);
	fchmod(writer->fd, 0666 & ~mask);
	writer->at = sizeof(struct mxaccel_image);
	return writer;
}

static int write_all(struct image_writer *writer, const void *data, size_t bytes, uint64_t at)
{
	const char *from = data;

	while (bytes) {
		ssize_t done = pwrite(writer->fd, from, bytes, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			errno = done ? errno : ENOSPC;
			return write_failed(writer);
		}
		from += done;
		at += done;
		bytes -= done;
	}
	return 0;
}

static int flush_chunk(struct image_writer *writer)
{
	if (!writer->used)
		return 0;
	if (writer->nr_digests == writer->room) {
		size_t room = writer->room ? 2 * writer->room : 64;
		uint8_t *digest = realloc(writer->digest, room * MX_DIGEST_BYTES);

		if (!digest)
			return mxmap_no_memory();
		writer->digest = digest;
		writer->room = room;
	}
	if (mx_sha256(writer->chunk, writer->used,
		      writer->digest + writer->nr_digests * MX_DIGEST_BYTES))
		return mxmap_fail("the crypto library failed to hash");
	writer->nr_digests++;
	if (write_all(writer, writer->chunk, writer->used, writer->at))
		return -1;
	writer->at += writer->used;
	writer->used = 0;
	return 0;
}

void image_rewind(struct image_writer *writer)
{
	memset(writer->section, 0, sizeof(writer->section));
	writer->nr_sections = 0;
	writer->at = sizeof(struct mxaccel_image);
	writer->used = 0;
}

int image_begin(struct image_writer *writer, uint32_t kind)
{
	struct mxaccel_section *section = &writer->section[writer->nr_sections];

	if (writer->nr_sections == MXACCEL_IMAGE_SECTIONS)
		return mxmap_fail("more sections than an image can have");
	/* The gap is a hole of zeros; image_rewind() leaves sections of the same sizes behind. */
	writer->at = (writer->at + MXACCEL_PAGE - 1) / MXACCEL_PAGE * MXACCEL_PAGE;
	section->kind = kind;
	section->offset = writer->at;
	writer->nr_digests = 0;
	return 0;
}

int image_write(struct image_writer *writer, const void *data, size_t bytes)
{
	const uint8_t *from = data;

	while (bytes) {
		size_t part = MXACCEL_CHUNK - writer->used;

		part = part < bytes ? part : bytes;
		memcpy(writer->chunk + writer->used, from, part);
		writer->used += part;
		from += part;
		bytes -= part;
		if (writer->used == MXACCEL_CHUNK && flush_chunk(writer))
			return -1;
	}
	return 0;
}

const struct mxaccel_section *image_end(struct image_writer *writer)
{
	struct mxaccel_section *section = &writer->section[writer->nr_sections];

	if (flush_chunk(writer))
		return NULL;
	section->bytes = writer->at - section->offset;
	if (mx_sha256(writer->digest, writer->nr_digests * MX_DIGEST_BYTES, section->digest)) {
		mxmap_error("the crypto library failed to hash");
		return NULL;
	}
	writer->nr_sections++;
	return section;
}

int image_section(struct image_writer *writer, uint32_t kind, const void *data, size_t bytes)
{
	return image_begin(writer, kind) || image_write(writer, data, bytes) ||
	       !image_end(writer) ? -1 : 0;
}

int image_copy_chunks(const struct image_writer *writer, void **digests, size_t *bytes)
{
	*bytes = writer->nr_digests * MX_DIGEST_BYTES;
	*digests = malloc(*bytes + 1);
	if (!*digests)
		return mxmap_no_memory();
	if (*bytes)
		memcpy(*digests, writer->digest, *bytes);
	return 0;
}

const void *image_map(struct image_writer *writer, const struct mxaccel_section *section)
{
	void *map = mmap(NULL, section->bytes, PROT_READ, MAP_SHARED, writer->fd, section->offset);

	if (map == MAP_FAILED) {
		mxmap_error("cannot map %s: %s", writer->path, strerror(errno));
		return NULL;
	}
	return map;
}

/* The name is durable when its folder is. */
static void sync_folder(const char *path)
{
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(copy);
}

static int publish(struct image_writer *writer, struct mxaccel_image *header)
{
	int fd = writer->fd;

	header->magic = MXACCEL_IMAGE_MAGIC;
	header->major = MXACCEL_IMAGE_MAJOR;
	header->minor = MXACCEL_IMAGE_MINOR;
	header->header_bytes = sizeof(*header);
	header->file_bytes = writer->at;
	header->nr_sections = writer->nr_sections;
	memcpy(header->section, writer->section, sizeof(header->section));
	header->crc32c = 0;
	header->crc32c = mx_crc32c(header, sizeof(*header));
	if (write_all(writer, header, sizeof(*header), 0))
		return -1;
	if (ftruncate(fd, writer->at) || fsync(fd))
		return write_failed(writer);
	writer->fd = -1;
	if (close(fd) || rename(writer->temporary, writer->path))
		return write_failed(writer);
	leftover = NULL;
	sync_folder(writer->path);
	return 0;
}

static void free_writer(struct image_writer *writer)
{
	if (writer->fd >= 0)
		close(writer->fd);
	free(writer->digest);
	free(writer->path);
	free(writer->temporary);
	free(writer);
}

int image_commit(struct image_writer *writer, struct mxaccel_image *header)
{
	if (publish(writer, header)) {
		image_abort(writer);
		return -1;
	}
	free_writer(writer);
	return 0;
}

void image_abort(struct image_writer *writer)
{
	if (!writer)
		return;
	unlink(writer->temporary);
	leftover = NULL;
	free_writer(writer);
}
