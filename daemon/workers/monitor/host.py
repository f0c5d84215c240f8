"""Figures of the host and of every process of thord, by psutil."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

from daemon.clock import utc_now_with_offset
from daemon.workers.monitor import gpu
from daemon.workers.monitor.figures import Figures, ProcessFigures, Space
from engine import cgroup

SUPERVISOR = "thord"
_WORKERS = "daemon.workers."


class Host:
    """Takes samples. Processor shares are averages since the sample before."""

    def __init__(self, supervisor: int, state: Path) -> None:
        self._supervisor = psutil.Process(supervisor)
        self._state = state
        self._known: dict[int, psutil.Process] = {}
        self._gpus = gpu.find()
        psutil.cpu_percent()  # the first call only sets the mark to measure from
        self._processes()

    def sample(self) -> Figures:
        """What can be measured now."""
        memory, disk = cgroup.memory(), psutil.disk_usage(str(self._state))
        return Figures(
            at=utc_now_with_offset("seconds"),
            cpu_percent=psutil.cpu_percent(),
            cores=psutil.cpu_count() or 1,
            load=psutil.getloadavg(),
            memory=Space(total=memory.total, free=memory.available),
            disk=Space(total=disk.total, free=disk.free),
            processes=self._processes(),
            gpus=gpu.read(self._gpus),
        )

    def _processes(self) -> dict[str, ProcessFigures]:
        figures: dict[str, ProcessFigures] = {}
        alive: dict[int, psutil.Process] = {}
        for name, found in self._family():
            with contextlib.suppress(psutil.Error):  # it may end at any moment
                known = self._known.get(found.pid)
                process = known if known == found else found  # a number may have been given to another since
                used = process.cpu_percent()
                alive[process.pid] = process
                own = ProcessFigures(process.pid, used if process is known else None, process.memory_info().rss)
                figures[name] = _together(figures[name], own) if name in figures else own
        self._known = alive
        return figures

    def _family(self) -> Iterator[tuple[str, psutil.Process]]:
        """The supervisor and all its descendants, each with the name of the worker it belongs to."""
        yield SUPERVISOR, self._supervisor
        names: dict[int, str] = {}
        with contextlib.suppress(psutil.Error):
            for process in self._supervisor.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    name = names.get(process.ppid()) or _worker_name(process)
                    if name:
                        names[process.pid] = name
                        yield name, process


def _worker_name(process: psutil.Process) -> str | None:
    modules = (argument for argument in process.cmdline() if argument.startswith(_WORKERS))
    return next((module.removeprefix(_WORKERS).split(".")[0] for module in modules), None)


def _together(first: ProcessFigures, other: ProcessFigures) -> ProcessFigures:
    """A worker and what it started, under the worker's number."""
    shares = [share for share in (first.cpu_percent, other.cpu_percent) if share is not None]
    return ProcessFigures(first.pid, sum(shares) if shares else None, first.memory + other.memory)
