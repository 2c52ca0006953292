// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Schedules of jobs, and names for what is in them.
 */
#include <stddef.h>

#include "internal.h"

/* One is the other, so that nothing need be copied. */
#define SAME(member) \
	_Static_assert(offsetof(struct mxrt_span, member) == \
		       offsetof(struct mxaccel_span, member), #member)
SAME(start);
SAME(ticks);
SAME(seq);
SAME(token);
SAME(op);
SAME(resource);
SAME(unit);
_Static_assert(sizeof(struct mxrt_span) == sizeof(struct mxaccel_span), "size of spans");
_Static_assert(MXRT_TICKS == MXACCEL_TICKS, "parts of a cycle");
_Static_assert(MXRT_SPAN_ALL == MXACCEL_SPAN_ALL, "all tokens");

const char *mxrt_resource_name(unsigned int resource)
{
	static const char * const names[] = {
#define MXACCEL_X(name, track, text) #track,
		MXACCEL_RESOURCES(MXACCEL_X)
#undef MXACCEL_X
	};

	return resource < ARRAY_SIZE(names) ? names[resource] : NULL;
}

int mxrt_schedule(struct mxrt_model *model, const struct mxrt_infer_params *params,
		  struct mxrt_span *spans, size_t *count)
{
	struct mxrt_infer_params p;
	struct mxrt_run run = { 0 };
	uint64_t most;
	size_t out_bytes, room;
	int err;

	if (!model || !count || (*count && !spans))
		return mxrt_fail(-EINVAL, "%s: no model, count or spans", __func__);
	err = mxrt_params_get(&p, sizeof(p), params, "mxrt_infer_params");
	if (!err)
		err = mxrt_run_prepare(model, &p, mxrt_now_ns(), &run, &out_bytes);
	if (err)
		return err;
	most = model->dev->max_io_bytes;
	if (run.nr_seq > most / run.in_seq)
		return mxrt_fail(-EFBIG,
				 "%zu sequences of %u tokens are more than the one job of a schedule takes (%llu bytes of ids)",
				 run.nr_seq, run.tokens, (unsigned long long)most);
	room = *count < most / sizeof(*spans) ? *count : most / sizeof(*spans);
	err = mxrt_run_lock(&run);
	if (err)
		return err;
	err = model->dev->backend->schedule(model->dev, &run, (struct mxaccel_span *)spans, &room);
	pthread_mutex_unlock(&model->dev->infer_lock);
	if (err)
		return run.status ? mxrt_run_explain(&run, err) : err;
	*count = room;
	return 0;
}
