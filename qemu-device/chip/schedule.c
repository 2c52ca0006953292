// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdlib.h>
#include <string.h>

#include "schedule.h"

#define NEVER UINT64_MAX

bool mx_schedule_init(struct mx_schedule *s, const struct mx_chip_config *config,
		      const struct mx_model *model, const struct mxaccel_entry *entry,
		      uint32_t max_length)
{
	uint32_t i;

	memset(s, 0, sizeof(*s));
	if (!mx_layout_make(&s->layout, config, model, entry))
		return false;
	s->free_at = malloc(s->layout.nr_resources * sizeof(*s->free_at));
	s->times = malloc(entry->nr_ops * sizeof(*s->times));
	if (!s->free_at || !s->times)
		return false;
	for (i = 0; i < MX_FLIGHTS; i++) {
		struct mx_flight *f = &s->flight[i];

		f->stage = malloc(s->layout.max_stages * sizeof(*f->stage));
		f->head = malloc(s->layout.max_stages * sizeof(*f->head));
		f->start = malloc(s->layout.max_stages * sizeof(*f->start));
		f->ready = malloc(max_length * sizeof(*f->ready));
		if (!f->stage || !f->head || !f->start || !f->ready)
			return false;
	}
	for (i = 0; i < MX_SEGMENTS; i++) {
		s->segment[i].ready = malloc(max_length * sizeof(*s->segment[i].ready));
		if (!s->segment[i].ready)
			return false;
	}
	return true;
}

void mx_schedule_free(struct mx_schedule *s)
{
	uint32_t i;

	for (i = 0; i < MX_FLIGHTS; i++) {
		free(s->flight[i].stage);
		free(s->flight[i].head);
		free(s->flight[i].start);
		free(s->flight[i].ready);
	}
	for (i = 0; i < MX_SEGMENTS; i++)
		free(s->segment[i].ready);
	free(s->free_at);
	free(s->times);
	mx_layout_free(&s->layout);
}

/* Whether the next token of a stage has left the stages before, all tokens if it waits for them. */
static bool has_token(const struct mx_flight *f, uint32_t i)
{
	const struct mx_stage *stage = &f->stage[i];
	uint32_t token = f->head[i];

	if (token == mx_flight_tokens(f, i))
		return false;
	/* The first token passes every stage, the others those of all rows. */
	if (i && !token && !f->head[i - 1])
		return false;
	if (stage->prev == MX_NO_STAGE)
		return true;
	return f->head[stage->prev] > (stage->wait_all ? f->length - 1 : token);
}

/* Of the resources of a stage the one that is free last; NULL: it needs none. */
static const struct mx_use *last_free(const struct mx_schedule *s, const struct mx_stage *stage,
				      uint64_t *when)
{
	const struct mx_use *use, *last = NULL;
	uint32_t i, at;

	*when = 0;
	for (use = stage->use; use < stage->use + stage->nr_uses; use++) {
		for (i = 0, at = use->first; i < use->nr; i++) {
			if (s->free_at[at] > *when) {
				*when = s->free_at[at];
				last = use;
			}
			if (++at == s->layout.nr_sets)
				at = 0;
		}
	}
	return last;
}

/* When the next token of a stage has all that it needs but resources. */
static uint64_t token_ready(const struct mx_flight *f, uint32_t i)
{
	uint64_t ready = f->ready[f->head[i]];

	return f->stage[i].wait_all && f->all_ready > ready ? f->all_ready : ready;
}

static uint64_t start_of(const struct mx_schedule *s, const struct mx_flight *f, uint32_t i)
{
	uint64_t ready = token_ready(f, i), resources;

	last_free(s, &f->stage[i], &resources);
	return ready > resources ? ready : resources;
}

void mx_schedule_look(const struct mx_schedule *s, struct mx_flight *f, uint32_t i)
{
	f->start[i] = NEVER;
	if (!has_token(f, i))
		return;
	if (f->stage[i].wait_all && !f->head[i]) {
		f->all_ready = f->ready[f->length - 1];
		if (f->ready[0] > f->all_ready)
			f->all_ready = f->ready[0];
	}
	f->start[i] = start_of(s, f, i);
	if (i >= f->high)
		f->high = i + 1;
}

static void emit(struct mx_schedule *s, const struct mx_flight *f, const struct mx_stage *stage,
		 uint32_t token, uint64_t start)
{
	struct mxaccel_span span = {
		.start = start, .seq = f->seq, .op = stage->op,
		.token = stage->all_rows ? token : MXACCEL_SPAN_ALL };
	const struct mx_use *use;

	for (use = stage->use; use < stage->use + stage->nr_uses; use++) {
		span.ticks = use->ticks;
		span.resource = s->layout.resource[use->first].kind;
		span.unit = s->layout.resource[use->first].unit;
		s->span(s->opaque, &span);
	}
}

static void add_stall(struct mx_schedule *s, const struct mx_stage *stage, uint32_t i, int cause,
		      uint64_t ticks)
{
	s->times[stage->op].stall[cause] += ticks;
	if (s->record && cause < MXACCEL_RES_NR)
		s->record->stall[i - s->record->first][cause] += ticks;
}

/* Notes what the next token of a stage waited for. */
static void note_stall(struct mx_schedule *s, const struct mx_flight *f, uint32_t i)
{
	const struct mx_stage *stage = &f->stage[i];
	uint64_t own = f->ready[f->head[i]], ready = token_ready(f, i), resources;
	const struct mx_use *use;

	if (ready > own)
		add_stall(s, stage, i, MXACCEL_RES_NR, ready - own);
	if (f->start[i] > ready) {
		use = last_free(s, stage, &resources);
		add_stall(s, stage, i, s->layout.resource[use->first].kind, f->start[i] - ready);
	}
}

static void fire(struct mx_schedule *s, struct mx_flight *f, uint32_t i)
{
	const struct mx_stage *stage = &f->stage[i];
	uint32_t token = f->head[i], at, j;
	uint64_t start = f->start[i];
	const struct mx_use *use;

	note_stall(s, f, i);
	if (s->span)
		emit(s, f, stage, token, start);
	for (use = stage->use; use < stage->use + stage->nr_uses; use++) {
		at = use->first;
		for (j = 0; j < use->nr; j++) {
			s->free_at[at] = start + use->ticks;
			if (++at == s->layout.nr_sets)
				at = 0;
		}
	}
	f->ready[token] = start + stage->latency;
	if (f->ready[token] > f->end)
		f->end = f->ready[token];
	f->head[i]++;
	mx_schedule_look(s, f, i);
	/* The stages behind that had no token may have one now. */
	for (j = i + 1; j < f->nr_stages; j++) {
		if (f->start[j] == NEVER)
			mx_schedule_look(s, f, j);
		if (f->stage[j].all_rows)
			break;
	}
	while (f->low < f->nr_stages && f->head[f->low] == mx_flight_tokens(f, f->low))
		f->low++;
}

/* The stage whose token can start first, or at the same time as others but is to go first. */
static struct mx_flight *first_of(struct mx_schedule *s, uint32_t *stage)
{
	struct mx_flight *f, *first = NULL;
	uint64_t best = NEVER;
	uint32_t i;

	for (f = s->flight; f < s->flight + MX_FLIGHTS; f++) {
		uint64_t best_here = NEVER;
		uint32_t at = 0;

		if (!f->active)
			continue;
		for (i = f->low; i < f->high; i++) {
			if (f->start[i] <= best_here) {
				best_here = f->start[i];
				at = i;
			}
		}
		if (best_here < best || (best_here == best && first && f->seq < first->seq)) {
			best = best_here;
			first = f;
			*stage = at;
		}
	}
	return first;
}

/* ---------------------------------------------------------- sequences */

static void add_busy(struct mx_schedule *s, const struct mx_flight *f)
{
	const struct mx_stage *stage;
	const struct mx_use *use;
	uint32_t i;

	for (i = 0; i < f->nr_stages; i++) {
		stage = &f->stage[i];
		for (use = stage->use; use < stage->use + stage->nr_uses; use++)
			s->times[stage->op].busy[s->layout.resource[use->first].kind] +=
				mx_flight_tokens(f, i) * use->ticks * use->units;
	}
}

/* Starts a sequence where another one has ended, or at a job's start. */
static void take_off(struct mx_schedule *s, struct mx_flight *f, uint32_t number,
		     const struct mx_schedule_seq *seq)
{
	uint64_t now = f->end > s->blocked_until ? f->end : s->blocked_until;
	uint32_t i;

	if (f->made.length != seq->length || f->made.nr_ops != seq->nr_ops) {
		s->nr_segments = 0;	/* they are about other stages */
		f->made = *seq;
		f->nr_stages = mx_stages_make(&s->layout, seq->length, seq->nr_ops,
					      (uint32_t)(f - s->flight), f->stage);
	}
	f->seq = number;
	f->length = seq->length;
	f->low = 0;
	f->high = 0;
	f->end = now;
	f->active = f->nr_stages > 0;
	memset(f->head, 0, f->nr_stages * sizeof(*f->head));
	for (i = 0; i < f->nr_stages; i++)
		f->start[i] = NEVER;
	for (i = 0; i < f->length; i++)
		f->ready[i] = now;
	add_busy(s, f);
	for (i = 0; i < f->nr_stages; i++) {
		mx_schedule_look(s, f, i);
		if (f->stage[i].all_rows)
			break;
	}
}

/* Whether the K and V of two layers of both sequences have room. */
static bool may_fly_together(const struct mx_schedule *s, uint32_t a, uint32_t b)
{
	const struct mx_layout *l = &s->layout;
	uint64_t contexts = mx_stages_contexts(l->config, l->op, l->entry->nr_ops, a) +
			    mx_stages_contexts(l->config, l->op, l->entry->nr_ops, b);

	return 2 * contexts <= l->config->small_contexts;
}

/* Starts what may start; notes whether the next sequence has to wait for another one's end. */
static void take_off_all(struct mx_schedule *s, const struct mx_schedule_seq *seq,
			 uint32_t nr_seq, uint32_t *next)
{
	const struct mx_flight *other;
	uint32_t i;

	s->blocked = false;
	for (i = 0; i < MX_FLIGHTS; i++) {
		other = &s->flight[1 - i];
		/* One that failed early has no stages. */
		while (!s->flight[i].active && *next < nr_seq) {
			s->blocked = other->active &&
				     !may_fly_together(s, other->length, seq[*next].length);
			if (s->blocked)
				return;
			take_off(s, &s->flight[i], *next, &seq[*next]);
			++*next;
		}
	}
}

void mx_schedule_land(struct mx_schedule *s, struct mx_flight *f)
{
	f->active = false;
	if (s->blocked)
		s->blocked_until = f->end;
	if (f->end > s->ticks)
		s->ticks = f->end;
}

bool mx_schedule_step(struct mx_schedule *s)
{
	struct mx_flight *f;
	uint32_t stage;
	uint64_t start;

	for (;;) {
		f = first_of(s, &stage);
		if (!f)
			return false;
		start = f->start[stage];
		f->start[stage] = start_of(s, f, stage);
		if (f->start[stage] == start)
			break;
		/* else a resource was taken meanwhile */
	}
	fire(s, f, stage);
	return true;
}

static void reset(struct mx_schedule *s)
{
	uint32_t i;

	memset(s->free_at, 0, s->layout.nr_resources * sizeof(*s->free_at));
	memset(s->times, 0, s->layout.entry->nr_ops * sizeof(*s->times));
	s->ticks = 0;
	s->blocked_until = 0;
	s->record = NULL;
	for (i = 0; i < MX_FLIGHTS; i++) {
		s->flight[i].active = false;
		s->flight[i].end = 0;
	}
}

void mx_schedule_run(struct mx_schedule *s, const struct mx_schedule_seq *seq, uint32_t nr_seq)
{
	struct mx_flight *f;
	uint32_t next = 0;

	reset(s);
	if (nr_seq == 1 || s->layout.config->kind == MX_SYNERGY) {
		for (next = 0; next < nr_seq; next++) {
			take_off(s, &s->flight[0], next, &seq[next]);
			mx_schedule_alone(s, &s->flight[0]);
		}
		return;
	}
	do {
		for (f = s->flight; f < s->flight + MX_FLIGHTS; f++)
			if (f->active && f->low == f->nr_stages)
				mx_schedule_land(s, f);
		take_off_all(s, seq, nr_seq, &next);
	} while (mx_schedule_step(s));
}
