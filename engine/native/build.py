"""Build the kernels: ``python -m engine.native.build``. Without a compiler thord works as well.

All variants of this kind of machine are built, so that a copied installation is as fast on another processor.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine.native import library, variants
from engine.native.variants import Variant


def build() -> str:
    """Build what is not there, and remove what other sources made. What happened, in words."""
    targets = {library.path(variant): variant for variant in variants.of_this_machine()}
    missing = {target: variant for target, variant in targets.items() if not target.is_file()}
    if not missing:
        return "the kernels are there already"
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        return "no C++ compiler (c++, g++ or clang++): answers on a CPU come from torch, at about half the speed"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = list(pool.map(lambda target: _compile(compiler, missing[target], target), missing))
    for other in library.FOLDER.glob("*.so"):
        if other not in targets:
            other.unlink()
    built = ", ".join(variant.name for variant, fault in zip(missing.values(), faults, strict=True) if not fault)
    said = [f"built the kernels for {built}"] if built else []
    for variant, fault in zip(missing.values(), faults, strict=True):
        if fault:
            said.append(f"{compiler} could not build the kernels for {variant.name}:\n{fault}")
    return "\n".join(said)


def _compile(compiler: str, variant: Variant, target: Path) -> str:
    """Build one variant. What the compiler complains of, or nothing."""
    with tempfile.TemporaryDirectory(dir=target.parent) as draft:
        file = Path(draft) / target.name
        command = [compiler, *library.OPTIONS, *variant.options, *map(str, library.SOURCES), "-o", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr[-2000:]
        file.rename(target)
    return ""


if __name__ == "__main__":
    print(build(), file=sys.stderr)
