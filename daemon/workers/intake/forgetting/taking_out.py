"""The first step: which samples are meant, and out of the ledger with them, in one transaction."""

import itertools

from control.paths import Paths
from daemon.messages import Forget, TakenOut
from daemon.workers.intake.ledger.forgettings import Cycles
from daemon.workers.intake.ledger.ledger import Ledger
from daemon.workers.intake.ledger.selection import Wanted
from engine.data import snapshot
from engine.data.storable import storable_path

FILES = 200
"""So many are named in each list of an answer; of the others it is said how many there are."""


def take_out(command: Forget, ledger: Ledger, paths: Paths) -> TakenOut:
    """Take samples out of the ledger, or find that done.

    Raises:
        NotKnownError: an ID or a file is not known.
        StorageError: the ledger cannot be written.
    """
    carried = ledger.forgettings.carried_out(command.forgetting)
    if carried is None:
        wanted = Wanted(command.ids, command.source, command.owner, paths.served)
        chosen = ledger.choose(wanted)
        with ledger.transaction():
            carried = ledger.forgettings.carry_out(
                command.forgetting, chosen.entries, chosen.named, lambda: _in_snapshots(ledger, paths)
            )
    outside = [source for source in carried.sources if paths.inbox not in source.parents and source.exists()]
    return TakenOut(
        to=command.id,
        samples=carried.samples,
        was_held_out=carried.was_held_out,
        cycles=tuple(sorted(carried.cycles)),
        learned_in=tuple(sorted(cycle for cycle, trained in carried.cycles.items() if trained)),
        files_left=tuple(storable_path(file) for file in outside[:FILES]),
        files_unnamed=len(outside[FILES:]),
    )


def _in_snapshots(ledger: Ledger, paths: Paths) -> Cycles:
    """The cycles whose snapshots hold any of it, also those that learned from named files and not from the ledger."""
    found: Cycles = {}
    for folder in snapshot.published(paths.snapshots):
        examples = itertools.chain(snapshot.train_examples(folder), snapshot.held_out_examples(folder))
        meant = [one for one in examples if ledger.forgotten.holds(one.sample, one.identity)]
        if meant:
            found[int(folder.name)] = any(one.origin != "held_out" and not one.validates for one in meant)
    return found
