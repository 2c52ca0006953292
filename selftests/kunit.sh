#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Loads mxaccel_kunit.ko and passes on the results of its tests, one line each. The module
# is looked for in $MX_MODULES, else where the distribution keeps modules.

results=/sys/kernel/debug/kunit

skip()
{
	echo "1..0 # SKIP $*"
	exit 4
}

echo "KTAP version 1"
[ -d $results ] || skip "this kernel has no KUnit"
if [ -n "$MX_MODULES" ]; then
	[ -e "$MX_MODULES/mxaccel_kunit.ko" ] || { echo "Bail out! no mxaccel_kunit.ko"; exit 1; }
	insmod "$MX_MODULES/mxaccel_kunit.ko"
else
	modprobe mxaccel_kunit
fi || { echo "Bail out! mxaccel_kunit.ko cannot be loaded"; exit 1; }

# Each suite has a file; its tests are indented by four spaces.
awk '
	/^ *# Subtest: mxaccel/ { suite = $NF }
	/^    # Subtest:/ { suite = $NF }
	/^    (not )?ok / {
		good = $1 == "ok"
		name = $0
		sub(/^ *(not )?ok [0-9]+ (- )?/, "", name)
		printf "%s %d %s.%s\n", good ? "ok" : "not ok", ++number, suite, name
		failed += !good
		next
	}
	/EXPECTATION FAILED|ASSERTION FAILED|Expected|expected/ { print "# " $0 }
	END { print "1.." number; exit failed > 0 || number == 0 }
' $results/mxaccel_*/results
status=$?
rmmod mxaccel_kunit || status=1
exit $status
