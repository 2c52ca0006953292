#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a program that uses libmxrt meets: the header in C99 and C++17, the symbols of the
# shared library, and both libraries through pkg-config.

set -u
cd "$(dirname "$0")/../.."
lib=build/lib
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
nr=0

# result STATUS NAME
result()
{
	nr=$((nr + 1))
	if [ "$1" = 0 ]; then echo "ok $nr - $2"; else echo "not ok $nr - $2"; fi
}

skip()
{
	nr=$((nr + 1))
	echo "ok $nr - $1 # SKIP $2"
}

# Every declared call by its name: "int mxrt_open(" and the like
declared()
{
	sed -n 's/^[a-z].*[ *]\(mxrt_[a-z_]*\)(.*/\1/p' libmxrt/mxrt.h | sort
}

cat >"$temp/use.c" <<'END'
#include <stdio.h>
#include <mxrt.h>
int main(void)
{
	struct mxrt_device *dev = NULL;
	int err = mxrt_open("sim:nothing", NULL, &dev);
	printf("%d %s\n", err, mxrt_last_error());
	return err && !dev && mxrt_version() == MXRT_VERSION ? 0 : 1;
}
END

echo 1..6
"${CC:-cc}" -std=c99 -pedantic -Wall -Wextra -Werror -Ilibmxrt -fsyntax-only "$temp/use.c"
result $? 'header is C99'
if command -v "${CXX:-c++}" >/dev/null; then
	"${CXX:-c++}" -x c++ -std=c++17 -pedantic -Wall -Wextra -Werror -Ilibmxrt -fsyntax-only \
		"$temp/use.c"
	result $? 'header is C++17'
else
	skip 'header is C++17' 'no C++ compiler'
fi

diff <(declared) <(nm -D --defined-only "$lib/libmxrt.so" |
	sed -n 's/.* T \(.*\)@@MXRT_[0-9.]*$/\1/p' | sort)
result $? 'shared library exports what the header declares, versioned, and nothing else'

readelf -d "$lib/libmxrt.so" | grep -q 'SONAME.*\[libmxrt\.so\.0\]'
result $? 'soname'

if ! command -v pkg-config >/dev/null; then
	skip 'shared, by pkg-config' 'no pkg-config'
	skip 'static, by pkg-config' 'no pkg-config'
	exit
fi
export PKG_CONFIG_PATH=$lib/pkgconfig
# shellcheck disable=SC2046 # lists of options
"${CC:-cc}" "$temp/use.c" -o "$temp/shared" $(pkg-config --cflags --libs mxrt) &&
	LD_LIBRARY_PATH=$lib "$temp/shared" >&2
result $? 'shared, by pkg-config'
# shellcheck disable=SC2046
"${CC:-cc}" "$temp/use.c" -o "$temp/static" $(pkg-config --cflags mxrt) "$lib/libmxrt.a" \
	$(pkg-config --static --libs-only-l mxrt | sed 's/-lmxrt//') && "$temp/static" >&2
result $? 'static, by pkg-config'
