# SPDX-License-Identifier: LGPL-2.1-or-later
#
# make bench: how fast the chip model computes, beside its peers. Not part of
# `make host`, as it needs oneDNN.

BENCH_BINS := $(B)/bench/compute $(B)/bench/bert
BENCH_OBJS := $(patsubst %,$(B)/obj/bench/%.o,compute bert peer turns roofline_avx512)

$(B)/obj/bench/%_avx512.o: CHIP_ISA := $(CHIP_AVX512)
$(B)/obj/bench/%.o: tests/bench/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -O3 $(CHIP_ISA) -I$(CHIP_DIR) -MMD -MP -c $< -o $@

$(BENCH_BINS): $(B)/bench/%: $(BENCH_OBJS) $(B)/lib/libmxchip.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %/$*.o %/peer.o %/turns.o %/roofline_avx512.o,$^) \
		$(B)/lib/libmxchip.a -ldnnl -lgomp $(CHIP_LIBS)

# Runs in the VM.
$(B)/bench/queues: tests/bench/queues.c tests/bench/build.mk $(wildcard uapi/*.h)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -D_GNU_SOURCE $(LDFLAGS) -static -o $@ $< -luring

# Not below the packages of `make setup`: oneDNN is for this alone.
.PHONY: bench
bench:
	@scripts/setup bench
	+@$(SUBMAKE) $(BENCH_BINS) $(B)/bench/queues $(B)/bin/mxrun $(B)/bin/mxmvm
	@[ -e $(B)/bert-large.mxw ] || $(SUBMAKE) bert-large
	@bash -c '. scripts/lib.sh; "$$CACHE/venv/bin/python3" scripts/bench'

-include $(BENCH_OBJS:.o=.d)
