// SPDX-License-Identifier: LGPL-2.1-or-later
/* The file behind the non-volatile area: its layout, mappings and cells. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE	/* memfd_create() */
#endif
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "chunks.h"
#include "nv.h"

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

struct mx_nv_layout mx_nv_layout(const struct mx_chip_config *config)
{
	struct mx_nv_layout l = {
		.slots = config->max_models, .chunks = mx_chunks_total(config),
	};

	l.dir_bytes = round_up(sizeof(struct mx_nv_dir) +
			       (uint64_t)l.slots * sizeof(struct mx_nv_record), MXACCEL_PAGE);
	l.map_bytes = round_up((uint64_t)l.chunks * sizeof(__le32), MXACCEL_PAGE);
	l.wear = MXACCEL_PAGE + 2 * l.dir_bytes;
	l.maps = l.wear + l.map_bytes;
	l.storage = round_up(l.maps + l.slots * l.map_bytes, MXACCEL_CHUNK);
	return l;
}

uint64_t mx_chip_nv_bytes(const struct mx_chip_config *config)
{
	struct mx_nv_layout l = mx_nv_layout(config);

	return l.storage + (uint64_t)l.chunks * MXACCEL_CHUNK;
}

int mx_nv_attach(struct mx_nv *nv, const struct mx_chip_config *config,
		 const struct mx_chip_params *params, char *err, size_t err_bytes)
{
	*nv = (struct mx_nv) {
		.layout = mx_nv_layout(config), .fd = params->nv_fd, .persist = params->persist,
		.opaque = params->opaque,
	};
	if (!params->persist) {
		nv->fd = memfd_create("mx1-cells", MFD_CLOEXEC);
		nv->own_fd = nv->fd >= 0;
		if (nv->fd < 0 || ftruncate(nv->fd, mx_chip_nv_bytes(config)) < 0) {
			snprintf(err, err_bytes, "no memory for %" PRIu64 " bytes of cells: %s",
				 mx_chip_nv_bytes(config), strerror(errno));
			return -ENOMEM;
		}
	}
	nv->base = mmap(NULL, nv->layout.storage, PROT_READ | PROT_WRITE, MAP_SHARED, nv->fd, 0);
	if (nv->base != MAP_FAILED)
		return 0;
	nv->base = NULL;
	snprintf(err, err_bytes, "cannot map %" PRIu64 " bytes of the non-volatile store: %s",
		 nv->layout.storage, strerror(errno));
	return -ENOMEM;
}

void mx_nv_close(struct mx_nv *nv)
{
	if (nv->base)
		munmap(nv->base, nv->layout.storage);
	if (nv->own_fd)
		close(nv->fd);
}

static int persist(const struct mx_nv *nv, uint64_t offset, uint64_t bytes)
{
	return nv->persist ? nv->persist(nv->opaque, offset, bytes) : 0;
}

int mx_nv_persist_chunks(const struct mx_nv *nv, uint32_t first, uint32_t last)
{
	return persist(nv, nv->layout.storage + (uint64_t)first * MXACCEL_CHUNK,
		       (last - first + 1ull) * MXACCEL_CHUNK);
}

int mx_nv_persist_map(const struct mx_nv *nv, uint32_t slot)
{
	return persist(nv, nv->layout.wear, (slot + 2ull) * nv->layout.map_bytes);
}

int mx_nv_write(const struct mx_nv *nv, uint32_t chunk, uint64_t offset, const void *data,
		uint64_t bytes)
{
	const uint8_t *from = data;
	ssize_t done;

	for (offset += nv->layout.storage + (uint64_t)chunk * MXACCEL_CHUNK; bytes;
	     from += done, offset += done, bytes -= done) {
		done = pwrite(nv->fd, from, bytes, offset);
		if (done < 0 && errno == EINTR)
			done = 0;
		else if (done <= 0)
			return done ? -errno : -EIO;
	}
	return 0;
}

const uint8_t *mx_nv_view(const struct mx_nv *nv, const uint32_t *chunk, uint32_t nr)
{
	uint8_t *view = mmap(NULL, (uint64_t)nr * MXACCEL_CHUNK, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint32_t i, run;

	if (view == MAP_FAILED)
		return NULL;
	for (i = 0; i < nr; i += run) {
		for (run = 1; i + run < nr && chunk[i + run] == chunk[i] + run; run++)
			;
		if (mmap(view + (uint64_t)i * MXACCEL_CHUNK, (uint64_t)run * MXACCEL_CHUNK,
			 PROT_READ, MAP_SHARED | MAP_FIXED, nv->fd,
			 nv->layout.storage + (uint64_t)chunk[i] * MXACCEL_CHUNK) == MAP_FAILED) {
			mx_nv_unview(view, nr);
			return NULL;
		}
	}
	return view;
}

void mx_nv_unview(const uint8_t *view, uint32_t nr)
{
	if (view)
		munmap((void *)view, (uint64_t)nr * MXACCEL_CHUNK);
}
