# SPDX-License-Identifier: LGPL-2.1-or-later
"""Public headers: each compiles alone, as C and C++, and their structs have no hidden padding."""
import os
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
UAPI = sorted(p.relative_to(TOP) for p in (TOP / "uapi").glob("*.h"))
RUNTIME = Path("libmxrt/mxrt.h")
CC, CXX = os.environ.get("CC", "cc"), os.environ.get("CXX", "c++")


def compile_text(text, *options):
    compiler = CXX if "c++" in options else CC
    return subprocess.run([compiler, "-x", *options, "-Wall", "-Wextra", "-Iuapi", "-I.",
                           "-fsyntax-only", "-"], input=text, cwd=TOP, capture_output=True,
                          text=True, timeout=60, check=False)


# The contracts use anonymous unions and static asserts, which C has since C11.
@pytest.mark.parametrize("header, language, standard", [
    (header, language, standard) for header in UAPI + [RUNTIME]
    for language, standard in (("c", "c99"), ("c", "c11"), ("c", "gnu11"),
                               ("c++", "c++11"), ("c++", "c++17"))
    if standard != "c99" or header == RUNTIME])
def test_compiles_alone(header, language, standard):
    done = compile_text(f'#include "{header}"\n', language, f"-std={standard}", "-pedantic",
                        "-Werror")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("header", UAPI + [RUNTIME])
def test_padding_is_explicit(header):
    done = compile_text(f'#include "{header}"\n', "c", "-std=gnu11", "-Wpadded", "-Werror")
    assert done.returncode == 0, done.stderr


def test_hidden_padding_is_noticed():
    done = compile_text("struct hole { char a; int b; };\n", "c", "-std=gnu11", "-Wpadded",
                        "-Werror")
    assert done.returncode and "padding struct" in done.stderr


def test_index_names_every_page():
    docs = TOP / "Documentation"
    named = re.findall(r"^   ([a-z-]+)$", (docs / "index.rst").read_text(encoding="utf-8"), re.M)
    assert sorted(named) == sorted(p.stem for p in docs.glob("*.rst") if p.stem != "index")
