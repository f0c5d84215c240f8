"""Build the kernels for this machine: ``python -m engine.native.build``. Without a compiler thord works as well."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from engine.native import library


def build() -> str:
    """Build it unless it is there, and remove older ones. What happened, in words."""
    target = library.path()
    if target.is_file():
        return f"{target.name} is there already"
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        return "no C++ compiler (c++, g++ or clang++): answers on a CPU come from torch, at about half the speed"
    with tempfile.TemporaryDirectory(dir=target.parent) as draft:
        file = Path(draft) / target.name
        command = [compiler, *library.OPTIONS, *map(str, library.SOURCES), "-o", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{compiler} could not build the kernels, torch computes instead:\n{done.stderr[-2000:]}"
        file.rename(target)
    for other in target.parent.glob("*.so"):
        if other != target:
            other.unlink()
    return f"built {target.name}"


if __name__ == "__main__":
    print(build(), file=sys.stderr)
