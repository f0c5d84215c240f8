"""The seam between deciding and computing: what the scheduler asks of a version in one iteration, and what comes back.

Torch is not needed. `engine.inference.runners` implements it with torch and with the kernel; whatever else computes a
model, on other hardware or with adapters, stands behind the same Protocol. What is made in every iteration is a
`NamedTuple`: a frozen dataclass takes three times as long to make.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from engine.inference.constraints.constraint import Allowed
from engine.inference.requests import Sampling, Scored


class TokenSpan(NamedTuple):
    """Tokens that one cache row goes on with, after the ``start`` positions that it holds."""

    row: int
    start: int
    tokens: Sequence[int]


@dataclass(frozen=True, slots=True)
class Prefill:
    """A chunk of a prompt to read into the cache, and what to say of it."""

    span: TokenSpan
    targets: Sequence[int] = ()
    """The tokens that follow each of the chunk's, to be scored; empty: no scores are wanted."""
    top_logprobs: int = 0
    """How many of the likeliest tokens to report with each score."""
    embed: bool = False
    """Report the sum of the chunk's hidden states."""


class Choice(NamedTuple):
    """What the choice of one token needs besides scores: how to sample, and what was generated and read before."""

    sampling: Sampling
    counts: Mapping[int, int]
    """How often each token has been generated."""
    draw: float
    """Uniform in [0, 1). Greedy choices do not use it."""
    prompt: Sequence[int] = ()
    barred: Collection[int] = ()
    """Tokens that must not be chosen now."""
    allowed: Allowed | None = None
    """The tokens that may be chosen, where the answer has a structure."""
    asked: Sequence[int] = ()
    """Tokens whose log-probabilities are wanted instead of those of the chosen one."""


class ModelInput(NamedTuple):
    """One iteration of one version. All spans are of different rows."""

    prefill: Sequence[Prefill]
    decode: Sequence[TokenSpan]
    """The newest token of each answer under way."""
    choices: Sequence[Choice]
    """The tokens to choose: first one for each entry of ``after``, then one for each of ``decode``, in order."""
    after: Sequence[int]
    """Places in ``prefill`` of the prompts that end here. A place comes several times if answers share the prompt."""


class Chosen(NamedTuple):
    """A token, with its log-probability if ``Sampling.top_logprobs`` asks for it; or with those that were asked for."""

    token: int
    scored: tuple[Scored, ...] = ()


class ModelOutput(NamedTuple):
    """What an iteration computed."""

    scores: Sequence[tuple[Scored, ...]]
    """For each of ``prefill``, a score for each of its targets."""
    sums: Sequence[tuple[float, ...]]
    """For each of ``prefill``, the sum of its hidden states; empty where none is wanted."""
    chosen: Sequence[Chosen | None]
    """For each of ``choices``; None where the model computed scores that are not finite."""


class Runner(Protocol):
    """Computes one version with its own cache. Used by one thread at a time.

    What comes out for a row depends neither on the other rows nor on how a prompt was cut into chunks of
    `engine.inference.scheduling.batching`, so that an answer is the same in any company.
    """

    @property
    def prompt_step(self) -> int:
        """Chunks of prompts cost as much as the next multiple of this many tokens."""
        ...

    def run(self, work: ModelInput) -> ModelOutput:
        """Take all tokens into the cache (prefill, decode), then score, embed and choose as ``work`` asks.

        Raises:
            Exception: the model failed; what its rows hold is then undefined, and every request on them must end.
        """
        ...
