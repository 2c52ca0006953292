# SPDX-License-Identifier: LGPL-2.1-or-later
# mxmvm: one product of integers through the crossbars of a chip file.

BINS += $(B)/bin/mxmvm

MXMVM_SRCS := tools/mxmvm.c tools/npy.c tools/chip_file.c

$(B)/bin/mxmvm: $(MXMVM_SRCS) tools/npy.h tools/chip_file.h $(CHIP_DIR)/analog.h \
		$(B)/lib/libmxchip.a tools/mxmvm.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -DMXRT_CHIP_DIR='"$(CURDIR)/qemu-device/chips"' -Itools \
		-I$(CHIP_DIR) $(LDFLAGS) -o $@ $(MXMVM_SRCS) $(B)/lib/libmxchip.a $(CHIP_LIBS)
