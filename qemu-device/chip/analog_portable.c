// SPDX-License-Identifier: LGPL-2.1-or-later
#define KERNEL mx_analog_portable
#include "analog_impl.h"
