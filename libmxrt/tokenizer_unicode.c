// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text normalisation of the tokenizer.
 *
 * Models were trained on what the reference tokenizer made of their text, so
 * its view of Unicode counts, not the newest one: categories of Unicode 8,
 * decomposition of Unicode 9. utf8proc knows a later version; the tables below
 * name the ranges whose newer characters the reference takes for unassigned.
 * tests/e2e/test_tokenizer.py checks every code point against it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "mxaccel_image.h"
#include "tokenizer_unicode.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Longest canonical decomposition of a character, with room to spare */
#define MAX_DECOMPOSED 16

struct range {
	int32_t first, last;
};

/* No punctuation, mark or control here before Unicode 9. */
static const struct range no_category[] = {
	{ 0x061d, 0x061d }, { 0x07fd, 0x07fd }, { 0x0890, 0x08e2 }, { 0x09fd, 0x09fe },
	{ 0x0a76, 0x0a76 }, { 0x0afa, 0x0aff }, { 0x0b55, 0x0b55 }, { 0x0c04, 0x0c3c },
	{ 0x0c77, 0x0c77 }, { 0x0c84, 0x0c84 }, { 0x0d00, 0x0d00 }, { 0x0d3b, 0x0d3c },
	{ 0x0d81, 0x0d81 }, { 0x0eba, 0x0eba }, { 0x0ece, 0x0ece }, { 0x180f, 0x1886 },
	{ 0x1abf, 0x1aeb }, { 0x1b4e, 0x1b4f }, { 0x1b7d, 0x1b7f }, { 0x1df6, 0x1dfb },
	{ 0x2e43, 0x2e5d }, { 0xa82c, 0xa82c }, { 0xa8c5, 0xa8c5 }, { 0xa8ff, 0xa8ff },
	{ 0xa9bd, 0xa9bd }, { 0x10d24, 0x10f89 }, { 0x11070, 0x11074 }, { 0x110c2, 0x110cd },
	{ 0x111cf, 0x111cf }, { 0x1123e, 0x11241 }, { 0x1133b, 0x1133b }, { 0x113b8, 0x1145e },
	{ 0x11660, 0x1166c }, { 0x116b9, 0x116b9 }, { 0x1182f, 0x11fff }, { 0x12ff1, 0x1612f },
	{ 0x16d6d, 0x16f4f }, { 0x16fe2, 0x16fe4 }, { 0x1cf00, 0x1cf46 }, { 0x1e000, 0x1e6ff },
	{ 0x1e944, 0x1e95f },
};

/* No combining class here before Unicode 10. */
static const struct range no_class[] = {
	{ 0x07fd, 0x07fd }, { 0x0897, 0x08d3 }, { 0x09fe, 0x09fe }, { 0x0c3c, 0x0c3c },
	{ 0x0d3b, 0x0d3c }, { 0x0eba, 0x0eba }, { 0x1715, 0x1715 }, { 0x1abf, 0x1aeb },
	{ 0x1df6, 0x1dfa }, { 0xa82c, 0xa82c }, { 0x10d24, 0x10f85 }, { 0x11070, 0x11070 },
	{ 0x1133b, 0x1133b }, { 0x113ce, 0x113e2 }, { 0x1145e, 0x1145e }, { 0x11839, 0x11a99 },
	{ 0x11d42, 0x1612f }, { 0x16ff0, 0x16ff1 }, { 0x1e08f, 0x1e6ff },
};

/* No decomposition here before Unicode 10. */
static const struct range no_decomposition[] = {
	{ 0x105c9, 0x105e4 }, { 0x11383, 0x113c8 }, { 0x11938, 0x11938 }, { 0x16121, 0x16128 },
	{ 0x16d68, 0x16d6a },
};

static const struct range cjk[] = {
	{ 0x3400, 0x4dbf }, { 0x4e00, 0x9fff }, { 0xf900, 0xfaff }, { 0x20000, 0x2a6df },
	{ 0x2a700, 0x2b73f }, { 0x2b740, 0x2b81f }, { 0x2b920, 0x2ceaf }, { 0x2f800, 0x2fa1f },
};

static bool in_ranges(int32_t c, const struct range *range, size_t nr)
{
	size_t low = 0, high = nr;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c > range[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < nr && c >= range[low].first;
}

static utf8proc_category_t category(int32_t c)
{
	/* Characters whose category has changed since */
	switch (c) {
	case 0x166d:
	case 0x111c9:
		return UTF8PROC_CATEGORY_PO;
	case 0x1734:
		return UTF8PROC_CATEGORY_MN;
	}
	if (in_ranges(c, no_category, ARRAY_SIZE(no_category)))
		return UTF8PROC_CATEGORY_CN;
	return utf8proc_category(c);
}

bool mxrt_is_space(int32_t c)
{
	return c == ' ' || (c >= 0x09 && c <= 0x0d) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
	       c == 0x205f || c == 0x3000;
}

bool mxrt_is_punctuation(int32_t c)
{
	if (c < 128)	/* ASCII symbols count too */
		return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
		       (c >= 123 && c <= 126);
	switch (category(c)) {
	case UTF8PROC_CATEGORY_PC:
	case UTF8PROC_CATEGORY_PD:
	case UTF8PROC_CATEGORY_PS:
	case UTF8PROC_CATEGORY_PE:
	case UTF8PROC_CATEGORY_PI:
	case UTF8PROC_CATEGORY_PF:
	case UTF8PROC_CATEGORY_PO:
		return true;
	default:
		return false;
	}
}

static bool is_control(int32_t c)
{
	if (c == '\t' || c == '\n' || c == '\r')
		return false;
	switch (category(c)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CO:
		return true;
	default:
		return false;
	}
}

static int append(struct mxrt_chars *chars, int32_t c)
{
	if (chars->nr == chars->room) {
		size_t room = chars->room ? chars->room * 2 : 256;
		int32_t *at = realloc(chars->at, room * sizeof(*at));

		if (!at)
			return -ENOMEM;
		chars->at = at;
		chars->room = room;
	}
	chars->at[chars->nr++] = c;
	return 0;
}

static int append_cleaned(struct mxrt_chars *out, int32_t c, uint32_t flags)
{
	if (c >= ' ' && c < 0x7f)	/* most text */
		return append(out, c);
	if (c == 0xfffd || is_control(c))
		return 0;
	if (mxrt_is_space(c))
		return append(out, ' ');
	if ((flags & MXACCEL_TOK_SPLIT_CJK) && in_ranges(c, cjk, ARRAY_SIZE(cjk)))
		return append(out, ' ') || append(out, c) || append(out, ' ') ? -ENOMEM : 0;
	return append(out, c);
}

static int combining_class(int32_t c)
{
	if (in_ranges(c, no_class, ARRAY_SIZE(no_class)))
		return 0;
	return utf8proc_get_property(c)->combining_class;
}

/* Stable sort of a run of marks by class: counting, so that no text takes quadratic time */
static int order_long_run(int32_t *at, size_t nr)
{
	size_t start[257] = { 0 }, i;
	int32_t *sorted = malloc(nr * sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		start[combining_class(at[i]) + 1]++;
	for (i = 1; i < 257; i++)
		start[i] += start[i - 1];
	for (i = 0; i < nr; i++)
		sorted[start[combining_class(at[i])]++] = at[i];
	memcpy(at, sorted, nr * sizeof(*sorted));
	free(sorted);
	return 0;
}

static void order_short_run(int32_t *at, size_t nr)
{
	size_t i, j;

	for (i = 1; i < nr; i++) {
		int32_t c = at[i];
		int class = combining_class(c);

		for (j = i; j > 0 && combining_class(at[j - 1]) > class; j--)
			at[j] = at[j - 1];
		at[j] = c;
	}
}

/*
 * Canonical order of the marks after each base character. utf8proc_decompose()
 * would order them too, but by classes that the reference lacks.
 */
static int order_marks(struct mxrt_chars *chars)
{
	size_t i, nr;

	for (i = 0; i < chars->nr; i += nr ? nr : 1) {
		for (nr = 0; i + nr < chars->nr && chars->at[i + nr] >= 0x300 &&
			     combining_class(chars->at[i + nr]); nr++)
			;
		if (nr > 16) {
			if (order_long_run(chars->at + i, nr))
				return -ENOMEM;
		} else if (nr > 1) {
			order_short_run(chars->at + i, nr);
		}
	}
	return 0;
}

static int strip_accents(struct mxrt_chars *chars)
{
	struct mxrt_chars split = { 0 };
	size_t i;
	int ret = 0;

	for (i = 0; i < chars->nr && !ret; i++) {
		int32_t c = chars->at[i], to[MAX_DECOMPOSED];
		utf8proc_ssize_t j, nr = 1;
		int boundary = 0;

		if (c < 128) {
			ret = append(&split, c);
			continue;
		}
		to[0] = c;
		if (!in_ranges(c, no_decomposition, ARRAY_SIZE(no_decomposition)))
			nr = utf8proc_decompose_char(c, to, MAX_DECOMPOSED, UTF8PROC_DECOMPOSE,
						     &boundary);
		for (j = 0; j < nr && !ret; j++)
			ret = append(&split, to[j]);
	}
	if (!ret)
		ret = order_marks(&split);
	if (!ret) {
		chars->nr = 0;
		for (i = 0; i < split.nr && !ret; i++)
			if (split.at[i] < 128 || category(split.at[i]) != UTF8PROC_CATEGORY_MN)
				ret = append(chars, split.at[i]);
	}
	free(split.at);
	return ret;
}

static int lower(struct mxrt_chars *chars)
{
	size_t i, dotted = 0;

	for (i = 0; i < chars->nr; i++) {
		if (chars->at[i] == 0x130)
			dotted++;
		else
			chars->at[i] = utf8proc_tolower(chars->at[i]);
	}
	/* The one character whose lower case is two: I with dot above, i and the dot */
	for (i = 0; i < dotted; i++)
		if (append(chars, 0))
			return -ENOMEM;
	for (i = chars->nr; dotted && i-- > 0;) {
		int32_t c = chars->at[i - dotted];

		if (c == 0x130) {
			chars->at[i--] = 0x307;
			dotted--;
			c = 'i';
		}
		chars->at[i] = c;
	}
	return 0;
}

int mxrt_normalise(const char *text, size_t bytes, uint32_t flags, struct mxrt_chars *out)
{
	const uint8_t *at = (const uint8_t *)text, *end = at + bytes;
	int ret = 0;

	out->nr = 0;
	while (at < end && !ret) {
		int32_t c = *at;
		utf8proc_ssize_t used = 1;

		if (c >= 128)
			/* Four bytes at most: the length is bounded for utf8proc's sake. */
			used = utf8proc_iterate(at, end - at < 4 ? end - at : 4, &c);
		if (used < 1)
			return -EILSEQ;
		ret = append_cleaned(out, c, flags);
		at += used;
	}
	if (!ret && (flags & MXACCEL_TOK_STRIP_ACCENTS))
		ret = strip_accents(out);
	if (!ret && (flags & MXACCEL_TOK_LOWER))
		ret = lower(out);
	return ret;
}
