// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Versions and errors: the one sentence per thread, and texts for codes.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define SENTENCE_BYTES 1024

static _Thread_local char sentence[SENTENCE_BYTES];

unsigned int mxrt_version(void)
{
	return MXRT_VERSION;
}

int mxrt_fail(int err, const char *format, ...)
{
	char text[SENTENCE_BYTES];	/* an argument may be the old sentence */
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	memcpy(sentence, text, strlen(text) + 1);
	return err;
}

const char *mxrt_last_error(void)
{
	return sentence;
}

static const struct {
	int err;
	const char *text;
} statuses[] = {
#define MXACCEL_X(name, value, err, text) \
	[MXACCEL_ST_##name] = { -(err), text },
	MXACCEL_STATUS_CODES(MXACCEL_X)
#undef MXACCEL_X
};

int mxrt_status_error(unsigned int status)
{
	return status < ARRAY_SIZE(statuses) ? statuses[status].err : -EIO;
}

static const char *status_text(unsigned int status)
{
	if (status < ARRAY_SIZE(statuses))
		return statuses[status].text;
	return "status of the chip that this library does not know";
}

/* What an errno means here; the C library's texts mislead for these. */
static const char *errno_text(int err)
{
	switch (err) {
	case ENODEV:		return "device is gone or was reset: open it again";
	case ENOENT:		return "no such device, file, model or program entry";
	case ENODATA:		return "nothing there: no tokens, tokenizer or job";
	case EDOM:		return "token id outside the model's vocabulary";
	case E2BIG:		return "too many tokens, or a parameter this library does not know";
	case EFBIG:		return "too large for the device";
	case ENOSPC:		return "not enough free cells or model slots on the chip";
	case ENOBUFS:		return "room for the result is too small";
	case EBADMSG:		return "data is damaged: it does not match its checksum";
	case EPROTONOSUPPORT:	return "version or feature that this side does not know";
	case EXDEV:		return "handle of another device";
	case ETIME:		return "nothing came in time";
	case ETIMEDOUT:		return "job passed its deadline";
	case ECANCELED:		return "job was cancelled";
	case EAGAIN:		return "queue is full: reap first";
	case EILSEQ:		return "text is not valid UTF-8";
	case ERANGE:		return "computation produced an infinity or not-a-number";
	default:		return NULL;
	}
}

const char *mxrt_strerror(int err)
{
	const char *text;

	if (err >= 0)
		return status_text(err);
	text = errno_text(-err);
	if (!text)
		text = strerrordesc_np(-err);
	return text ? text : "unknown error";
}
