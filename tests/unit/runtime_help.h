/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Short checks for tests of the runtime; after cmocka.h.
 */
#ifndef RUNTIME_HELP_H
#define RUNTIME_HELP_H

#include <string.h>

#include "mxrt.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* The call succeeded. */
static inline void must(int err)
{
	if (err)
		fail_msg("%d: %s", err, mxrt_last_error());
}

/* It failed with @err, and the sentence holds @words. */
static inline void said(int got, int err, const char *words)
{
	if (got != err || !strstr(mxrt_last_error(), words))
		fail_msg("expected %d with \"%s\", got %d: %s", err, words, got, mxrt_last_error());
}

static inline struct mxrt_device *open_sim(const char *name)
{
	struct mxrt_device *dev;

	must(mxrt_open(name, NULL, &dev));
	return dev;
}

#endif /* RUNTIME_HELP_H */
