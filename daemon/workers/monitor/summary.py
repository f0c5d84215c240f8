"""``training_summary.json``: the newest run of a cycle in figures, written anew whenever something in it changed.

Runs of jobs are followed too, for TensorBoard.
"""

import re
from pathlib import Path

from pydantic import JsonValue

from control.paths import Paths
from daemon.workers.monitor import runs
from daemon.workers.monitor.runs import RunSummary
from engine import artifacts, disk
from engine.artifacts import ArtifactError
from engine.manifest import read_manifest

_RUN = re.compile(r"(job-)?(\d+)")
"""The folder of a run, of a job or of a cycle."""


class Summary:
    """Follows every run that grew, and sums up the newest of a cycle."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._seen: dict[str, tuple[int, int]] = {}
        self._newest: tuple[int, RunSummary] | None = None
        self._version: int | None = None

    def update(self, host: dict[str, JsonValue]) -> None:
        """Look for what is new; ``host`` goes into the file as it is.

        Raises:
            OSError: a file cannot be read or written.
        """
        grown = self._follow_runs()
        version = artifacts.current_version(self._paths.current)
        if grown or version != self._version:
            disk.write_json(self._paths.training_summary, self._compose(version, host))
            self._version = version

    def _follow_runs(self) -> bool:
        """Whether any run has grown."""
        grown = False
        for cycle, metrics in self._metrics_files():
            name = metrics.parent.name
            try:
                status = metrics.stat()
            except FileNotFoundError:
                continue  # tidied away
            fingerprint = (status.st_mtime_ns, status.st_size)
            if self._seen.get(name) == fingerprint:
                continue
            summary = runs.follow(metrics, self._paths.tensorboard / name)
            self._seen[name] = fingerprint
            if cycle is not None and (self._newest is None or cycle >= self._newest[0]):
                self._newest = cycle, summary
            grown = True
        return grown

    def _metrics_files(self) -> list[tuple[int | None, Path]]:
        """Of every run, with its cycle; null: it is that of a job."""
        files = sorted(self._paths.runs.glob(f"*/{runs.METRICS}"))
        named = [(name, file) for file in files if (name := _RUN.fullmatch(file.parent.name))]
        return [(None if name[1] else int(name[2]), file) for name, file in named]

    def _compose(self, version: int | None, host: dict[str, JsonValue]) -> dict[str, JsonValue]:
        value: dict[str, JsonValue] = {"version": version, "parameters": self._parameters(version)}
        if self._newest is not None:
            cycle, run = self._newest
            value |= {"cycle": cycle, **run.model_dump(mode="json")}
        return value | {"host": host}

    def _parameters(self, version: int | None) -> int | None:
        if version is None:
            return None
        try:
            return read_manifest(self._paths.version(version)).parameters
        except ArtifactError:
            return None
