// SPDX-License-Identifier: LGPL-2.1-or-later
#define MX_SFU_TABLE mx_kernels_avx2
#define MX_SFU_ISA MX_ISA_AVX2
#define MX_SFU_GEMM mx_gemm_avx2
#define MX_SFU_ACT int16_t
#include "sfu_impl.h"
