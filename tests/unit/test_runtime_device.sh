#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The runtime's test on the first device, which must have chip "tiny"; its models are deleted.

MXRT_TEST_DEVICE=/dev/mxaccel0 CMOCKA_MESSAGE_OUTPUT=TAP exec "$(dirname "$0")/test_runtime"
