"""The snapshot of a cycle that learns from the ledger."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from control.paths import Paths
from daemon import log
from daemon.messages import Collect, Collected, Command
from daemon.settings.sections import Tables
from daemon.workers.intake.ledger import held_out_of_tasks, held_out_top_up
from daemon.workers.intake.ledger.assignments import Quota
from daemon.workers.intake.ledger.ledger import Ledger
from engine.data import snapshot
from engine.data.snapshot import Example

_logger = log.get(__name__)


def write_snapshot(
    command: Collect, ledger: Ledger, paths: Paths, settings: Tables, advance: Callable[[], None]
) -> Collected:
    """Assign samples to the cycle and write its snapshot, or find that done.

    ``advance`` is called for every sample, and may raise to stop.

    Raises:
        StorageError: the disk is full or cannot be written.
        OSError: the same, for the snapshot.
    """
    folder = paths.snapshot(command.cycle)
    if not ledger.assignments.is_assigned(command.cycle):
        _remove_stale(folder)
        number = _assign(command, ledger, settings)
        if number < command.minimum:
            return Collected(to=command.id, conversations=number, replayed=0, held_out=0, sha256="")

    def set_aside(number: int, reason: str) -> None:
        _logger.warning("a conversation is damaged on disk and set aside", reason=reason)
        with ledger.transaction():
            ledger.assignments.set_aside(number, f"it is damaged on disk: {reason}")

    def examples(*, held_out: bool) -> Iterator[Example]:
        for example in ledger.assignments.examples(command.cycle, held_out=held_out, damaged=set_aside):
            advance()
            yield example

    made = snapshot.write(folder, examples(held_out=False), examples(held_out=True), is_divided=True)
    with ledger.transaction():
        ledger.assignments.record_snapshot(command.cycle, made.sha256)
    return collected(command, made)


def collected(command: Command, made: snapshot.SnapshotManifest) -> Collected:
    """The answer that a snapshot is on disk."""
    return Collected(
        to=command.id, conversations=made.new, replayed=made.replayed, held_out=made.held_out, sha256=made.sha256
    )


def _assign(command: Collect, ledger: Ledger, settings: Tables) -> int:
    wanted = Quota(
        limit=command.limit,
        minimum=command.minimum,
        replay_share=settings.data.replay_share,
        replay_strategy=settings.data.replay_strategy,
        held_out=settings.evaluation.max_conversations,
        validation_share=settings.training.validation_share,
        epoch=command.cycle // settings.gate.epoch_cycles,
    )
    with ledger.transaction():
        if moved := held_out_top_up.top_up(ledger, settings.gate.min_conversations):
            _logger.info("more conversations are held out, for the gate to have enough", number=moved)
        if moved := held_out_of_tasks.top_up_tasks(ledger, settings.all_tasks, settings.gate.min_conversations):
            _logger.info("more rows of tasks are held out, so that each is measured", number=moved)
        return ledger.assignments.assign(command.cycle, wanted)


def _remove_stale(folder: Path) -> None:
    """A snapshot of this number that the ledger knows nothing of is from before somebody replaced the ledger."""
    if folder.exists():
        _logger.warning("a snapshot that the ledger does not know is removed", folder=str(folder))
        shutil.rmtree(folder)
