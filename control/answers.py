"""The objects that thord answers with and ``thorctl --json`` prints. Names are stable; more may be added."""

from collections.abc import Mapping
from typing import Literal, NotRequired, TypedDict

from control.quality import Quality

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""Any JSON value."""


class Counts(TypedDict):
    """How many samples are in each state and of each kind, and how many files or records are in quarantine.

    ``held`` are samples of kinds that no objective learns yet: preferences and labelled ones.
    """

    new: int
    assigned: int
    learned: int
    held_out: int
    set_aside: int
    held: NotRequired[int]
    quarantined: int
    by_kind: NotRequired[dict[str, int]]
    by_format: NotRequired[dict[str, int]]
    by_source: NotRequired[dict[str, int]]


class Sample(TypedDict):
    """What a candidate and the version in service answered; ``expected`` is what a person wrote there."""

    prompt: str
    expected: str | None
    candidate: str
    incumbent: str | None


class Training(TypedDict):
    """What the run of a cycle decided before its first step."""

    method: Literal["full", "lora"]
    epochs: float
    max_steps: int | None
    rows_per_step: int
    learning_rate: float
    kl_weight: float


class Epoch(TypedDict):
    """What one epoch of a run came to. Losses are in nats per supervised token."""

    epoch: int
    global_step: int
    train_loss: float | None
    val_loss: float | None
    best_val_loss: float | None
    epochs_no_improve: int
    samples_per_sec: float


class Epochs(TypedDict):
    """The epochs of a run, and what it came to: ``test_loss`` is known once it has ``finished``."""

    finished: bool
    early_stopped: bool
    test_loss: float | None
    epoch_summary: list[Epoch]


class Cycle(TypedDict):
    """One unit of learning. ``reason`` says what started it, ``outcome`` why it ended as it did."""

    id: int
    state: str
    reason: str | None
    outcome: NotRequired[str | None]
    attempt: int
    conversations: int | None
    replayed: NotRequired[int | None]
    base_version: str | None
    version: str | None
    gate: dict[str, Json] | None
    metrics: NotRequired[dict[str, float] | None]
    quality: NotRequired[Quality | None]
    differs: NotRequired[str]
    training: NotRequired[Training | None]
    epochs: NotRequired[Epochs | None]
    samples: NotRequired[list[Sample]]
    waiting: NotRequired[int]
    started_at: str | None
    ended_at: str | None
    next_cycle_at: NotRequired[str | None]
    progress: NotRequired["Progress"]


class Worker(TypedDict):
    """One process of thord."""

    state: str
    pid: int | None
    restarts: int
    uptime_seconds: float | None
    activity: NotRequired[str]
    slowed_to: NotRequired[float | None]


class Api(TypedDict):
    """Where the public API is."""

    url: str


class Space(TypedDict):
    """Bytes of memory or disk."""

    total: int
    free: int


class Gpu(TypedDict):
    """One GPU."""

    name: str
    memory_total: int
    memory_used: int
    utilization_percent: float | None


class Host(TypedDict, total=False):
    """What the monitor measured last; nothing before it has."""

    cpu_percent: float
    memory: Space
    disk: Space
    gpus: list[Gpu]


class Paused(TypedDict):
    """Since when no cycle starts by itself, and who wished so."""

    since: str
    by: str


class Schedule(TypedDict):
    """When the next cycle starts by itself."""

    paused: Paused | None
    next_cycle_at: str | None


class Audit(TypedDict):
    """An anchor test: two versions on conversations that no gate reads; below zero, ``version`` is better."""

    at: str
    version: str
    against: str
    decision: Literal["worse", "better", "stays"]
    conversations: int
    difference: float | None
    lower: float | None
    upper: float | None


class AnchorState(TypedDict):
    """The best version by the anchor tests, and the tests, oldest first."""

    version: str | None
    promotions_since: int
    audits: list[Audit]


class JobUnderWay(TypedDict):
    """A job that the trainer or the evaluator works on."""

    id: int
    kind: str
    run_id: str | None
    progress: dict[str, Json] | None


class Status(TypedDict):
    """What thord is doing."""

    state: Literal["starting", "ready", "degraded", "stopping"]
    reasons: NotRequired[list[str]]
    warnings: NotRequired[list[str]]
    home: str
    pid: int
    uptime_seconds: float
    version: str | None
    quality: NotRequired[Quality | None]
    api: Api
    workers: dict[str, Worker]
    cycle: Cycle | None
    jobs: NotRequired[list[JobUnderWay]]
    next_cycle_at: str | None
    next_cycle_waits: NotRequired[bool]
    paused: NotRequired[Paused | None]
    conversations: Counts
    anchor: NotRequired[AnchorState]
    unwatched: NotRequired[dict[str, str]]
    integrations: NotRequired[dict[str, dict[str, int]]]
    host: NotRequired[Host | None]


class Version(TypedDict):
    """One published state of the model."""

    version: str
    parent: str | None
    method: NotRequired[Literal["full", "lora"]]
    base: NotRequired[str | None]
    base_sha256: NotRequired[str]
    bytes: NotRequired[int]
    cycle: int | None
    state: Literal["serving", "resident", "available", "rejected", "quarantined", "purged"]
    form: NotRequired[Literal["whole", "merged", "unmerged"] | None]
    created_at: str
    sha256: str
    parameters: int
    metrics: dict[str, float]
    quality: NotRequired[Quality | None]
    settings: NotRequired[dict[str, Json]]
    note: NotRequired[str | None]
    pinned: NotRequired[bool]
    purged_at: NotRequired[str | None]
    purged_why: NotRequired[str | None]
    kept_because: NotRequired[str | None]
    kept_until: NotRequired[str | None]


class Progress(TypedDict):
    """Where a cycle is: what it does, how much of it is done and of how much, or the step of training."""

    state: str
    activity: NotRequired[str]
    done: NotRequired[int]
    total: NotRequired[int | None]
    step: NotRequired[int]
    steps: NotRequired[int]
    loss: NotRequired[float | None]
    learning_rate: NotRequired[float]
    tokens_per_second: NotRequired[float]
    eta_seconds: NotRequired[float | None]
    processes: NotRequired[int]
    validation_loss: NotRequired[float | None]
    slowed_to: NotRequired[float]
    """The share of a processor that other programs leave it, where they slow it down."""


class Configuration(TypedDict):
    """Settings, all resolved; how the profile was chosen; which key was set where (others are at their default)."""

    settings: dict[str, Json]
    profile: str
    why: str
    origins: dict[str, str]
    warnings: NotRequired[list[str]]


class Reloaded(TypedDict):
    """What a reload did."""

    applied: list[str]
    needs_restart: list[str]
    warnings: NotRequired[list[str]]
    notes: NotRequired[list[str]]


class Thing(TypedDict):
    """Something on disk that ``[retention]`` decides about."""

    kind: str
    number: int
    name: NotRequired[str]
    bytes: int
    why: str


class Cleaning(TypedDict):
    """What goes, with its size and the rule that takes it, and what stays. ``failed``: what could not be removed."""

    bytes: int
    kept_bytes: int
    removed: list[Thing]
    kept: list[Thing]
    failed: list[str]


class Event(TypedDict):
    """Something that happened; further fields depend on the type."""

    id: int
    at: str
    type: str


class Answer(TypedDict):
    """A text from the model that serves."""

    text: str
    version: str
    finish_reason: str | None
    usage: Mapping[str, int] | None


class ThinkingStep(TypedDict):
    """Means over a text had thinking stopped here; null before the first step."""

    step: int
    change: float | None
    relative_change: float | None
    other_byte: float | None
    entropy: float
    loss: float
    bits_per_byte: float


class Thinking(TypedDict):
    """What each thinking step of a version changes."""

    version: str
    bytes: int
    left_out: int
    steps: list[ThinkingStep]


class Followed(TypedDict, total=False):
    """One line of a cycle that is followed: its progress, and at the end the cycle."""

    progress: Progress
    cycle: Cycle


class Turn(TypedDict, total=False):
    """A message, or a piece of one, in an answer of the public API."""

    role: str
    content: str | None


class Choice(TypedDict):
    """One of the answers in a completion."""

    finish_reason: str | None
    text: NotRequired[str]
    message: NotRequired[Turn]
    delta: NotRequired[Turn]


class Failure(TypedDict):
    """What went wrong."""

    code: str | None
    message: str


class Completion(TypedDict):
    """What the public API answers, in the shape of OpenAI's."""

    choices: list[Choice]
    system_fingerprint: NotRequired[str | None]
    usage: NotRequired[dict[str, int] | None]
    error: NotRequired[Failure]


class Predictions(TypedDict):
    """The answers to several texts."""

    task: str
    predictions: list[dict[str, Json]]
    version: str
