"""Checks of what computes: torch, the GPU, the kernel, and the processes that train together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from control.doctor.context import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from control.doctor.context import Context, Level

_TORCH_PROBE = """
import json, torch
from engine.native import library
from engine.native.variants import NoSuchVariantError
try:
    variant, refused = library.chosen(), ""
except NoSuchVariantError as error:
    variant, refused = None, str(error)
cuda = torch.cuda.is_available()
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "available": cuda,
    "kernel": variant and variant.name, "refused": refused,
    "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else []}))
if cuda:
    torch.ones(8, device="cuda").sum().item()
"""


def torch(context: Context) -> Iterator[Finding]:
    """Whether torch works, and on what. Asked in another process, which importing a broken torch may end."""
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _TORCH_PROBE], capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        yield Finding("torch", "fail", "importing torch takes longer than two minutes", "is the disk very slow?")
        return
    if not probe.stdout:
        words = probe.stderr.strip().splitlines()
        reason = words[-1] if words else f"the process ended with {probe.returncode}"
        yield Finding("torch", "fail", f"torch cannot be imported: {reason}", "pip install --force-reinstall torch")
        return
    found = json.loads(probe.stdout)
    yield Finding("torch", "ok", f"torch {found['version']}")
    if probe.returncode:
        words = probe.stderr.strip().splitlines()
        yield Finding(
            "gpu",
            "fail",
            f"the GPU is there but cannot compute: {words[-1] if words else probe.returncode}",
            "is another process using all of it (nvidia-smi)? else update the driver, or set training.device = 'cpu'",
        )
    elif found["available"]:
        yield Finding("gpu", "ok", f"{', '.join(found['devices'])}; CUDA {found['cuda']}")
    else:
        yield from _no_gpu(context, found["cuda"])
        yield from _kernel(found["kernel"], found["refused"])
    yield from _processes(context, len(found["devices"]))


def _kernel(variant: str | None, refused: str) -> Iterator[Finding]:
    if refused:
        yield Finding("kernel", "fail", refused, "unset THORD_ISA, or name one that this processor runs")
    elif variant:
        yield Finding(
            "kernel",
            "ok",
            f"thor and gpt2 answer through the kernel for {variant}; the server's log names what it cannot compute",
        )
    else:
        yield Finding(
            "kernel",
            "warn",
            "the kernel for answers on a processor is not built; torch computes them, at about half the speed",
            f"install a C++ compiler, then: {sys.executable} -m engine.native.build",
        )


def _no_gpu(context: Context, built_for: str | None) -> Iterator[Finding]:
    wanted = [name for name in ("training", "inference") if context.setting(name, "device") == "cuda"]
    level: Level = "fail" if wanted else "warn"
    use_cpu = f"; or set {' and '.join(f'{name}.device' for name in wanted)} = 'auto'" if wanted else ""
    driver = Path("/proc/driver/nvidia/version")
    if driver.exists():
        number = next((word for word in driver.read_text().split() if word.count(".") >= 1 and word[0].isdigit()), "?")
        if built_for is None:
            yield Finding(
                "gpu",
                level,
                f"driver {number} is there, but this torch is built without CUDA",
                f"install the CUDA build of torch{use_cpu}",
            )
        else:
            yield Finding(
                "gpu",
                level,
                f"torch is built for CUDA {built_for}, but cannot use driver {number}",
                f"update the driver, install a torch for its CUDA, or open /dev/nvidia* to this user{use_cpu}",
            )
    elif any(Path("/dev").glob("nvidia[0-9]*")):
        yield Finding("gpu", level, "there are /dev/nvidia* but no driver is loaded", f"modprobe nvidia{use_cpu}")
    elif wanted:
        yield Finding("gpu", "fail", "the settings ask for cuda and there is no GPU", use_cpu.removeprefix("; or "))
    else:
        yield Finding("gpu", "ok", "none; thord computes on the processor")


def _processes(context: Context, gpus: int) -> Iterator[Finding]:
    """Whether there are as many GPUs or cores as processes that train together."""
    training = context.settings.get("training")
    distributed = training.get("distributed") if isinstance(training, dict) else None
    asked = distributed.get("processes") if isinstance(distributed, dict) else None
    if not isinstance(asked, int) or asked == 1:
        return
    on_gpus = gpus > 0 and context.setting("training", "device") != "cpu"
    there, what = (gpus, "GPUs") if on_gpus else (len(os.sched_getaffinity(0)), "processor cores")
    if asked > there:
        yield Finding(
            "processes",
            "fail" if on_gpus else "warn",
            f"training.distributed.processes is {asked}, but there are {there} {what}",
            f"set training.distributed.processes to {there} or less",
        )
    else:
        yield Finding("processes", "ok", f"{asked} train together on {there} {what}")
