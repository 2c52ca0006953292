# SPDX-License-Identifier: LGPL-2.1-or-later
# The runtime: libmxrt.so.0, libmxrt.a (with the chip model inside), mxrt.pc, its tests.

MXRT_VERSION := $(shell sed -n 's/^.define MXRT_VERSION_[MP][AIN][A-Z]*[ \t]*//p' \
	libmxrt/mxrt.h | paste -sd.)
MXRT_SONAME  := libmxrt.so.$(firstword $(subst ., ,$(MXRT_VERSION)))
# Where "sim:NAME" looks for NAME.ini: an installation sets its own.
MXRT_CHIP_DIR ?= $(CURDIR)/qemu-device/chips
MXRT_PREFIX   ?= $(CURDIR)

MXRT_CPPFLAGS := -D_GNU_SOURCE -Ilibmxrt -Iqemu-device/chip -DMXRT_CHIP_DIR='"$(MXRT_CHIP_DIR)"'
# What a program links with besides libmxrt.a
MXRT_LIBS := -luring -lcrypto -linih -lutf8proc -lpthread -lm

# Prefixed, so that no member of the archive has the name of one of the chip's.
MXRT_OBJS := $(patsubst libmxrt/%.c,$(B)/obj/libmxrt/mxrt-%.o,$(wildcard libmxrt/*.c))

LIBS += $(B)/lib/libmxrt.a $(B)/lib/libmxrt.so $(B)/lib/pkgconfig/mxrt.pc

$(B)/obj/libmxrt/mxrt-%.o: libmxrt/%.c libmxrt/build.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(MXRT_CPPFLAGS) -fPIC -MMD -MP -c -o $@ $<

$(B)/lib/libmxrt.a: $(MXRT_OBJS) $(B)/lib/libmxchip.a
	@mkdir -p $(@D)
	rm -f $@
	printf '%s\n' 'create $@' 'addlib $(B)/lib/libmxchip.a' $(MXRT_OBJS:%='addmod %') \
		save end | $(AR) -M

$(B)/lib/libmxrt.so.$(MXRT_VERSION): $(MXRT_OBJS) $(B)/lib/libmxchip.a libmxrt/mxrt.map
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(MXRT_SONAME) -Wl,-z,defs \
		-Wl,--version-script=libmxrt/mxrt.map -o $@ $(MXRT_OBJS) $(B)/lib/libmxchip.a \
		$(MXRT_LIBS)

$(B)/lib/libmxrt.so: $(B)/lib/libmxrt.so.$(MXRT_VERSION)
	ln -sf $(<F) $(@D)/$(MXRT_SONAME)
	ln -sf $(MXRT_SONAME) $@

$(B)/lib/pkgconfig/mxrt.pc: libmxrt/mxrt.pc.in libmxrt/mxrt.h
	@mkdir -p $(@D)
	sed -e 's|@PREFIX@|$(MXRT_PREFIX)|' -e 's|@VERSION@|$(MXRT_VERSION)|' \
		-e 's|@INCLUDEDIR@|$(CURDIR)/libmxrt|' -e 's|@LIBDIR@|$(CURDIR)/$(B)/lib|' $< >$@

# ---- tests

MXRT_TEST_DEPS := tests/unit/mini_image.c tests/unit/mini_image.h libmxrt/build.mk
UNIT_TESTS += $(B)/tests/test_image $(B)/tests/test_open $(B)/tests/test_runtime \
	$(B)/tests/test_abi

# The image reader faces files from anywhere: its test runs it under the sanitizers.
MXRT_READER := $(addprefix libmxrt/,image.c describe.c error.c sized.c) \
	$(wildcard libmxrt/tokenizer*.c) qemu-device/chip/digest.c
$(B)/tests/test_image: tests/unit/test_image.c $(MXRT_READER) $(MXRT_TEST_DEPS) \
		$(wildcard libmxrt/*.h) $(wildcard uapi/*.h)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -O1 $(MXRT_CPPFLAGS) -Itests/unit -fsanitize=address,undefined \
		-fno-sanitize-recover=all -o $@ tests/unit/test_image.c tests/unit/mini_image.c \
		$(MXRT_READER) -lcmocka -lcrypto -lutf8proc -lpthread

# With the shared library, so that only public symbols can be used.
$(B)/tests/test_open $(B)/tests/test_runtime: $(B)/tests/%: tests/unit/%.c $(MXRT_TEST_DEPS) \
		tests/unit/runtime_help.h $(B)/lib/libmxrt.so libmxrt/mxrt.h $(wildcard uapi/*.h)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(MXRT_CPPFLAGS) -Itests/unit $(LDFLAGS) -o $@ $< tests/unit/mini_image.c \
		qemu-device/chip/digest.c -L$(B)/lib -lmxrt -Wl,-rpath,'$$ORIGIN/../lib' -lcmocka \
		-lcrypto -lm -lpthread

$(B)/tests/test_abi: tests/unit/test_abi.sh $(B)/lib/libmxrt.so $(B)/lib/libmxrt.a \
		$(B)/lib/pkgconfig/mxrt.pc
	@mkdir -p $(@D)
	install -m 755 $< $@

-include $(MXRT_OBJS:.o=.d)
