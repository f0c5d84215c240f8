"""The processor: its name, and which of its instructions the contestants of a benchmark may use."""

import os
import platform
from pathlib import Path

from engine.native import library, variants

HELP = "a variant of our kernels, for ours and torch: avx2, avx512bf16, amx and so on"


def restrict(isa: str) -> None:
    """Have our kernels, torch and its libraries use no other instructions, here and in processes started from here.

    All of them read this at their first call.
    """
    wide = isa.startswith("avx512") or isa == "amx"
    os.environ[variants.FORCED] = isa
    os.environ["ATEN_CPU_CAPABILITY"] = "avx512" if wide else "avx2"
    os.environ["MKL_ENABLE_INSTRUCTIONS"] = "AVX512" if wide else "AVX2"
    named = {"avxvnni": "AVX2_VNNI", "avx512bf16": "AVX512_CORE_BF16", "amx": "AVX512_CORE_AMX"}
    os.environ["ONEDNN_MAX_CPU_ISA"] = named.get(isa, "AVX512_CORE" if wide else "AVX2")


def require_kernels() -> None:
    """End the program where the fastest kernels that run here, or those asked for, were not built of these sources.

    Torch or slower kernels would be measured instead, and nothing would say so.
    """
    fastest = next(iter(variants.usable_here()), None)
    if fastest is None or library.path(fastest).is_file():
        return
    built = library.chosen()
    instead = f"; --isa, or {variants.FORCED}={built} in the environment, measures those that are" if built else ""
    raise SystemExit(
        f"the kernels for {fastest} are not built of these sources, and figures without them would mislead: "
        f"python -m engine.native.build{instead}"
    )


def name() -> str:
    """What the processor calls itself."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
