# SPDX-License-Identifier: LGPL-2.1-or-later
# mxrun: runs a model image on text or token ids.

BINS += $(B)/bin/mxrun

MXRUN_SRCS := $(addprefix tools/mxrun,.c _counters.c _models.c _options.c _output.c _print.c _profile.c \
	_trace.c) tools/npy.c

# The runtime's test once more, on a device. It is here because selftests/build.mk, which is
# read before this and after libmxrt/build.mk, has a rule for all the SELFTESTS it finds.
SELFTESTS += $(B)/tests/test_runtime_device

$(B)/tests/test_runtime_device: tests/unit/test_runtime_device.sh $(B)/tests/test_runtime
	@mkdir -p $(@D)
	install -m 755 $< $@

$(B)/bin/mxrun: $(MXRUN_SRCS) tools/mxrun.h tools/npy.h libmxrt/mxrt.h $(B)/lib/libmxrt.a \
		tools/mxrun.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -Ilibmxrt -Itools $(LDFLAGS) -o $@ $(MXRUN_SRCS) \
		$(B)/lib/libmxrt.a $(MXRT_LIBS) -ljansson
