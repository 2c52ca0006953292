// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Size-first structs that old and new callers share with this library.
 */
#include <string.h>
#include <time.h>

#include "internal.h"

int mxrt_params_get(void *ours, uint32_t known, const void *params, const char *what)
{
	const uint8_t *bytes = params;
	uint32_t size, i;

	memset(ours, 0, known);
	if (!params)
		return 0;
	memcpy(&size, params, sizeof(size));
	if (size < sizeof(size) * 2)
		return mxrt_fail(-EINVAL, "%s.size is %u: set it to sizeof(struct %s)",
				 what, size, what);
	for (i = known; i < size; i++)
		if (bytes[i])
			return mxrt_fail(-E2BIG,
					 "%s has a field at byte %u that library %u.%u does not know",
					 what, i, MXRT_VERSION_MAJOR, MXRT_VERSION_MINOR);
	memcpy(ours, params, size < known ? size : known);
	return 0;
}

int mxrt_info_put(void *info, const void *ours, uint32_t known, const char *what)
{
	uint32_t size;

	if (!info)
		return mxrt_fail(-EINVAL, "%s: no struct to fill", what);
	memcpy(&size, info, sizeof(size));
	if (size < sizeof(size) * 2)
		return mxrt_fail(-EINVAL, "%s.size is %u: set it to sizeof(struct %s)",
				 what, size, what);
	if (size > known)
		size = known;
	memcpy(info, ours, size);
	memcpy(info, &size, sizeof(size));
	return 0;
}

uint64_t mxrt_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + now.tv_nsec;
}
