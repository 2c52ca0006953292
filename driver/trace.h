/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: jobs, admin commands, states, failures. A job has the same id
 * here as in its completion.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM mxaccel

#if !defined(MXACCEL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define MXACCEL_TRACE_H

#include <linux/tracepoint.h>

#include "mxaccel_drv.h"

TRACE_EVENT(mx_job_submit,
	TP_PROTO(const struct mx_dev *mx, u64 job, u32 ctx, u16 qid, const struct mxaccel_sqe *sqe),
	TP_ARGS(mx, job, ctx, qid, sqe),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(u64, job)
		__field(u32, ctx)
		__field(u16, qid)
		__field(u32, model)
		__field(u16, entry)
		__field(u32, nr_seq)
		__field(u32, tokens)
	),
	TP_fast_assign(
		__entry->dev = mx->id;
		__entry->job = job;
		__entry->ctx = ctx;
		__entry->qid = qid;
		__entry->model = le32_to_cpu(sqe->job.model);
		__entry->entry = le16_to_cpu(sqe->job.entry);
		__entry->nr_seq = le32_to_cpu(sqe->job.nr_seq);
		__entry->tokens = le32_to_cpu(sqe->job.tokens);
	),
	TP_printk("mxaccel%d job=%llu ctx=%u queue=%u model=%u entry=%u nr_seq=%u tokens=%u",
		  __entry->dev, __entry->job, __entry->ctx, __entry->qid, __entry->model,
		  __entry->entry, __entry->nr_seq, __entry->tokens)
);

TRACE_EVENT(mx_job_complete,
	TP_PROTO(const struct mx_dev *mx, u64 job, u32 ctx, const struct mx_rq *rq, int error),
	TP_ARGS(mx, job, ctx, rq, error),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(u64, job)
		__field(u32, ctx)
		__field(u16, cid)
		__field(u16, status)
		__field(u16, field)
		__field(int, error)
		__field(u64, result)
	),
	TP_fast_assign(
		__entry->dev = mx->id;
		__entry->job = job;
		__entry->ctx = ctx;
		__entry->cid = rq->cid;
		__entry->status = rq->status;
		__entry->field = rq->field;
		__entry->error = error;
		__entry->result = rq->result;
	),
	TP_printk("mxaccel%d job=%llu ctx=%u cid=%#x status=%u field=%u error=%d result=%llu",
		  __entry->dev, __entry->job, __entry->ctx, __entry->cid, __entry->status,
		  __entry->field, __entry->error, __entry->result)
);

TRACE_EVENT(mx_admin,
	TP_PROTO(const struct mx_dev *mx, u8 opcode, u32 ctx, u16 status, int error, u64 ns),
	TP_ARGS(mx, opcode, ctx, status, error, ns),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(u8, opcode)
		__field(u32, ctx)
		__field(u16, status)
		__field(int, error)
		__field(u64, ns)
	),
	TP_fast_assign(
		__entry->dev = mx->id;
		__entry->opcode = opcode;
		__entry->ctx = ctx;
		__entry->status = status;
		__entry->error = error;
		__entry->ns = ns;
	),
	TP_printk("mxaccel%d opcode=%#x ctx=%u status=%u error=%d ns=%llu", __entry->dev,
		  __entry->opcode, __entry->ctx, __entry->status, __entry->error, __entry->ns)
);

TRACE_EVENT(mx_state,
	TP_PROTO(const struct mx_dev *mx, enum mx_state from, enum mx_state to),
	TP_ARGS(mx, from, to),
	TP_STRUCT__entry(
		__field(int, dev)
		__field(int, from)
		__field(int, to)
		__field(unsigned long, generation)
	),
	TP_fast_assign(
		__entry->dev = mx->id;
		__entry->from = from;
		__entry->to = to;
		__entry->generation = mx->generation;
	),
	TP_printk("mxaccel%d %s -> %s generation=%lu", __entry->dev,
		  mx_state_name(__entry->from), mx_state_name(__entry->to), __entry->generation)
);

TRACE_EVENT(mx_fault,
	TP_PROTO(const struct mx_dev *mx, const char *what),
	TP_ARGS(mx, what),
	TP_STRUCT__entry(
		__field(int, dev)
		__array(char, what, 128)
	),
	TP_fast_assign(
		__entry->dev = mx->id;
		strscpy(__entry->what, what, sizeof(__entry->what));
	),
	TP_printk("mxaccel%d %s", __entry->dev, __entry->what)
);

#endif /* MXACCEL_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
