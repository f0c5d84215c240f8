"""The variants that the kernels are built in, one for each generation of processors, and which of them runs here.

All are compiled from the same sources. One is chosen when it is first needed, by what this processor can do, so that
what was built on one machine is as fast on another. ``THORD_ISA=avx2`` forces one, to test or measure it.
"""

import ctypes
import functools
import os
import platform
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

FORCED = "THORD_ISA"
"""The environment variable that names a variant."""


class NoSuchVariantError(ValueError):
    """The variant that was asked for is unknown, or this processor cannot run it."""


@dataclass(frozen=True)
class Variant:
    """A generation of processors.

    Attributes:
        name: as `FORCED` gives it.
        machine: as ``platform.machine`` has it.
        abilities: what a processor must have, as Linux names it in ``/proc/cpuinfo``.
    """

    name: str
    machine: str
    abilities: frozenset[str]

    def __str__(self) -> str:
        return self.name

    @property
    def options(self) -> tuple[str, ...]:
        """What makes a compiler use the abilities."""
        return tuple(f"-m{_COMPILERS.get(ability, ability)}" for ability in sorted(self.abilities))


_COMPILERS = {
    "avx_vnni": "avxvnni",
    "avx512_vnni": "avx512vnni",
    "avx512_bf16": "avx512bf16",
    "amx_tile": "amx-tile",
    "amx_bf16": "amx-bf16",
}
"""What compilers call abilities that Linux calls otherwise."""

_AVX2 = frozenset({"avx2", "fma", "f16c"})
_AVX512 = _AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
_AVX512_BF16 = _AVX512 | {"avx512_vnni", "avx512_bf16"}
_AMX = frozenset({"amx_tile", "amx_bf16"})
_REQUEST_AMX = 158, 0x1023, 18
"""Linux's call ``arch_prctl`` on x86-64, ARCH_REQ_XCOMP_PERM of it, and XFEATURE_XTILEDATA."""

VARIANTS = (
    Variant("neon", "aarch64", frozenset()),
    Variant("avx2", "x86_64", _AVX2),
    Variant("avxvnni", "x86_64", _AVX2 | {"avx_vnni"}),
    Variant("avx512", "x86_64", _AVX512),
    Variant("avx512vnni", "x86_64", _AVX512 | {"avx512_vnni"}),
    Variant("avx512bf16", "x86_64", _AVX512_BF16),
    Variant("amx", "x86_64", _AVX512_BF16 | _AMX),
)
"""From the slowest to the fastest of a machine."""


def usable(asked: str, machine: str, abilities: Set[str]) -> tuple[Variant, ...]:
    """The variants that a processor can run, the fastest first; where one is asked for, that one.

    Args:
        asked: a name, or nothing.
        machine: as ``platform.machine`` has it.
        abilities: of the processor.

    Raises:
        NoSuchVariantError: there is no such variant, or the processor cannot run it.
    """
    able = tuple(each for each in reversed(VARIANTS) if each.machine == machine and each.abilities <= abilities)
    if not asked:
        return able
    for variant in able:
        if variant.name == asked:
            return (variant,)
    choice = f"this processor runs {', '.join(each.name for each in able) or 'none'}"
    known = next((each for each in VARIANTS if each.name == asked), None)
    if known is None:
        raise NoSuchVariantError(f"{FORCED}={asked} names no variant of the kernels; {choice}")
    lacking = sorted(known.abilities - abilities) if known.machine == machine else [known.machine]
    needed = f"a processor with {', '.join(lacking)}"
    if _AMX.intersection(lacking):
        needed += " and a system that lets programs use them"
    raise NoSuchVariantError(f"{FORCED}={asked} needs {needed}; {choice}")


def of_this_machine() -> tuple[Variant, ...]:
    """Those that a machine of this kind might run."""
    return tuple(each for each in VARIANTS if each.machine == platform.machine())


def usable_here() -> tuple[Variant, ...]:
    """The same on this processor, with what the environment asks for. Raises as `usable`."""
    return usable(os.environ.get(FORCED, ""), platform.machine(), abilities())


def abilities() -> frozenset[str]:
    """What this processor can do, and this process may use, as Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), ":")
    found = frozenset(flags.partition(":")[2].split())
    return found - _AMX if found >= _AMX and not amx_permitted() else found


@functools.cache
def amx_permitted() -> bool:
    """Ask Linux for the registers of AMX; a process that uses them without is killed.

    Threads and forked processes inherit the permission. Containers and old systems refuse it, and so does Linux where
    the processor's XCR0 lacks the registers, or a thread has too small a stack for signals.
    """
    return bool(ctypes.CDLL(None).syscall(*map(ctypes.c_long, _REQUEST_AMX)) == 0)
