// SPDX-License-Identifier: LGPL-2.1-or-later
/* Chunked digests and CRC-32C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "digest_lanes.h"
#include "mxaccel_image.h"

static void crc_has_the_published_check_value(void **state)
{
	(void)state;
	assert_int_equal(mx_crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(mx_crc32c("", 0), 0);
}

/* Backwards, to show that order does not matter. */
static void run_backwards(void *runner, uint64_t n, void (*fn)(void *arg, uint64_t i), void *arg)
{
	unsigned int *calls = runner;

	while (n--) {
		fn(arg, n);
		++*calls;
	}
}

/* The definition in mxaccel_image.h, written out with the other SHA-256 interface. */
static void expect(const uint8_t *data, uint64_t bytes, uint8_t digest[32])
{
	uint8_t *all = malloc(bytes / MXACCEL_CHUNK * 32 + 32);
	uint64_t at, n = 0;

	assert_non_null(all);
	for (at = 0; at < bytes; at += MXACCEL_CHUNK, n++)
		SHA256(data + at, bytes - at < MXACCEL_CHUNK ? bytes - at : MXACCEL_CHUNK,
		       all + n * 32);
	SHA256(all, n * 32, digest);
	free(all);
}

static void sections_hash_by_chunks(void **state)
{
	static const uint64_t sizes[] = {
		0, 1, 65535, 65536, 65537, 131072, 1000000, 40 * 65536 + 3,
	};
	uint8_t *data = malloc(sizes[7]);
	uint8_t want[32], serial[32], parallel[32];
	unsigned int calls = 0;
	size_t i;

	(void)state;
	assert_non_null(data);
	for (i = 0; i < sizes[7]; i++)
		data[i] = i * 2654435761u >> 13;
	for (i = 0; i < 8; i++) {
		expect(data, sizes[i], want);
		assert_int_equal(mx_digest_section(data, sizes[i], NULL, NULL, serial), 0);
		assert_int_equal(mx_digest_section(data, sizes[i], run_backwards, &calls,
						   parallel), 0);
		assert_memory_equal(serial, want, 32);
		assert_memory_equal(parallel, want, 32);
	}
	assert_true(calls);
	free(data);
}

/* Batches of whole chunks, the rest of one, a short chunk. */
static void lanes_give_the_same_digests(void **state)
{
	static const uint64_t chunks[] = { 0, 1, 15, 16, 17, 32, 40 };
	uint8_t *data = malloc(41 * MXACCEL_CHUNK);
	uint8_t want[41][32], got[41][32];
	unsigned int calls = 0;
	uint64_t bytes;
	size_t i;

	(void)state;
	assert_non_null(data);
	for (i = 0; i < 41 * MXACCEL_CHUNK; i++)
		data[i] = i * 2654435761u >> 13;
	for (i = 0; i < 14; i++) {
		bytes = chunks[i / 2] * MXACCEL_CHUNK + i % 2 * 777;
		assert_int_equal(mx_digest_chunks(data, bytes, NULL, NULL, want[0]), 0);
		memset(got, 0, sizeof(got));
		assert_int_equal(mx_digest_chunks_lanes(data, bytes, run_backwards, &calls,
							got[0]), 0);
		assert_memory_equal(got, want, mx_digest_nr_chunks(bytes) * 32);
	}
	free(data);
}

static void content_joins_both_digests(void **state)
{
	uint8_t both[64], want[32], content[32];
	size_t i;

	(void)state;
	for (i = 0; i < 64; i++)
		both[i] = i;
	SHA256(both, 64, want);
	assert_int_equal(mx_digest_content(both, both + 32, content), 0);
	assert_memory_equal(content, want, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_has_the_published_check_value),
		cmocka_unit_test(sections_hash_by_chunks),
		cmocka_unit_test(lanes_give_the_same_digests),
		cmocka_unit_test(content_joins_both_digests),
	};

	return cmocka_run_group_tests_name("chip_digest", tests, NULL, NULL);
}
