"""A run of several ranks: rank 0 prepares and leads, the others follow, each through the same steps.

Every host needs the home of the service at the same place, for data, checkpoints and versions are read there.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from engine.distributed import checkpoints
from engine.distributed.meeting import Meeting
from engine.manifest import VersionManifest
from engine.training import run
from engine.training.reporting.reporter import Reporter, Silent
from engine.training.spec import RunPaths, RunSpec
from engine.training.world import ShortOfMemoryError


class _Order(BaseModel):
    """What rank 0 tells the others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spec: RunSpec
    folder: Path
    snapshot: Path
    base: Path | None
    target: Path

    @property
    def paths(self) -> RunPaths:
        return RunPaths(self.folder, self.snapshot, self.base, self.target)


def lead(meeting: Meeting, spec: RunSpec, paths: RunPaths, reporter: Reporter) -> VersionManifest:
    """Carry a run through as its rank 0.

    Raises:
        ShortOfMemoryError: memory ran out; the next attempt takes smaller microbatches.
        Exception: as `run.learn`.
    """
    order = _Order(spec=spec, folder=paths.folder, snapshot=paths.snapshot, base=paths.base, target=paths.target)
    meeting.strategy = spec.training.distributed.strategy
    with meeting.ordering(order.model_dump_json()):
        return _learn(meeting, order, reporter)


def follow(meeting: Meeting) -> None:
    """Do as rank 0 says, as another rank.

    Raises:
        OSError: the run's folder is not to be seen from here.
        Exception: as `lead`.
    """
    text = meeting.await_order()
    if not text:
        return
    order = _Order.model_validate_json(text)
    if not (order.folder / run.RECORD).exists():
        raise FileNotFoundError(
            f"rank {meeting.rank} does not see {order.folder}: every host needs the home of the service at the same "
            "place (a network file system), as docs/distributed.md says"
        )
    meeting.strategy = order.spec.training.distributed.strategy
    _learn(meeting, order, Silent())


def _learn(meeting: Meeting, order: _Order, reporter: Reporter) -> VersionManifest:
    try:
        return run.learn(order.spec, order.paths, reporter, meeting)
    except ShortOfMemoryError as error:
        checkpoints.remember(run.checkpoint_folder(order.spec, order.paths), error.halvings)
        raise
