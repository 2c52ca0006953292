#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# mxstudy, in the tests' Python environment, which has matplotlib and tokenizers.

TOP=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
CACHE=${MXACCEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mxaccel}
if [ ! -x "$CACHE/venv/bin/python3" ]; then
	echo "mxstudy: $CACHE/venv has no Python: scripts/setup tests makes it" >&2
	exit 1
fi
PYTHONPATH=$TOP/tools exec "$CACHE/venv/bin/python3" -B -m mxstudy "$@"
