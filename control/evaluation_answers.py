"""What evaluations by thorctl answer with, as ``--json`` prints it. Names are stable; more may be added."""

from typing import Literal, TypedDict

from control.answers import MetricConfusion


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
