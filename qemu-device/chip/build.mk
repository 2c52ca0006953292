# SPDX-License-Identifier: LGPL-2.1-or-later
#
# build/lib/libmxchip.a: the chip model. Each *_avx2.c and *_avx512.c is compiled
# for its instruction set, whatever the host, and is only called where the CPU has
# it; every other file for the plain target. CHIP_CFLAGS matter for the results:
# whoever compiles these files elsewhere (qemu-device/meson.build) takes the same.

CHIP_DIR     := qemu-device/chip
CHIP_CFLAGS  := -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math
CHIP_AVX2    := -mavx2
CHIP_AVX512  := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni

CHIP_SRCS    := $(wildcard $(CHIP_DIR)/*.c)
ifneq ($(findstring x86_64,$(shell $(CC) -dumpmachine)),x86_64)
CHIP_SRCS    := $(filter-out %_avx2.c %_avx512.c,$(CHIP_SRCS))
endif
CHIP_OBJS    := $(CHIP_SRCS:$(CHIP_DIR)/%.c=$(B)/obj/chip/%.o)
CHIP_LIBS    := -linih -lcrypto -lm -lpthread

$(B)/obj/chip/%_avx2.o: CHIP_ISA := $(CHIP_AVX2)
$(B)/obj/chip/%_avx512.o: CHIP_ISA := $(CHIP_AVX512)

$(B)/obj/chip/%.o: $(CHIP_DIR)/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CHIP_CFLAGS) $(CHIP_ISA) -I$(CHIP_DIR) -fPIC -MMD -MP -c $< -o $@

$(B)/lib/libmxchip.a: $(CHIP_OBJS)
	@mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

LIBS += $(B)/lib/libmxchip.a
-include $(CHIP_OBJS:.o=.d)
