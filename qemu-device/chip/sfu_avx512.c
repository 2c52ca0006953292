// SPDX-License-Identifier: LGPL-2.1-or-later
#define MX_SFU_TABLE mx_kernels_avx512
#define MX_SFU_ISA MX_ISA_AVX512
#define MX_SFU_GEMM mx_gemm_avx512
#define MX_SFU_ACT int8_t
#include "sfu_impl.h"
