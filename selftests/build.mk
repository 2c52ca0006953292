# SPDX-License-Identifier: GPL-2.0-only
# The kselftest programs, which run in the VM. Their harness is the kernel's own.

SELFTEST_PROGS   := ioctls buffers models jobs uring isolation lifetime sysfs observe fail_nth
# Suspending takes the host's files away from the test machine: tests/e2e/test_in_memory.py runs it
# where there are none.
SELFTEST_ALONE   := suspend
SELFTEST_HARNESS := $(B)/kselftest/kselftest_harness.h
SELFTEST_OBJS    := $(B)/obj/selftests/mxtest.o $(B)/obj/selftests/testmodel.o
SELFTEST_BINS    := $(SELFTEST_PROGS:%=$(B)/selftests/%)
SELFTEST_EXTRA   := $(SELFTEST_ALONE:%=$(B)/selftests/%)
# The last one looks at what all of them have left.
SELFTESTS        += $(SELFTEST_BINS) $(B)/selftests/kunit $(B)/selftests/leaks

$(SELFTEST_HARNESS): selftests/fetch-harness
	@selftests/fetch-harness $(@D)

$(B)/obj/selftests/%.o: selftests/%.c selftests/build.mk $(SELFTEST_HARNESS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -D_GNU_SOURCE -Wno-sign-compare -isystem $(B)/kselftest -MMD -MP -c -o $@ $<

BINS             += $(SELFTEST_EXTRA)

$(SELFTEST_BINS) $(SELFTEST_EXTRA): $(B)/selftests/%: $(B)/obj/selftests/%.o $(SELFTEST_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -luring -lcrypto -lm

$(B)/selftests/%: selftests/%.sh
	@mkdir -p $(@D)
	install -m 755 $< $@

-include $(wildcard $(B)/obj/selftests/*.d)
