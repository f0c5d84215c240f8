"""What the monitor measures: plain values, one sample at a time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Space:
    """Memory or disk, in bytes. ``free`` is what can still be used."""

    total: int
    free: int


@dataclass(frozen=True)
class ProcessFigures:
    """One process of thord with all that it started. ``cpu_percent`` is of one core, null on first sight."""

    pid: int
    cpu_percent: float | None
    memory: int


@dataclass(frozen=True)
class GpuFigures:
    """One GPU; memory in bytes. Null: this card does not tell."""

    name: str
    memory_total: int
    memory_used: int
    utilization_percent: float | None
    temperature_celsius: float | None
    power_watts: float | None


@dataclass(frozen=True)
class Figures:
    """One sample. ``cpu_percent`` is of all cores; ``load`` is the kernel's, over 1, 5 and 15 minutes."""

    at: str
    cpu_percent: float
    cores: int
    load: tuple[float, float, float]
    memory: Space
    disk: Space
    processes: dict[str, ProcessFigures]
    gpus: tuple[GpuFigures, ...]
