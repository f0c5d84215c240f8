"""Where to compute and in what numbers: ``auto`` is decided by what this machine does fast, by trying."""

import functools
import os
import time
from dataclasses import dataclass

import psutil
import torch

from engine.config import Device, Precision


class ImpossiblePlacementError(ValueError):
    """A device that is not there, or that cannot compute as it was asked to."""


@dataclass(frozen=True)
class Placement:
    """A device and the dtype that matrix products run in."""

    device: torch.device
    dtype: torch.dtype

    @property
    def dtype_name(self) -> str:
        """Without torch's prefix: float32, bfloat16 or float16."""
        return str(self.dtype).removeprefix("torch.")


def resolve(device: Device, precision: Precision) -> Placement:
    """Turn settings into a device and a dtype.

    Raises:
        ImpossiblePlacementError: cuda is asked for and absent, or fp16 on a CPU.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ImpossiblePlacementError("device 'cuda' was asked for, but torch finds no usable CUDA device here")
    chosen = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    return Placement(chosen, _dtype(chosen, precision))


def physical_cores() -> int:
    """Cores that this process may use; two threads of one core share its arithmetic."""
    allowed = len(os.sched_getaffinity(0))
    return min(allowed, psutil.cpu_count(logical=False) or allowed)


def is_lost(device: torch.device) -> bool:
    """Whether this process can compute nothing there any more, as after a fault of a kernel or of the GPU itself."""
    if device.type != "cuda":
        return False
    try:
        torch.cuda.synchronize(device)
    except RuntimeError:
        return True
    return False


def _dtype(device: torch.device, precision: Precision) -> torch.dtype:
    if precision == "fp32":
        return torch.float32
    if precision == "bf16":
        return torch.bfloat16
    if precision == "fp16":
        if device.type == "cpu":
            raise ImpossiblePlacementError("precision 'fp16' does not work on a CPU; use fp32, bf16 or auto")
        return torch.float16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if _cpu_is_fast_in_bf16() else torch.float32


@functools.cache
def _cpu_is_fast_in_bf16() -> bool:
    """Whether this processor multiplies bf16 at least 1.3 times as fast as fp32, by the best of a few tries each.

    One thread's own processor time is compared, not the clock: what else the machine does must not decide in which
    numbers a model is trained.
    """

    def best(dtype: torch.dtype) -> float:
        a, b = torch.ones(256, 512, dtype=dtype), torch.ones(512, 1024, dtype=dtype)
        times = []
        for _ in range(12):
            start = time.thread_time()
            torch.mm(a, b)
            times.append(time.thread_time() - start)
        return min(times)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return best(torch.float32) > 1.3 * best(torch.bfloat16)
    finally:
        torch.set_num_threads(threads)
