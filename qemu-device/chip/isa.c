// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which instruction sets the host has, and their kernels. */
#include <string.h>

#include "internal.h"
#include "kernels.h"

static const char * const names[] = {
	[MX_ISA_AUTO] = "auto",
	[MX_ISA_PORTABLE] = "portable",
	[MX_ISA_AVX2] = "avx2",
	[MX_ISA_AVX512] = "avx512",
};

int mx_isa_from_name(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return i;
	return -1;
}

const char *mx_isa_name(enum mx_isa isa)
{
	return names[isa];
}

bool mx_isa_available(enum mx_isa isa)
{
	switch (isa) {
	case MX_ISA_AUTO:
	case MX_ISA_PORTABLE:
		return true;
#ifdef __x86_64__
	/* These builtins also ask whether the operating system saves the registers. */
	case MX_ISA_AVX2:
		return __builtin_cpu_supports("avx2");
	case MX_ISA_AVX512:
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avx512f") &&
		       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
#endif
	default:
		return false;
	}
}

const struct mx_kernels *mx_kernels_get(enum mx_isa isa)
{
#ifdef __x86_64__
	if (isa == MX_ISA_AUTO)
		isa = mx_isa_available(MX_ISA_AVX512) ? MX_ISA_AVX512 :
		      mx_isa_available(MX_ISA_AVX2) ? MX_ISA_AVX2 : MX_ISA_PORTABLE;
	if (isa == MX_ISA_AVX512)
		return &mx_kernels_avx512;
	if (isa == MX_ISA_AVX2)
		return &mx_kernels_avx2;
#endif
	return &mx_kernels_portable;
}

enum mx_isa mx_chip_isa(const struct mx_chip *chip)
{
	return chip->kernels->isa;
}
