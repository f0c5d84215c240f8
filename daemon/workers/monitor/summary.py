"""``training_summary.json``: the newest run in figures, written anew whenever something in it changed."""

from pathlib import Path

from pydantic import JsonValue

from control.paths import Paths, version_name
from daemon.workers.monitor import runs
from daemon.workers.monitor.runs import RunSummary
from engine import artifacts, disk
from engine.artifacts import ArtifactError
from engine.manifest import read_manifest


class Summary:
    """Follows every run that grew, and sums up the newest."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._seen: dict[int, tuple[int, int]] = {}
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
            try:
                status = metrics.stat()
            except FileNotFoundError:
                continue  # tidied away
            fingerprint = (status.st_mtime_ns, status.st_size)
            if self._seen.get(cycle) == fingerprint:
                continue
            summary = runs.follow(metrics, self._paths.tensorboard / version_name(cycle))
            self._seen[cycle] = fingerprint
            if self._newest is None or cycle >= self._newest[0]:
                self._newest = cycle, summary
            grown = True
        return grown

    def _metrics_files(self) -> list[tuple[int, Path]]:
        """Of every run, by cycle."""
        files = self._paths.runs.glob(f"[0-9]*/{runs.METRICS}")
        return sorted((int(file.parent.name), file) for file in files if file.parent.name.isdecimal())

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
