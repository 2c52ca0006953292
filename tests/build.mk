# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Unit tests of the chip model: tests/unit/test_NAME.c is linked with the whole of
# libmxchip.a. Parts whose tests need other libraries have rules of their own.

CHIP_TESTS := age analog cells config cost digest directory exec jobs kernels model place place_fit place_table pool power sfu sharing steps
UNIT_TESTS += $(CHIP_TESTS:%=$(B)/tests/test_%)

# The arithmetic of the tests is compiled like the chip's, or else it could differ.
CHIP_TEST_FLAGS := -ffp-contract=off -I$(CHIP_DIR) -Itests/unit

$(CHIP_TESTS:%=$(B)/tests/test_%): $(B)/tests/test_%: $(B)/obj/tests/test_%.o \
		$(B)/lib/libmxchip.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $(TEST_LDFLAGS) -o $@ $(filter %.o,$^) $(B)/lib/libmxchip.a -lcmocka \
		$(CHIP_LIBS)

$(B)/tests/test_exec: $(B)/obj/tests/exec_model.o $(B)/obj/tests/exec_reference.o
$(B)/tests/test_cost: $(B)/obj/tests/exec_model.o

# It makes allocations fail.
$(B)/tests/test_exec: TEST_LDFLAGS := -Wl,--wrap=malloc,--wrap=calloc,--wrap=aligned_alloc

# The AVX-512 product on SIMDe: the same source, so that every host tests it.
$(B)/tests/test_kernels: $(B)/obj/tests/gemm_avx512_simde.o
$(B)/obj/tests/gemm_avx512_simde.o: $(CHIP_DIR)/gemm_avx512.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CHIP_CFLAGS) -O2 -Wno-psabi -DMX_SIMDE -I$(CHIP_DIR) -MMD -MP -c $< -o $@

$(B)/obj/tests/%.o: tests/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CHIP_TEST_FLAGS) -MMD -MP -c $< -o $@

-include $(wildcard $(B)/obj/tests/*.d)

# The chip's estimate for BERT of any shape, for the tests of the cost model.
COST_SRCS := tests/e2e/cost.c tools/plan.c tools/program.c
BINS += $(B)/tests/cost

$(B)/tests/cost: $(COST_SRCS) tools/program.h tools/mxmap.h $(B)/lib/libmxchip.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -I$(CHIP_DIR) -Itools $(LDFLAGS) -o $@ $(COST_SRCS) $(B)/lib/libmxchip.a \
		-ljansson $(CHIP_LIBS)

# The chips against the closed forms, for BERT-Large.
.PHONY: agreement
agreement: $(B)/tests/cost
	@bash -c '. scripts/lib.sh; "$$CACHE/venv/bin/python3" -B tests/e2e/test_agreement.py'

