// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <oneapi/dnnl/dnnl.h>

#include "peer.h"

#if DNNL_VERSION_MAJOR != 2
#error "the benchmark speaks the interface of oneDNN 2 (Debian 12), this is another version"
#endif

const char * const peer_names[PEER_KINDS] = {
	[PEER_MATMUL_U8] = "matmul u8", [PEER_INNER_U8] = "inner product u8",
	[PEER_MATMUL_S8] = "matmul s8",
};

struct peer {
	dnnl_engine_t engine;
	dnnl_stream_t stream;
	dnnl_primitive_t primitive;
	dnnl_memory_t act, weights, bias, out;
};

static dnnl_status_t memory(struct peer *peer, const dnnl_memory_desc_t *desc, const void *from,
			    dnnl_memory_t *out)
{
	dnnl_status_t status = dnnl_memory_create(out, desc, peer->engine, DNNL_MEMORY_ALLOCATE);
	void *data = NULL;

	if (!status && from) {
		status = dnnl_memory_get_data_handle(*out, &data);
		if (!status)
			memcpy(data, from, dnnl_memory_desc_get_size(desc));
	}
	return status;
}

/* Copies weights into the layout that the primitive asks for. */
static dnnl_status_t reorder(struct peer *peer, const dnnl_memory_desc_t *from,
			     const int8_t *weights, const dnnl_memory_desc_t *to)
{
	dnnl_primitive_desc_t desc = NULL;
	dnnl_primitive_t primitive = NULL;
	dnnl_memory_t plain = NULL;
	dnnl_exec_arg_t args[2];
	dnnl_status_t status;

	status = memory(peer, from, weights, &plain);
	if (!status)
		status = memory(peer, to, NULL, &peer->weights);
	if (!status)
		status = dnnl_reorder_primitive_desc_create(&desc, from, peer->engine, to,
							    peer->engine, NULL);
	if (!status)
		status = dnnl_primitive_create(&primitive, desc);
	args[0] = (dnnl_exec_arg_t) { DNNL_ARG_FROM, plain };
	args[1] = (dnnl_exec_arg_t) { DNNL_ARG_TO, peer->weights };
	if (!status)
		status = dnnl_primitive_execute(primitive, peer->stream, 2, args);
	if (!status)
		status = dnnl_stream_wait(peer->stream);
	dnnl_primitive_destroy(primitive);
	dnnl_primitive_desc_destroy(desc);
	dnnl_memory_destroy(plain);
	return status;
}

static dnnl_status_t describe(struct peer *peer, enum peer_kind kind, int64_t rows, int64_t n,
			      int64_t k, const void *act, const int8_t *weights,
			      const float *factor, const float *bias)
{
	dnnl_data_type_t type = kind == PEER_MATMUL_S8 ? dnnl_s8 : dnnl_u8;
	bool inner = kind == PEER_INNER_U8;
	dnnl_dims_t act_dims = { rows, k }, out_dims = { rows, n };
	dnnl_dims_t weight_dims = { inner ? n : k, inner ? k : n };
	dnnl_dims_t bias_dims = { inner ? n : 1, n };
	dnnl_memory_desc_t act_desc, plain, any, bias_desc, out_desc;
	dnnl_primitive_desc_t desc = NULL;
	dnnl_inner_product_desc_t inner_desc;
	dnnl_primitive_attr_t attr = NULL;
	dnnl_matmul_desc_t matmul_desc;
	dnnl_status_t status;

	dnnl_memory_desc_init_by_tag(&act_desc, 2, act_dims, type, dnnl_ab);
	dnnl_memory_desc_init_by_tag(&out_desc, 2, out_dims, dnnl_f32, dnnl_ab);
	dnnl_memory_desc_init_by_tag(&plain, 2, weight_dims, dnnl_s8, inner ? dnnl_ba : dnnl_ab);
	dnnl_memory_desc_init_by_tag(&any, 2, weight_dims, dnnl_s8, dnnl_format_tag_any);
	dnnl_memory_desc_init_by_tag(&bias_desc, inner ? 1 : 2, bias_dims, dnnl_f32,
				     inner ? dnnl_a : dnnl_ab);
	status = dnnl_primitive_attr_create(&attr);
	if (!status)
		status = dnnl_primitive_attr_set_output_scales(attr, n, 1 << 1, factor);
	if (!status && inner)
		status = dnnl_inner_product_forward_desc_init(&inner_desc, dnnl_forward_inference,
							      &act_desc, &any, &bias_desc,
							      &out_desc);
	else if (!status)
		status = dnnl_matmul_desc_init(&matmul_desc, &act_desc, &any, &bias_desc,
					       &out_desc);
	if (!status)
		status = dnnl_primitive_desc_create(&desc, inner ? (void *)&inner_desc :
						    (void *)&matmul_desc, attr, peer->engine,
						    NULL);
	if (!status)
		status = reorder(peer, &plain, weights,
				 dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0));
	if (!status)
		status = memory(peer, &act_desc, act, &peer->act);
	if (!status)
		status = memory(peer, &bias_desc, bias, &peer->bias);
	if (!status)
		status = memory(peer, &out_desc, NULL, &peer->out);
	if (!status)
		status = dnnl_primitive_create(&peer->primitive, desc);
	dnnl_primitive_desc_destroy(desc);
	dnnl_primitive_attr_destroy(attr);
	return status;
}

struct peer *peer_new(enum peer_kind kind, int64_t rows, int64_t n, int64_t k, const void *act,
		      const int8_t *weights, const float *factor, const float *bias)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	dnnl_status_t status = dnnl_out_of_memory;

	if (peer)
		status = dnnl_engine_create(&peer->engine, dnnl_cpu, 0);
	if (!status)
		status = dnnl_stream_create(&peer->stream, peer->engine,
					    dnnl_stream_default_flags);
	if (!status)
		status = describe(peer, kind, rows, n, k, act, weights, factor, bias);
	if (!status)
		return peer;
	fprintf(stderr, "oneDNN refuses %s of %ld rows, N %ld, K %ld: status %d\n",
		peer_names[kind], (long)rows, (long)n, (long)k, status);
	peer_free(peer);
	return NULL;
}

const float *peer_run(struct peer *peer)
{
	dnnl_exec_arg_t args[] = {
		{ DNNL_ARG_SRC, peer->act }, { DNNL_ARG_WEIGHTS, peer->weights },
		{ DNNL_ARG_BIAS, peer->bias }, { DNNL_ARG_DST, peer->out },
	};
	void *out = NULL;

	if (dnnl_primitive_execute(peer->primitive, peer->stream, 4, args) ||
	    dnnl_stream_wait(peer->stream) || dnnl_memory_get_data_handle(peer->out, &out)) {
		fprintf(stderr, "oneDNN cannot execute\n");
		exit(1);
	}
	return out;
}

void peer_free(struct peer *peer)
{
	if (!peer)
		return;
	dnnl_primitive_destroy(peer->primitive);
	dnnl_memory_destroy(peer->act);
	dnnl_memory_destroy(peer->weights);
	dnnl_memory_destroy(peer->bias);
	dnnl_memory_destroy(peer->out);
	dnnl_stream_destroy(peer->stream);
	dnnl_engine_destroy(peer->engine);
	free(peer);
}
