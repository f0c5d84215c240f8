"""What evaluations by thorctl answer with, as ``--json`` prints it. Names are stable; more may be added."""

from typing import Literal, NotRequired, TypedDict

from control.answers import AnchorState, Json, MetricConfusion, Sample


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
    reliability: dict[str, list[ReliabilityBin]]
    samples: list[Sample]
    suites: dict[str, ReportSuite]
    metrics: dict[str, float]
    manifest: dict[str, Json]
    anchor: NotRequired[AnchorState | None]
