#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# After all other programs: does the module unload, and has it lost memory? kmemleak's
# reports of the whole time since boot count. Loads the module again at the end.

kmemleak=/sys/kernel/debug/kmemleak
module=${MX_MODULES:+$MX_MODULES/mxaccel.ko}

scan()
{
	# Younger objects than this are not reported.
	sleep 6
	echo scan >$kmemleak
	echo scan >$kmemleak
	sed 's/^/# /' $kmemleak
	[ -z "$(head -c 1 $kmemleak)" ]
}

number=0
result()
{
	number=$((number + 1))
	if [ "$1" = 0 ]; then echo "ok $number $2"; else echo "not ok $number $2"; bad=1; fi
}

bad=
echo "KTAP version 1"
if ! [ -e $kmemleak ]; then
	echo "1..0 # SKIP this kernel has no kmemleak"
	exit 4
fi
echo "1..3"
scan
result $? "nothing is lost while the module is loaded"
rmmod mxaccel
result $? "the module can be unloaded"
scan
result $? "nothing is lost after it was unloaded"
if [ -n "$module" ]; then insmod "$module"; else modprobe mxaccel; fi
[ -z "$bad" ]
