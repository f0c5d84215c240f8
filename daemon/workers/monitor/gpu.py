"""Figures of NVIDIA GPUs by NVML. The boundary to pynvml, which has no types. Without a driver there are no GPUs."""

import functools
from collections.abc import Callable
from typing import TypeVar

import pynvml

from daemon.workers.monitor.figures import GpuFigures

T = TypeVar("T")


def find() -> tuple[object, ...]:
    """Handles of the GPUs of this machine; none where there is no driver."""
    try:
        pynvml.nvmlInit()
        return tuple(pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()


def read(handles: tuple[object, ...]) -> tuple[GpuFigures, ...]:
    """A sample of each GPU; one that has fallen off the bus is left out."""
    figures = (_or_none(functools.partial(_read_one, handle)) for handle in handles)
    return tuple(found for found in figures if found is not None)


def _read_one(handle: object) -> GpuFigures:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return GpuFigures(
        name=str(pynvml.nvmlDeviceGetName(handle)),
        memory_total=int(memory.total),
        memory_used=int(memory.used),
        utilization_percent=_or_none(lambda: float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)),
        temperature_celsius=_or_none(lambda: float(pynvml.nvmlDeviceGetTemperature(handle, 0))),
        power_watts=_or_none(lambda: float(pynvml.nvmlDeviceGetPowerUsage(handle)) / 1000),
    )


def _or_none(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except pynvml.NVMLError:
        return None
