"""What supervisor and workers say to each other: typed, versioned, one JSON object a line, bounded in size."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from engine.variation import Variation

PROTOCOL = 1
"""Raised whenever a message changes its meaning; both sides must agree."""

MAX_LINE = 1 << 20
"""Bytes of the longest message. A longer one ends the connection."""

WorkerName = Literal["intake", "server", "monitor", "trainer", "evaluator"]
Layout = Literal["hf", "gguf", "checkpoint"]
"""Of a folder that becomes a version: Hugging Face's, or that of a checkpoint of a run."""


class Message(BaseModel):
    """One line on the channel."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    by_kind: dict[str, int] = {}


# Worker to supervisor ------------------------------------------------------------------------------------------------


class Hello(Message):
    """The first line a worker sends, with the one-time token from its environment."""

    kind: Literal["hello"] = "hello"
    protocol: int
    worker: WorkerName
    pid: int
    token: str


class Ready(Message):
    """The worker can do its work."""

    kind: Literal["ready"] = "ready"


class Beat(Message):
    """A sign of life from a thread of its own; ``progress`` grows with real work, ``activity`` says which."""

    kind: Literal["beat"] = "beat"
    progress: int
    activity: str = ""
    busy: bool = False
    """Work is under way, so progress is expected to move."""


class Collected(Message):
    """The answer to ``collect``: the snapshot is on disk. ``conversations`` is how many new ones it holds."""

    kind: Literal["collected"] = "collected"
    cycle: int
    conversations: int
    replayed: int
    held_out: int
    sha256: str


class Unwatched(Message):
    """Folders that cannot be watched, and why; sent when that changes."""

    kind: Literal["unwatched"] = "unwatched"
    folders: dict[str, str]


class Settled(Message):
    """The conversations of a finished cycle have their final state."""

    kind: Literal["settled"] = "settled"
    cycle: int


class Scanned(Message):
    """The inbox was read through once more; ``request`` echoes the command.

    The numbers are those of the files that the command named, whoever read them, else of what the scan itself read.
    ``read_as`` says for how many files which shape was found.
    """

    kind: Literal["scanned"] = "scanned"
    request: int
    added: int
    duplicates: int
    held: int = 0
    quarantined: int
    read_as: dict[str, int] = {}


class Retaken(Message):
    """So many conversations that were set aside are new again; ``request`` echoes the command."""

    kind: Literal["retaken"] = "retaken"
    request: int
    conversations: int


class TrainProgress(Message):
    """Where a run is. ``eta_seconds`` counts to the end of training."""

    kind: Literal["train_progress"] = "train_progress"
    cycle: int
    step: int
    steps: int
    loss: float | None
    learning_rate: float
    tokens_per_second: float
    eta_seconds: float | None
    validation_loss: float | None = None
    processes: int = 1
    """How many train together."""


class PhaseProgress(Message):
    """How far a run or an evaluation is with work other than training steps. ``eta_seconds`` counts to its end."""

    kind: Literal["phase_progress"] = "phase_progress"
    request: int
    """The cycle, or the number of an evaluation asked for by hand."""
    activity: str
    done: int
    total: int | None
    eta_seconds: float | None


class Trained(Message):
    """The run ended and its candidate is published under ``versions/``."""

    kind: Literal["trained"] = "trained"
    cycle: int
    version: int
    parent: int | None
    sha256: str
    parameters: int
    metrics: dict[str, float]


class Imported(Message):
    """A model from elsewhere, or a checkpoint, is published under ``versions/``."""

    kind: Literal["imported"] = "imported"
    request: int
    version: int
    parent: int | None
    sha256: str
    parameters: int


class Evaluated(Message):
    """The verdict on a version, with every figure behind it."""

    kind: Literal["evaluated"] = "evaluated"
    request: int
    """The cycle, or the number of an evaluation asked for by hand."""
    version: int
    passed: bool
    reason: str
    gate: dict[str, JsonValue]
    metrics: dict[str, float]
    slices: dict[str, JsonValue] = {}
    """Measures on parts of what was held out: by ``kind``, ``task`` or ``source``, then by the name of the slice."""


class Prepared(Message):
    """The server holds the version beside the one that serves, checked and warm."""

    kind: Literal["prepared"] = "prepared"
    version: int
    in_place: bool = False
    """Two copies did not fit: the commit will drain, then load."""


class Refused(Message):
    """The server will not serve this version; the one in service is untouched."""

    kind: Literal["refused"] = "refused"
    version: int
    reason: str
    unfit: bool = True
    """The version itself is at fault. False: there is no room or time for it now, another attempt may succeed."""


class Serving(Message):
    """New requests go to this version. Null: no version exists yet."""

    kind: Literal["serving"] = "serving"
    version: int | None
    resident: tuple[int, ...] = ()


class HostFigures(Message):
    """What the monitor measured, for ``status``."""

    kind: Literal["host_figures"] = "host_figures"
    figures: dict[str, JsonValue]


class Failure(Message):
    """The work asked for could not be done. ``retry`` says whether another attempt may help."""

    kind: Literal["failure"] = "failure"
    request: int
    reason: str
    retry: bool
    diverged: bool = False
    """A run that did not learn but lost what it knew."""


FromWorker = Annotated[
    Hello
    | Ready
    | Beat
    | Counts
    | Collected
    | Settled
    | Unwatched
    | Scanned
    | Retaken
    | TrainProgress
    | PhaseProgress
    | Trained
    | Imported
    | Evaluated
    | Prepared
    | Refused
    | Serving
    | HostFigures
    | Failure,
    Field(discriminator="kind"),
]

# Supervisor to worker ------------------------------------------------------------------------------------------------


class Stop(Message):
    """Finish within ``grace_seconds``: drain, checkpoint, exit 0."""

    kind: Literal["stop"] = "stop"
    grace_seconds: float


class Reload(Message):
    """The settings file was written anew: read it and apply what can change live."""

    kind: Literal["reload"] = "reload"


class ServiceHealth(Message):
    """Server: how the whole service is, for ``/readyz`` and the metrics. Sent whenever it changes."""

    kind: Literal["service_health"] = "service_health"
    state: Literal["starting", "ready", "degraded", "stopping"]
    reasons: tuple[str, ...] = ()


class Collect(Message):
    """Intake: rescan, assign up to ``limit`` new conversations (null: all) to the cycle and write its snapshot.

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


class Settle(Message):
    """Intake: give the conversations of a finished cycle their final state. Repeating it changes nothing."""

    kind: Literal["settle"] = "settle"
    cycle: int
    learned: bool
    count_try: bool = True
    """False where the conversations were not at fault (skipped, cancelled)."""
    why: str = ""
    """What the cycle came to."""


class Retake(Message):
    """Intake: take up conversations that were set aside, of the file ``source`` or all. Repeating changes nothing."""

    kind: Literal["retake"] = "retake"
    request: int
    source: str | None = None


class Scan(Message):
    """Intake: look through every watched folder now. ``retry_quarantine`` reads refused files again.

    With ``files`` the answer is about those.
    """

    kind: Literal["scan"] = "scan"
    request: int
    retry_quarantine: bool = False
    files: tuple[str, ...] = ()


class Train(Message):
    """Trainer: run the loop in ``runs/<cycle>`` and publish ``versions/<version>``, resuming what is there."""

    kind: Literal["train"] = "train"
    cycle: int
    attempt: int
    version: int
    base: int | None
    overrides: dict[str, JsonValue] = {}
    """Keys of ``[training]`` that this run was asked to do differently."""
    variation: Variation = Variation()
    """How it differs from earlier attempts that came to nothing."""


class Import(Message):
    """Trainer: publish the model in ``folder`` as ``versions/<version>``."""

    kind: Literal["import"] = "import"
    request: int
    version: int
    layout: Layout
    folder: str
    generation: dict[str, JsonValue] = {}
    """Keys of ``generation_config.json`` that count in place of the model's own."""


class Evaluate(Message):
    """Evaluator: judge ``version`` against ``incumbent`` (null: the unigram baseline).

    The held-out set is that of the snapshot of ``cycle``, or ``files`` where given.
    """

    kind: Literal["evaluate"] = "evaluate"
    request: int
    version: int
    incumbent: int | None
    cycle: int | None
    files: tuple[str, ...] = ()


class Prepare(Message):
    """Server: first phase of the swap."""

    kind: Literal["prepare"] = "prepare"
    version: int


class Commit(Message):
    """Server: second phase; ``current`` already points to this version."""

    kind: Literal["commit"] = "commit"
    version: int


class Abandon(Message):
    """Server: forget what was prepared."""

    kind: Literal["abandon"] = "abandon"
    version: int


ToWorker = Annotated[
    Stop
    | Reload
    | Collect
    | Settle
    | Retake
    | Scan
    | Train
    | Import
    | Evaluate
    | Prepare
    | Commit
    | Abandon
    | ServiceHealth,
    Field(discriminator="kind"),
]

_FROM_WORKER: TypeAdapter[FromWorker] = TypeAdapter(FromWorker)
_TO_WORKER: TypeAdapter[ToWorker] = TypeAdapter(ToWorker)


class BadMessageError(ValueError):
    """A line that is not a message of this protocol."""


def encode(message: Message) -> bytes:
    """One line, newline included."""
    return message.model_dump_json().encode() + b"\n"


def decode_from_worker(line: bytes) -> FromWorker:
    """Read one line that a worker sent.

    Raises:
        BadMessageError: it is not a message.
    """
    try:
        return _FROM_WORKER.validate_json(line)
    except ValidationError as error:
        raise BadMessageError(f"not a message from a worker: {error}") from error


def decode_to_worker(line: bytes) -> ToWorker:
    """Read one line that the supervisor sent.

    Raises:
        BadMessageError: it is not a message.
    """
    try:
        return _TO_WORKER.validate_json(line)
    except ValidationError as error:
        raise BadMessageError(f"not a message from the supervisor: {error}") from error
