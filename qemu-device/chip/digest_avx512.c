// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * SHA-256 (FIPS 180-4) of sixteen messages of equal length at once, one in each lane: the
 * rounds of one message wait for each other, those of sixteen fill the vectors.
 */
#include <immintrin.h>
#include <string.h>

#include "digest_lanes.h"

#define LANES	MX_DIGEST_LANES
#define BLOCK	64	/* bytes */

/* Fractions of the cube roots of the first 64 primes, of the square roots of the first 8. */
static const uint32_t round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const uint32_t start[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static inline __m512i xor3(__m512i a, __m512i b, __m512i c)
{
	return _mm512_ternarylogic_epi32(a, b, c, 0x96);
}

static inline __m512i add3(__m512i a, __m512i b, __m512i c)
{
	return _mm512_add_epi32(_mm512_add_epi32(a, b), c);
}

#define BIG_SIGMA(x, i, j, k) \
	xor3(_mm512_ror_epi32(x, i), _mm512_ror_epi32(x, j), _mm512_ror_epi32(x, k))
#define SMALL_SIGMA(x, i, j, k) \
	xor3(_mm512_ror_epi32(x, i), _mm512_ror_epi32(x, j), _mm512_srli_epi32(x, k))

/* Word i of lane j becomes word j of lane i. */
static inline void transpose(__m512i w[16])
{
	__m512i t[16];
	int i, j;

	for (i = 0; i < 16; i += 4) {
		__m512i low01 = _mm512_unpacklo_epi32(w[i], w[i + 1]);
		__m512i high01 = _mm512_unpackhi_epi32(w[i], w[i + 1]);
		__m512i low23 = _mm512_unpacklo_epi32(w[i + 2], w[i + 3]);
		__m512i high23 = _mm512_unpackhi_epi32(w[i + 2], w[i + 3]);

		t[i] = _mm512_unpacklo_epi64(low01, low23);
		t[i + 1] = _mm512_unpackhi_epi64(low01, low23);
		t[i + 2] = _mm512_unpacklo_epi64(high01, high23);
		t[i + 3] = _mm512_unpackhi_epi64(high01, high23);
	}
	for (j = 0; j < 4; j++) {
		__m512i even01 = _mm512_shuffle_i32x4(t[j], t[4 + j], 0x88);
		__m512i odd01 = _mm512_shuffle_i32x4(t[j], t[4 + j], 0xdd);
		__m512i even23 = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0x88);
		__m512i odd23 = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0xdd);

		w[j] = _mm512_shuffle_i32x4(even01, even23, 0x88);
		w[4 + j] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
		w[8 + j] = _mm512_shuffle_i32x4(even01, even23, 0xdd);
		w[12 + j] = _mm512_shuffle_i32x4(odd01, odd23, 0xdd);
	}
}

/* One block of each message, its words in @w, which are used up. */
static inline void block(__m512i state[8], __m512i w[16])
{
	__m512i s[8], sum;
	int t;

	memcpy(s, state, sizeof(s));
#pragma GCC unroll 64
	for (t = 0; t < 64; t++) {
		__m512i *a = &s[-t & 7], *b = &s[(1 - t) & 7], *c = &s[(2 - t) & 7];
		__m512i *d = &s[(3 - t) & 7], *e = &s[(4 - t) & 7], *f = &s[(5 - t) & 7];
		__m512i *g = &s[(6 - t) & 7], *h = &s[(7 - t) & 7];

		if (t >= 16)
			w[t & 15] = _mm512_add_epi32(
				add3(w[t & 15], w[(t + 9) & 15],
				     SMALL_SIGMA(w[(t + 1) & 15], 7, 18, 3)),
				SMALL_SIGMA(w[(t + 14) & 15], 17, 19, 10));
		sum = add3(*h, w[t & 15], _mm512_set1_epi32(round_constants[t]));
		sum = add3(sum, BIG_SIGMA(*e, 6, 11, 25),
			   _mm512_ternarylogic_epi32(*e, *f, *g, 0xca));
		*d = _mm512_add_epi32(*d, sum);
		*h = add3(sum, BIG_SIGMA(*a, 2, 13, 22),
			  _mm512_ternarylogic_epi32(*a, *b, *c, 0xe8));
	}
	for (t = 0; t < 8; t++)
		state[t] = _mm512_add_epi32(state[t], s[t]);
}

static inline __m512i swap_bytes(__m512i words)
{
	const __m128i order = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);

	return _mm512_shuffle_epi8(words, _mm512_broadcast_i32x4(order));
}

/* What follows a message of whole blocks: a bit, and the length in bits. */
static void pad(__m512i w[16], uint64_t bits)
{
	int i;

	for (i = 0; i < 16; i++)
		w[i] = _mm512_setzero_si512();
	w[0] = _mm512_set1_epi32(1u << 31);
	w[14] = _mm512_set1_epi32(bits >> 32);
	w[15] = _mm512_set1_epi32(bits);
}

void mx_digest_lanes_avx512(const uint8_t *data, size_t bytes, uint8_t *digests)
{
	__m512i state[8], w[16];
	size_t at;
	int i;

	for (i = 0; i < 8; i++)
		state[i] = _mm512_set1_epi32(start[i]);
	for (at = 0; at < bytes; at += BLOCK) {
		for (i = 0; i < LANES; i++)
			w[i] = swap_bytes(_mm512_loadu_si512(data + i * bytes + at));
		transpose(w);
		block(state, w);
	}
	pad(w, bytes * 8ull);
	block(state, w);

	/* Eight words of sixteen lanes become sixteen lanes of eight words. */
	for (i = 0; i < 16; i++)
		w[i] = i < 8 ? state[i] : _mm512_setzero_si512();
	transpose(w);
	for (i = 0; i < LANES; i++)
		_mm256_storeu_si256((__m256i *)(digests + i * MX_DIGEST_BYTES),
				    _mm512_castsi512_si256(swap_bytes(w[i])));
}
