"""What evaluations by thorctl answer with, as ``--json`` prints it. Names are stable; more may be added."""

from typing import Literal, NotRequired, TypedDict

from control.answers import AnchorState, Json, Sample
from control.measuring_answers import MetricConfusion


class SuiteAnswer(TypedDict):
    """A version on one suite.

    ``measure`` names the figure that a guard of the gate compares. ``cached``: likelihoods were known already.
    """

    samples: int
    left_out: int
    data_sha256: str
    measure: Literal["bits_per_byte", "accuracy"]
    metrics: dict[str, float]
    confusion: MetricConfusion | None
    cached: bool


class SuitesAnswer(TypedDict):
    """A version on each suite."""

    folder: str
    sha256: str
    suites: dict[str, SuiteAnswer]


class Speed(TypedDict):
    """How fast a version answers one client, and the memory that takes."""

    folder: str
    sha256: str
    load_seconds: float
    first_token_seconds: float
    tokens_per_second: float
    peak_memory_bytes: int
    weight_bytes: int
    prompt_tokens: int
    answer_tokens: int


class ReportCase(TypedDict):
    """One conversation, and the bits per byte of both versions on it."""

    source: str
    prompt: str
    answer: str
    candidate: float
    incumbent: float | None


class ReportSlice(TypedDict):
    """Part of the conversations, and the bits per byte of both versions on it."""

    by: str
    name: str
    conversations: int
    candidate: float
    incumbent: float | None


class ReportAnalysis(TypedDict):
    """Both versions, conversation by conversation; ``differences`` are sorted, below zero is better."""

    conversations: int
    candidate: float
    incumbent: float | None
    edges: list[float]
    candidate_counts: list[int]
    incumbent_counts: list[int]
    worst: list[ReportCase]
    won: list[ReportCase]
    lost: list[ReportCase]
    differences: list[float]
    better: int
    worse: int
    slices: list[ReportSlice]


class ReportTaskCase(TypedDict):
    """One row of a task: what both versions answer, and what is right.

    ``probability`` is what the candidate gives its label; null for tasks without.
    """

    text: str
    expected: str
    candidate: str
    incumbent: str | None
    probability: float | None


class ReportConfusedPair(TypedDict):
    """How often ``predicted`` was said for ``expected``, with a few of the texts."""

    expected: str
    predicted: str
    candidate: int
    incumbent: int | None
    examples: list[str]


class ReportTask(TypedDict):
    """Both versions on the rows of one task; ``better`` and ``worse`` count rows, ``won`` and ``lost`` show some.

    ``counts`` has a row for each label that is right and a column for each that the candidate says; both are empty for
    tasks without labels, and for those with very many.
    """

    kind: str
    rows: int
    right: int
    incumbent_right: int | None
    candidate: dict[str, float]
    incumbent: dict[str, float]
    labels: list[str]
    counts: list[list[int]]
    confused: list[ReportConfusedPair]
    wrong: list[ReportTaskCase]
    better: int
    worse: int
    won: list[ReportTaskCase]
    lost: list[ReportTaskCase]


class ReliabilityBin(TypedDict):
    """Tokens of one bin of probability: how many, its mean, and the share of those that were right."""

    tokens: int
    confidence: float
    right: float


class ReportSuite(TypedDict):
    """What both versions come to on a suite."""

    samples: int
    candidate: dict[str, float]
    incumbent: dict[str, float]


class Report(TypedDict):
    """What ``thorctl report`` shows.

    ``decided``: the verdict is the one that decided on the version; otherwise it is only what the gate would say.
    ``anchor`` is null where thord does not run.
    """

    version: str
    against: str | None
    measured_on: Literal["held out", "files"]
    decided: bool
    verdict: dict[str, Json] | None
    analysis: ReportAnalysis
    tasks: dict[str, ReportTask]
    reliability: dict[str, list[ReliabilityBin]]
    samples: list[Sample]
    suites: dict[str, ReportSuite]
    metrics: dict[str, float]
    manifest: dict[str, Json]
    anchor: NotRequired[AnchorState | None]
