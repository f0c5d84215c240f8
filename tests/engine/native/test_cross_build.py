"""The kernels for 64-bit Arm, built here by a cross-compiler; nothing of them runs."""

import platform
import shutil
import struct
import subprocess

import pytest

from engine.native import library, variants

AARCH64 = 183
"""Its number in the header of an ELF file."""


def test_the_sources_build_for_arm(tmp_path) -> None:
    compiler = shutil.which("aarch64-linux-gnu-g++")
    if platform.machine() == "aarch64":
        pytest.skip("this is such a machine: the build of the kernels is the test")
    if compiler is None:
        pytest.skip("no cross-compiler: apt-get install g++-aarch64-linux-gnu")
    [neon] = variants.usable("neon", "aarch64", set())
    target = tmp_path / "kernels.so"
    command = [compiler, *library.OPTIONS, "-O0", *neon.options, *map(str, library.SOURCES), "-o", str(target)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert struct.unpack_from("<H", target.read_bytes(), 18) == (AARCH64,)
