"""Which device to compute on, in which dtype: decided by what the device can do, which is measured once."""

import functools
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import psutil
import torch

from engine import cgroup
from engine.config.placement import Device, Precision
from engine.families.table import FAMILIES, FamilyName
from engine.native import variants
from engine.native.variants import NoSuchVariantError

_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class ImpossiblePlacementError(ValueError):
    """The device is missing, or it cannot compute in the precision asked for."""


@dataclass(frozen=True)
class Placement:
    """A device and the dtype that matrix products run in."""

    device: torch.device
    dtype: torch.dtype

    @property
    def dtype_name(self) -> str:
        """Without torch's prefix: float32, bfloat16 or float16."""
        return str(self.dtype).removeprefix("torch.")

    def autocast(self) -> torch.autocast:
        """Inside, matrix products run in the dtype."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


class Capabilities(Protocol):
    """What a device can do with numbers of 16 bits."""

    @property
    def kind(self) -> Literal["cpu", "cuda"]:
        """As torch names its type."""
        ...

    @property
    def fast_bf16(self) -> bool:
        """It multiplies bf16 clearly faster than float32."""
        ...

    @property
    def trains_lstm_bf16(self) -> bool:
        """It computes an LSTM in bf16 from weights in float32, as in training.

        Some processors do only with weights in bf16, as for answers.
        """
        ...


def resolve(device: Device, precision: Precision, trained: FamilyName | None = None) -> Placement:
    """Turn settings into a device and a dtype.

    Args:
        device: as the settings have it.
        precision: as the settings have it.
        trained: the family to train there; None to answer, which every family does in each of the dtypes.

    Raises:
        ImpossiblePlacementError: cuda is asked for and absent, the device cannot compute in that precision, or the
            environment asks for kernels that this processor cannot run.
    """
    try:
        variants.usable_here()
    except NoSuchVariantError as error:
        raise ImpossiblePlacementError(str(error)) from error
    if device == "cuda" and not torch.cuda.is_available():
        raise ImpossiblePlacementError("device 'cuda' was asked for, but torch finds no usable CUDA device here")
    kind = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    return Placement(torch.device(kind), choose_dtype(precision, trained, capabilities(kind)))


def check_training(placement: Placement, trained: FamilyName) -> None:
    """Whether a family can be trained so here, as where a run goes on that began on another machine.

    Raises:
        ImpossiblePlacementError: it cannot.
    """
    precision = next(name for name, dtype in _DTYPES.items() if dtype == placement.dtype)
    choose_dtype(precision, trained, capabilities(placement.device.type))


def choose_dtype(precision: Precision, trained: FamilyName | None, found: Capabilities) -> torch.dtype:
    """The dtype of matrix products. ``auto`` takes the fastest that the device computes; others are taken or refused.

    Raises:
        ImpossiblePlacementError: the device cannot compute so; the message says what to use instead.
    """
    if precision == "auto":
        fast: Precision = "bf16" if found.fast_bf16 else "fp16" if found.kind == "cuda" else "fp32"
        precision = "fp32" if _refusal(fast, trained, found) else fast
    if reason := _refusal(precision, trained, found):
        raise ImpossiblePlacementError(f"precision '{precision}' {reason}")
    return _DTYPES[precision]


def _refusal(precision: Precision, trained: FamilyName | None, found: Capabilities) -> str:
    """Why a device cannot compute so; empty where it can."""
    if found.kind == "cpu" and precision == "fp16":
        return "does not work on a CPU; use fp32, bf16 or auto"
    if precision == "bf16" and trained and FAMILIES[trained].has_lstm and not found.trains_lstm_bf16:
        return f"cannot train {trained} on this processor, which has no LSTM in bf16; use fp32 or auto"
    return ""


def physical_cores() -> int:
    """Cores that this process may use; two threads of one core share its arithmetic."""
    allowed = cgroup.processors()
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


class _Cuda:
    """A GPU, which torch describes."""

    kind: Literal["cuda"] = "cuda"
    trains_lstm_bf16 = True

    @functools.cached_property
    def fast_bf16(self) -> bool:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


class _Cpu:
    """This processor. Each question is answered by trying, once, and only where it is asked."""

    kind: Literal["cpu"] = "cpu"

    @functools.cached_property
    def fast_bf16(self) -> bool:
        return _has_bf16_instructions() and _multiplies_bf16_faster()

    @functools.cached_property
    def trains_lstm_bf16(self) -> bool:
        return _trains_lstm_in_bf16()


@functools.cache
def capabilities(kind: str) -> Capabilities:
    """What the device of this kind can do."""
    return _Cuda() if kind == "cuda" else _Cpu()


_INSTRUCTIONS = re.compile(r"^(?:flags|Features)\s*:.*\b(?:avx512_bf16|amx_bf16|bf16)\b", re.MULTILINE)
"""x86 has them for vectors or for tiles; ARM calls both bf16."""
_CLEAR, _ROUNDS = 3.0, 12


def _has_bf16_instructions() -> bool:
    """Whether the processor has any: without them bf16 is never the faster one, and trying takes seconds."""
    return bool(_INSTRUCTIONS.search(Path("/proc/cpuinfo").read_text(encoding="utf-8")))


def _multiplies_bf16_faster() -> bool:
    """Whether this process multiplies bf16 at least 1.3 times as fast as float32.

    Both take turns, and each counts by the best of its tries, in the thread's own processor time: what else the machine
    does must not decide in which numbers a model is trained. Where the difference is clear a few tries are enough.
    """
    products = [
        (torch.ones(256, 512, dtype=dtype), torch.ones(512, 1024, dtype=dtype))
        for dtype in (torch.float32, torch.bfloat16)
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for a, b in products:
            torch.mm(a, b)  # kernels are compiled the first time
        best = [float("inf"), float("inf")]
        for done in range(_ROUNDS):
            if done >= 2 and not 1 / _CLEAR < best[0] / best[1] < _CLEAR:
                break
            for at, (a, b) in enumerate(products):
                start = time.thread_time()
                torch.mm(a, b)
                best[at] = min(best[at], time.thread_time() - start)
        return best[0] > 1.3 * best[1]
    finally:
        torch.set_num_threads(threads)


def _trains_lstm_in_bf16() -> bool:
    """Whether oneDNN, to which autocast gives an LSTM, has one in bf16 for this processor; only trying one tells."""
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            torch.nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True
