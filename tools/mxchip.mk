# SPDX-License-Identifier: LGPL-2.1-or-later
# mxchip: what a chip file says. mxcost: the comparison of chips.

BINS += $(B)/bin/mxchip $(B)/bin/mxcost

MXCHIP_SRCS := $(addprefix tools/,mxchip.c mxchip_report.c mxchip_print.c chip_file.c)
MXCHIP_HDRS := $(addprefix tools/,mxchip.h chip_file.h) $(wildcard uapi/*.h) \
	$(wildcard $(CHIP_DIR)/*.h) $(wildcard libmxrt/*.h)

$(B)/bin/mxchip: $(MXCHIP_SRCS) $(MXCHIP_HDRS) $(B)/lib/libmxrt.a tools/mxchip.mk
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(MXRT_CPPFLAGS) -Itools $(LDFLAGS) -o $@ $(MXCHIP_SRCS) \
		$(B)/lib/libmxrt.a -ljansson $(MXRT_LIBS) -lm

$(B)/bin/mxcost: tools/mxcost.sh
	@mkdir -p $(@D)
	install -m 755 $< $@
