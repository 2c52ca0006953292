// SPDX-License-Identifier: LGPL-2.1-or-later
/* Digests of many chunks: as many at once as the host's vectors have lanes. */
#include "chip.h"
#include "digest_lanes.h"
#include "mxaccel_image.h"

#define BATCH_BYTES ((uint64_t)MX_DIGEST_LANES * MXACCEL_CHUNK)

struct lanes_work {
	const uint8_t *data;
	uint8_t *digests;
};

#ifdef __x86_64__
static void hash_batch(void *arg, uint64_t batch)
{
	const struct lanes_work *work = arg;

	mx_digest_lanes_avx512(work->data + batch * BATCH_BYTES, MXACCEL_CHUNK,
			       work->digests + batch * MX_DIGEST_LANES * MX_DIGEST_BYTES);
}
#endif

int mx_digest_chunks_lanes(const void *data, uint64_t bytes, mx_parallel_for run, void *runner,
			   uint8_t *digests)
{
	struct lanes_work work = { .data = data, .digests = digests };
	uint64_t batches = 0, done;

#ifdef __x86_64__
	if (mx_isa_available(MX_ISA_AVX512))
		batches = bytes / BATCH_BYTES;
	if (batches)
		run(runner, batches, hash_batch, &work);
#endif
	done = batches * BATCH_BYTES;
	return mx_digest_chunks(work.data + done, bytes - done, run, runner,
				digests + batches * MX_DIGEST_LANES * MX_DIGEST_BYTES);
}
