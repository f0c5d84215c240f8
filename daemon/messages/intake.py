"""What the supervisor asks of the intake, each command before its answer, and what the intake reports by itself."""

from typing import Literal

from pydantic import Field

from daemon.messages.base import Answer, Command, Message


class Collect(Command):
    """Rescan, assign up to ``limit`` new conversations (null: all) to the cycle and write its snapshot.

    With ``files`` the snapshot is made of those instead of the ledger; with ``split`` the first 90 % of their bytes are
    learned, the next 5 % judge, and the rest is left alone. Repeating the command changes nothing.
    """

    kind: Literal["collect"] = "collect"
    cycle: int
    limit: int | None
    minimum: int
    files: tuple[str, ...] = ()
    validation_files: tuple[str, ...] = ()
    split: bool = False


class CollectFiles(Command):
    """Write the snapshot of a job: of these files, and with nothing of the ledger. Repeating it changes nothing.

    ``split`` as for `Collect`; ``held_out_share`` replaces that of the settings.
    """

    kind: Literal["collect_files"] = "collect_files"
    job: int
    files: tuple[str, ...]
    validation_files: tuple[str, ...] = ()
    split: bool = False
    held_out_share: float | None = None


class Collected(Answer):
    """The snapshot is on disk. ``conversations`` is how many new ones it holds."""

    kind: Literal["collected"] = "collected"
    conversations: int
    replayed: int
    held_out: int
    sha256: str


class Settle(Command):
    """Give the conversations of a finished cycle their final state. Repeating the command changes nothing."""

    kind: Literal["settle"] = "settle"
    cycle: int
    learned: bool
    count_try: bool = True
    """False where the conversations were not at fault (skipped, cancelled)."""
    why: str = ""
    """What the cycle came to."""


class Settled(Answer):
    """The conversations of a finished cycle have their final state."""

    kind: Literal["settled"] = "settled"


class Scan(Command):
    """Look through every watched folder now. ``retry_quarantine`` reads refused files again.

    With ``files`` the answer is about those.
    """

    kind: Literal["scan"] = "scan"
    retry_quarantine: bool = False
    files: tuple[str, ...] = ()


class RefusedRecord(Message):
    """Why a record of a file was refused; line 0 means the whole file."""

    line: int
    reason: str


class FileRead(Message):
    """What a file was taken for, and what became of what is in it. ``refused`` are the first of ``refused_records``."""

    format: str
    conversations: int
    turns: int
    texts: int
    preferences: int
    labelled: int
    added: int
    duplicates: int
    held: int
    forgotten: int = 0
    refused_records: int
    refused: tuple[RefusedRecord, ...] = ()


class Scanned(Answer):
    """The inbox was read through once more.

    The numbers are those of the files that the command named, whoever read them, else of what the scan itself read.
    ``read_as`` says for how many files which shape was found; ``files`` has an entry for each file named, in that
    order, null for one that was not read.
    """

    kind: Literal["scanned"] = "scanned"
    added: int
    duplicates: int
    held: int = 0
    quarantined: int
    read_as: dict[str, int] = Field(default_factory=dict)
    files: tuple[FileRead | None, ...] = ()


class Retake(Command):
    """Take up conversations that were set aside, of the file ``source`` or all. Repeating it changes nothing."""

    kind: Literal["retake"] = "retake"
    source: str | None = None


class Retaken(Answer):
    """This many conversations that were set aside are new again."""

    kind: Literal["retaken"] = "retaken"
    conversations: int


class Forget(Command):
    """Take samples out of the ledger for good: those with these IDs, of this file, of this owner, with all their forms.

    ``forgetting`` numbers the request: repeating the command changes nothing.
    """

    kind: Literal["forget"] = "forget"
    forgetting: int
    ids: tuple[str, ...] = ()
    source: str | None = None
    owner: str | None = None


class TakenOut(Answer):
    """The samples are out of the ledger, and will not be learned when they are read again.

    ``cycles`` had any of them, and ``learned_in`` are those that trained on them; ``files_left`` hold them and are not
    thord's.
    """

    kind: Literal["taken_out"] = "taken_out"
    samples: int
    was_held_out: bool
    cycles: tuple[int, ...]
    learned_in: tuple[int, ...]
    files_left: tuple[str, ...] = ()
    files_unnamed: int = 0
    """Further files of those; of a great many only the first are named."""


class Erase(Command):
    """Erase whatever was taken out from segments, snapshots and the inbox. Repeating the command changes nothing.

    Files of the inbox that are called ``source`` go as a whole, with whatever was refused of them.
    """

    kind: Literal["erase"] = "erase"
    source: str | None = None


class Erased(Answer):
    """It is erased: cut out of files in the inbox, or with the file where it could not be cut out."""

    kind: Literal["erased"] = "erased"
    files_cut: tuple[str, ...] = ()
    files_removed: tuple[str, ...] = ()
    files_unreadable: tuple[str, ...] = ()
    files_unnamed: int = 0
    """Further files of any of those."""


class Unlearn(Command):
    """Make new again what these cycles learned, so that it is learned once more. Repeating it changes nothing."""

    kind: Literal["unlearn"] = "unlearn"
    cycles: tuple[int, ...]


class Unlearned(Answer):
    """So many samples are new again."""

    kind: Literal["unlearned"] = "unlearned"
    samples: int


class Counts(Message):
    """How many samples are in each state and of each kind, and how many files or records are in quarantine.

    ``held`` are samples of kinds that no objective learns yet: preferences and labelled ones.
    """

    kind: Literal["counts"] = "counts"
    new: int = 0
    assigned: int = 0
    learned: int = 0
    held_out: int = 0
    set_aside: int = 0
    held: int = 0
    quarantined: int = 0
    by_kind: dict[str, int] = Field(default_factory=dict)


class Unwatched(Message):
    """Folders that cannot be watched, and why; sent when that changes."""

    kind: Literal["unwatched"] = "unwatched"
    folders: dict[str, str]
