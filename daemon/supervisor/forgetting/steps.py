"""What a forgetting does, step by step. Each step may be repeated, so a crash at any moment only costs time.

| step | what it does | whose files |
| --- | --- | --- |
| take out | finds the samples and takes them out of the ledger, in one transaction; their hashes stay | the intake's |
| end cycle | cancels the cycle under way if it has any of them; one that is being promoted is waited for | |
| erase | blanks segments, cuts files of the inbox, rewrites snapshots, compacts the ledger | the intake's |
| chats | erases sessions, and answers that wait to be learned | the server's |
| records | removes tokens, checkpoints and figures of runs, and texts in evaluations | the supervisor's |
| backups | makes a new backup of the ledger, and removes the older ones | the supervisor's |
| go back | with ``--retrain``: to the last version that did not learn them; the rest becomes new again | |
"""

from enum import StrEnum

from daemon.supervisor.store.records import Record


class Step(StrEnum):
    """Where a forgetting is: the step that is to be done next."""

    TAKE_OUT = "take out"
    END_CYCLE = "end cycle"
    ERASE = "erase"
    CHATS = "chats"
    RECORDS = "records"
    BACKUPS = "backups"
    GO_BACK = "go back"
    DONE = "done"


_ORDER = tuple(Step)


class WayBack(Record):
    """Where ``--retrain`` leads.

    Attributes:
        version: the one to go back to; null: none, and nothing serves until the next cycle is promoted.
        left: versions that learned what is forgotten, or were made from those: they are never gone back to.
        cycles: what they learned is new again.
    """

    version: int | None
    left: tuple[int, ...]
    cycles: tuple[int, ...]


class Forgetting(Record):
    """A request to forget, and how far it is: a single value of the store, there until it is done.

    Attributes:
        number: no two have the same.
        cycles: had any of the samples; known after the first step.
        learned_in: those of the cycles that trained on them.
        versions: learned them, as is known once no cycle has them any more; ``made_from_these``: were trained from
            those, in any number of steps.
        files_left: hold them still, and are not thord's to change.
        files_unnamed: of a great many files of any of these kinds only the first are named; so many are not.
        way_back: null where nothing has to be gone back from.
    """

    number: int
    ids: tuple[str, ...] = ()
    source: str | None = None
    owner: str | None = None
    retrain: bool = False
    by: str
    step: Step = Step.TAKE_OUT
    samples: int = 0
    was_held_out: bool = False
    cycles: tuple[int, ...] = ()
    learned_in: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()
    made_from_these: tuple[int, ...] = ()
    files_cut: tuple[str, ...] = ()
    files_removed: tuple[str, ...] = ()
    files_left: tuple[str, ...] = ()
    files_unnamed: int = 0
    sessions: int = 0
    answers: int = 0
    complaints: tuple[str, ...] = ()
    way_back: WayBack | None = None

    @property
    def advanced(self) -> "Forgetting":
        """The same with the next step ahead. Without ``retrain`` nobody goes back."""
        following = _ORDER[_ORDER.index(self.step) + 1]
        if following is Step.GO_BACK and not (self.retrain and self.way_back):
            following = Step.DONE
        return self.model_copy(update={"step": following})
