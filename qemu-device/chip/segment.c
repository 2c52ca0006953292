// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A sequence alone on the chip. Where a stage waits for all tokens, nothing that
 * was before has an influence any more, so what happens until the next such
 * stage depends on the stages only, and is worked out once for all equal layers.
 */
#include <string.h>

#include "schedule.h"

/* Which LARGE units does not matter, only which stages share some. */
static bool is_sets(const struct mx_schedule *s, const struct mx_use *use)
{
	return use->first < s->layout.nr_sets;
}

static bool same_stage(const struct mx_schedule *s, const struct mx_stage *a,
		       const struct mx_stage *b)
{
	uint32_t i;

	if (a->all_rows != b->all_rows || a->wait_all != b->wait_all ||
	    a->latency != b->latency || a->nr_uses != b->nr_uses)
		return false;
	for (i = 0; i < a->nr_uses; i++)
		if (a->use[i].ticks != b->use[i].ticks ||
		    (a->use[i].first != b->use[i].first &&
		     !(is_sets(s, &a->use[i]) && is_sets(s, &b->use[i]))))
			return false;
	return true;
}

/* The sets that a stage uses, or NULL: it has one such use at most. */
static const struct mx_use *sets_of(const struct mx_schedule *s, const struct mx_stage *stage)
{
	uint32_t i;

	for (i = 0; i < stage->nr_uses; i++)
		if (is_sets(s, &stage->use[i]))
			return &stage->use[i];
	return NULL;
}

/* Whether two ranges on the ring of sets have one in common. */
static bool overlap(const struct mx_schedule *s, const struct mx_use *a, const struct mx_use *b)
{
	uint32_t nr_sets = s->layout.nr_sets;

	if (!a || !b)
		return false;
	return (b->first + nr_sets - a->first) % nr_sets < a->nr ||
	       (a->first + nr_sets - b->first) % nr_sets < b->nr;
}

static bool same_stages(const struct mx_schedule *s, const struct mx_stage *a,
			const struct mx_stage *b, uint32_t nr)
{
	uint32_t i, j;

	for (i = 0; i < nr; i++)
		if (!same_stage(s, &a[i], &b[i]))
			return false;
	for (i = 0; i < nr; i++)
		for (j = 0; j < i; j++)
			if (overlap(s, sets_of(s, &a[i]), sets_of(s, &a[j])) !=
			    overlap(s, sets_of(s, &b[i]), sets_of(s, &b[j])))
				return false;
	return true;
}

static const struct mx_segment *find(const struct mx_schedule *s, const struct mx_flight *f,
				     uint32_t first, uint32_t nr)
{
	const struct mx_segment *segment;

	for (segment = s->segment; segment < s->segment + s->nr_segments; segment++)
		if (segment->nr == nr &&
		    same_stages(s, &f->stage[segment->first], &f->stage[first], nr))
			return segment;
	return NULL;
}

/* Whether no resource is in use any more at a time. */
static bool all_free(const struct mx_schedule *s, uint64_t when)
{
	uint32_t i;

	for (i = 0; i < s->layout.nr_resources; i++)
		if (s->free_at[i] > when)
			return false;
	return true;
}

/* What happened in a segment like this one happens again from @base on. */
static void repeat(struct mx_schedule *s, struct mx_flight *f, const struct mx_segment *segment,
		   uint32_t first, uint64_t base)
{
	uint64_t *waited = &s->times[f->stage[first].op].stall[MXACCEL_RES_NR];
	uint32_t i, moved = 1;
	int cause;

	/* How long tokens wait to begin depends on what was before. */
	for (i = 0; i < mx_flight_tokens(f, first); i++)
		*waited += base > f->ready[i] ? base - f->ready[i] : 0;
	for (i = 0; i < segment->nr; i++) {
		for (cause = 0; cause < MXACCEL_RES_NR; cause++)
			s->times[f->stage[first + i].op].stall[cause] += segment->stall[i][cause];
		f->head[first + i] = mx_flight_tokens(f, first + i);
		f->start[first + i] = UINT64_MAX;
		if (f->stage[first + i].all_rows)
			moved = f->length;
	}
	for (i = 0; i < moved; i++)
		f->ready[i] = base + segment->ready[i];
	if (base + segment->end > f->end)
		f->end = base + segment->end;
	f->low = first + segment->nr;
	if (f->high < f->low)
		f->high = f->low;
	if (f->low < f->nr_stages)
		mx_schedule_look(s, f, f->low);
}

/* Begins to record a segment, if there is room and it is worth it. */
static void record(struct mx_schedule *s, uint32_t first, uint32_t nr)
{
	s->record = NULL;
	if (s->nr_segments == MX_SEGMENTS || nr > MX_SEGMENT_STAGES || s->span)
		return;
	s->record = &s->segment[s->nr_segments];
	s->record->first = first;
	s->record->nr = nr;
	memset(s->record->stall, 0, sizeof(s->record->stall));
}

/* Keeps the record if nothing of the segment reaches into what is behind it. */
static void keep(struct mx_schedule *s, const struct mx_flight *f, uint64_t base)
{
	uint64_t end = f->ready[0];
	uint32_t i;

	for (i = 1; i < f->length; i++)
		if (f->ready[i] > end)
			end = f->ready[i];
	if (s->record && all_free(s, end)) {
		for (i = 0; i < f->length; i++)
			s->record->ready[i] = f->ready[i] - base;
		s->record->end = end - base;
		s->nr_segments++;
	}
	s->record = NULL;
}

void mx_schedule_alone(struct mx_schedule *s, struct mx_flight *f)
{
	const struct mx_segment *known;
	uint32_t first, end;
	uint64_t base;

	if (!f->active)
		return;
	for (first = 0; first < f->nr_stages; first = end) {
		for (end = first + 1; end < f->nr_stages && !f->stage[end].wait_all;)
			end++;
		base = first ? f->all_ready : f->end;
		known = s->span || !all_free(s, base) ? NULL : find(s, f, first, end - first);
		if (known) {
			repeat(s, f, known, first, base);
			continue;
		}
		if (all_free(s, base))
			record(s, first, end - first);
		while (f->low < end)
			mx_schedule_step(s);
		keep(s, f, base);
	}
	mx_schedule_land(s, f);
}
