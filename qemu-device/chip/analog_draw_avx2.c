// SPDX-License-Identifier: LGPL-2.1-or-later
#define KERNEL mx_cells_avx2
#include "analog_draw_impl.h"
