"""What ``thorctl metrics`` and ``thorctl bench`` print with ``--json``. Names are stable; more may be added."""

from typing import TypedDict


class MetricScore(TypedDict):
    """A measure of predictions, and how it was computed."""

    value: float
    signature: str
    parts: dict[str, float]


class MetricClass(TypedDict):
    """How well a label, or a type of span, is found."""

    precision: float
    recall: float
    f1: float
    support: int


class MetricConfusion(TypedDict):
    """``counts[row][column]``: how often ``labels[row]`` was right where ``columns[column]`` was predicted."""

    labels: list[str]
    columns: list[str]
    counts: list[list[int]]


class Metrics(TypedDict):
    """Predictions measured against references."""

    pairs: int
    unused: int
    scores: dict[str, MetricScore]
    classes: dict[str, MetricClass]
    confusion: MetricConfusion | None


class BenchRow(TypedDict):
    """So many clients at once."""

    clients: int
    tokens_per_second: float
    first_token_seconds: float


class Limit(TypedDict):
    """What a version reads for each token, and how fast this machine reads."""

    weight_bytes: int
    bytes_per_second: float


class Bench(Limit):
    """How fast the service answers."""

    version: str
    rows: list[BenchRow]
    achieved_bytes_per_second: float
