"""What thord answers about data, and ``thorctl --json`` prints. Names are stable; more may be added."""

from typing import Literal, NotRequired, TypedDict

from control.answers import Json


class RefusedRecord(TypedDict):
    """Why a record of a file was refused; line 0 means the whole file."""

    line: int
    reason: str


class FileRead(TypedDict):
    """What a file was taken for; ``refused`` are the first of ``refused_records``.

    A dry run says nothing of what was known before, but has ``samples`` and ``rendered``: the beginning of the first
    sample as the model will see it, in parts, each with whether it is learned.
    """

    file: NotRequired[str]
    format: str
    conversations: int
    turns: int
    texts: int
    preferences: int
    labelled: int
    added: NotRequired[int]
    duplicates: NotRequired[int]
    held: int
    forgotten: NotRequired[int]
    refused_records: int
    refused: list[RefusedRecord]
    samples: NotRequired[list[Json]]
    rendered: NotRequired[list[tuple[str, bool]]]


class Scanned(TypedDict):
    """What a look through the inbox found, or what became of the files that were named, in their order.

    A file that was not read is null.
    """

    added: int
    duplicates: int
    held: NotRequired[int]
    quarantined: int
    read_as: NotRequired[dict[str, int]]
    files: NotRequired[list[FileRead | None]]


class Sources(TypedDict):
    """Samples by the format and by the file that they were read from."""

    by_format: dict[str, int]
    by_source: dict[str, int]


CycleOfSample = TypedDict(
    "CycleOfSample",
    {"cycle": int, "as": str, "outcome": Literal["learned", "returned"] | None, "version": str | None},
)
"""What a sample was in a cycle; the outcome is null until the cycle is settled."""


class SampleEntry(TypedDict):
    """A sample in the ledger, or, in state ``refused``, a record that is none: where it came from and who learned it.

    ``versions`` learned it themselves; ``made_from_these`` were trained from those.
    """

    id: NotRequired[str]
    identity: NotRequired[str]
    kind: NotRequired[str]
    state: str
    source: str
    line: int
    added_at: str
    turns: NotRequired[int]
    note: str | None
    text: NotRequired[str | None]
    cycles: NotRequired[list[CycleOfSample]]
    versions: NotRequired[list[str]]
    made_from_these: NotRequired[list[str]]
    sample: NotRequired[dict[str, Json] | None]


class Forgettable(TypedDict):
    """What would be forgotten: how many samples, the first of them, and the versions that learned them."""

    samples: int
    first: list[SampleEntry]
    versions: list[str]
    made_from_these: list[str]


class Forgotten(TypedDict):
    """What was forgotten, and where. ``failed``: what could not be done; ``files_unnamed``: further files."""

    samples: int
    cycles: list[int]
    versions: list[str]
    made_from_these: list[str]
    files_cut: list[str]
    files_removed: list[str]
    files_left: list[str]
    files_unnamed: int
    sessions: int
    answers: int
    failed: list[str]
    went_back: bool
    went_back_to: str | None


class SetAside(TypedDict):
    """Conversations of a file that no cycle takes any more."""

    source: str
    conversations: int
    reason: str


class Retaken(TypedDict):
    """How many conversations were taken up again."""

    conversations: int


class Refusal(TypedDict):
    """A file or record in quarantine."""

    file: str
    reason: str
    line: NotRequired[int | None]
    at: NotRequired[str]
