"""The variants that the kernels are built in, one for each generation of processors, and which of them runs here.

All are compiled from the same sources. One is chosen when it is first needed, by what this processor can do, so that
what was built on one machine is as fast on another. ``THORD_ISA=avx2`` forces one, to test or measure it.
"""

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


_COMPILERS = {"avx_vnni": "avxvnni", "avx512_vnni": "avx512vnni", "avx512_bf16": "avx512bf16"}
"""What compilers call abilities that Linux calls otherwise."""

_AVX2 = frozenset({"avx2", "fma", "f16c"})
_AVX512 = _AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl"}

VARIANTS = (
    Variant("neon", "aarch64", frozenset()),
    Variant("avx2", "x86_64", _AVX2),
    Variant("avxvnni", "x86_64", _AVX2 | {"avx_vnni"}),
    Variant("avx512", "x86_64", _AVX512),
    Variant("avx512vnni", "x86_64", _AVX512 | {"avx512_vnni"}),
    Variant("avx512bf16", "x86_64", _AVX512 | {"avx512_vnni", "avx512_bf16"}),
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
    raise NoSuchVariantError(f"{FORCED}={asked} needs a processor with {', '.join(lacking)}; {choice}")


def of_this_machine() -> tuple[Variant, ...]:
    """Those that a machine of this kind might run."""
    return tuple(each for each in VARIANTS if each.machine == platform.machine())


def usable_here() -> tuple[Variant, ...]:
    """The same on this processor, with what the environment asks for. Raises as `usable`."""
    return usable(os.environ.get(FORCED, ""), platform.machine(), abilities())


def abilities() -> frozenset[str]:
    """What this processor can do, as Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    found = next((line for line in lines if line.lower().startswith(("flags", "features"))), ":")
    return frozenset(found.partition(":")[2].split())
