# SPDX-License-Identifier: LGPL-2.1-or-later
# Each program has a makefile of its own here.

include $(sort $(filter-out tools/build.mk,$(wildcard tools/*.mk)))
