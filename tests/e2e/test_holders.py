# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who is told that something is in use is told by whom."""

import re

import numpy as np

from conftest import vm

SCRIPT = """
cd {folder}
holders=/sys/class/mxaccel/mxaccel0/holders
mxrun {image} --ids ids.npy --out out.npy --repeat 1000000 >/dev/null &
user=$!
while ! grep -q 1 /sys/class/mxaccel/mxaccel0/models/0/grants 2>/dev/null; do sleep 0.1; done
if mxrun --delete 0 2>delete.txt; then exit 1; fi
cat $holders /sys/class/mxaccel/mxaccel0/models/0/holders >holders.txt
echo $user >user.txt
kill $user; wait $user || true
mxrun --delete 0
pids=
most=$(cat /sys/class/mxaccel/mxaccel0/chip/max_contexts)
for i in $(seq $most); do sleep 1000 </dev/mxaccel0 >/dev/null 2>&1 & pids="$pids $!"; done
while [ $(wc -l <$holders) != $most ]; do sleep 0.1; done
head -n 1 $holders >first.txt
if mxrun --resident 2>open.txt; then exit 2; fi
kill $pids
"""


def test_the_holder_is_named(small, tmp_path):
    np.save(tmp_path / "ids.npy", np.array([[5, 6, 7]], dtype=np.int32))
    vm(SCRIPT.format(folder=tmp_path, image=small.image), tmp_path, "--prop", "chip=tiny")
    user = (tmp_path / "user.txt").read_text().strip()
    said = (tmp_path / "delete.txt").read_text()
    assert re.search(rf"model 0 of /dev/mxaccel0 is in use by process {user} \(mxrun\)", said), said
    assert set((tmp_path / "holders.txt").read_text().splitlines()) == {f"{user} mxrun"}
    first, name = (tmp_path / "first.txt").read_text().split()
    said = (tmp_path / "open.txt").read_text()
    assert f"open as often as its chip allows, longest by process {first} ({name})" in said
