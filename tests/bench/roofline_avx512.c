// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The peak of vpdpbusd: 24 independent sums, far more than the instruction's
 * latency times the units that do it, and nothing else in the loop. In
 * assembly, since what a compiler makes of it would have to be looked at.
 */
#include <immintrin.h>

#include "roofline.h"

#define DP(sum) "vpdpbusd %%zmm30, %%zmm31, %%zmm" #sum "\n\t"

void roofline_vnni(uint64_t turns)
{
	__asm__ volatile(
		"vpxord %%zmm30, %%zmm30, %%zmm30\n\t"
		"vpxord %%zmm31, %%zmm31, %%zmm31\n\t"
		".p2align 6\n"
		"1:\n\t"
		DP(0) DP(1) DP(2) DP(3) DP(4) DP(5) DP(6) DP(7)
		DP(8) DP(9) DP(10) DP(11) DP(12) DP(13) DP(14) DP(15)
		DP(16) DP(17) DP(18) DP(19) DP(20) DP(21) DP(22) DP(23)
		"dec %0\n\t"
		"jnz 1b\n"
		: "+r"(turns) : : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
		"xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
		"xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm30",
		"xmm31");
}

uint64_t roofline_read(const uint64_t *data, size_t words)
{
	__m512i sum[8];
	uint64_t part[8], all = 0;
	size_t i;
	int j;

	for (j = 0; j < 8; j++)
		sum[j] = _mm512_setzero_si512();
	for (i = 0; i + 64 <= words; i += 64)
		for (j = 0; j < 8; j++)
			sum[j] = _mm512_add_epi64(sum[j], _mm512_loadu_si512(data + i + j * 8));
	for (j = 1; j < 8; j++)
		sum[0] = _mm512_add_epi64(sum[0], sum[j]);
	_mm512_storeu_si512(part, sum[0]);
	for (j = 0; j < 8; j++)
		all += part[j];
	return all;
}
