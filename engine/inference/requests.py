"""What a client asks of the engine, and the events it gets back."""

import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.generation import Generation
from engine.inference.candidates import CandidateScores
from engine.inference.constraints.constraint import Constraint
from engine.inference.stopping import TextStream

GREEDY_BELOW = 1e-5
"""Temperatures under this are greedy: dividing by them would only overflow."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. Penalties and biases come first, then temperature, top_k, top_p, min_p."""

    temperature: float = 1.0
    top_k: int = 0
    """0: no limit."""
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    """Divides positive scores, and multiplies negative ones, of what is in prompt or answer (CTRL, 1909.05858)."""
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    top_logprobs: int | None = None
    """How many of the likeliest tokens to report with each chosen one. None: no log-probabilities at all."""

    @property
    def greedy(self) -> bool:
        """The likeliest token is taken, without a draw."""
        return self.temperature < GREEDY_BELOW

    @property
    def adjusts(self) -> bool:
        """Scores are changed before the choice."""
        return bool(
            self.presence_penalty or self.frequency_penalty or self.logit_bias or self.repetition_penalty != 1.0
        )


def sampling_of(generation: Generation) -> Sampling:
    """How a model is sampled from by default; what it does not say has no effect."""
    return Sampling(
        temperature=0.0 if generation.is_greedy else _or(generation.temperature, 1.0),
        top_k=max(generation.top_k or 0, 0),
        top_p=generation.top_p or 1.0,
        min_p=generation.min_p or 0.0,
        repetition_penalty=_or(generation.repetition_penalty, 1.0),
    )


def _or(said: float | None, otherwise: float) -> float:
    return otherwise if said is None else said


@dataclass(frozen=True, slots=True)
class GenerationParams:
    """What to generate after each prompt of a request."""

    max_tokens: int
    """Clipped to the room the context leaves. 0 with ``score_prompt``: only score."""
    sampling: Sampling = Sampling()
    min_tokens: int = 0
    """Before so many are generated neither tokens nor ``stop`` end an answer."""
    stop: tuple[str, ...] = ()
    eos_ids: frozenset[int] = frozenset()
    """Special tokens that end an answer."""
    stop_ids: frozenset[int] = frozenset()
    """Other tokens that end an answer."""
    show_stop: bool = False
    """The stop string, or the text of the token, that ends an answer is a part of it."""
    score_prompt: bool = False
    """Report the log-probability of every prompt token after the first."""
    sum_hidden: bool = False
    """Report the sum of the last layer's hidden states over the prompt."""
    constraint: Constraint | None = None
    """What the answer must look like."""
    constraints: tuple[Constraint, ...] = ()
    """What the answer to each prompt must look like, where they differ."""
    candidates: tuple[tuple[int, ...], ...] = ()
    """Instead of an answer, report how probable each of these is after the prompt, which is read once."""

    @property
    def ending_ids(self) -> frozenset[int]:
        """Every token that ends an answer."""
        return self.eos_ids | self.stop_ids

    @property
    def room(self) -> int:
        """Positions that must be left behind a prompt."""
        return max([int(self.max_tokens > 0), *(len(tokens) - 1 for tokens in self.candidates)])

    @property
    def most_tokens(self) -> int:
        """Positions that are taken behind a prompt, where the context leaves them."""
        return max([self.max_tokens, *map(len, self.candidates)]) if self.candidates else self.max_tokens

    @property
    def reads_all(self) -> bool:
        """Something is to be said of every prompt token, so none can be taken over from another sequence."""
        return self.score_prompt or self.sum_hidden


@dataclass(frozen=True, slots=True)
class Scored:
    """A token, its log-probability under the model itself, and the likeliest tokens in its place."""

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


# Events, in the order they come: Bound; for each sequence (PromptScored, PromptSummed, CandidatesScored), Delta...,
# Finished. Or Failed, which is last.


@dataclass(frozen=True, slots=True)
class Bound:
    """The request has its version. A second one means: forget all that came before, it began anew on this version."""

    version: int
    queued_seconds: float


@dataclass(frozen=True, slots=True)
class PromptScored:
    """Scores of the prompt's tokens from the second on, in order; a long prompt sends several."""

    sequence: int
    tokens: tuple[Scored, ...]


@dataclass(frozen=True, slots=True)
class PromptSummed:
    """The sum of the hidden states of some of the prompt's tokens, by dimension; a long prompt sends several."""

    sequence: int
    sums: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CandidatesScored:
    """The log-probability of each candidate after the prompt, in order."""

    sequence: int
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """Generated tokens and the text that may be shown now; text lags behind where a stop string may be forming."""

    sequence: int
    text: str
    tokens: tuple[Scored, ...] = ()
    generated: int = 0
    """Tokens of the sequence so far."""


EndedBy = Literal["eos", "stop_token", "stop_string", "length"]
"""One of ``eos_ids``, one of ``stop_ids``, one of ``stop``, or a limit: ``max_tokens`` or the context.

A request that was cancelled hears nothing more.
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """One sequence ended. ``generated`` counts its tokens, the one that ended it included."""

    sequence: int
    ended_by: EndedBy
    generated: int
    cached_tokens: int = 0
    """Tokens of its prompt that another sequence had read already."""
    stop: str = ""
    """The stop string that ended it."""


FailureKind = Literal[
    "too_long", "version_gone", "drained", "timeout", "no_memory", "structure", "internal", "stopping"
]


@dataclass(frozen=True, slots=True)
class Failed:
    """The whole request ended without an answer, or in the middle of one."""

    kind: FailureKind
    message: str


Event = Bound | PromptScored | PromptSummed | CandidatesScored | Delta | Finished | Failed
_numbers = itertools.count()


class QueueFullError(Exception):
    """Too many sequences wait."""


class PromptTooLongError(ValueError):
    """A prompt that leaves no room in the context."""

    def __init__(self, prompt: int, context: int) -> None:
        super().__init__(
            f"the prompt has {prompt} tokens, and this model's maximum context length is {context} tokens, generated "
            "ones included: shorten the prompt"
        )


class Request:
    """All sequences of one answer. They share one version, so an answer never mixes two.

    Attributes:
        client: whose turn in the queue it uses.
        pin: the version asked for by number.
        streamed: each piece leaves as it comes, so the request cannot begin anew once one has left.
        receive: called with each event, wherever the engine's listener calls it.
        version: what it is bound to.
        announced: `Bound` was sent.
        sent: something has left that cannot be taken back.
        open: sequences that have not ended.
    """

    def __init__(
        self,
        prompts: Sequence[Sequence[int]],
        params: GenerationParams,
        receive: Callable[[Event], None],
        *,
        client: str = "",
        pin: int | None = None,
        streamed: bool = False,
        deadline: float = float("inf"),
    ) -> None:
        if any(not prompt for prompt in prompts):
            raise ValueError("a prompt needs at least one token")
        self.number = next(_numbers)
        self.params = params
        self.receive = receive
        self.client = client
        self.pin = pin
        self.streamed = streamed
        self.deadline = deadline
        self.version: int | None = None
        self.announced = False
        self.sent = False
        self.submitted_at = time.monotonic()
        same = {id(prompt): list(prompt) for prompt in prompts}
        self.sequences = [SequenceState(self, index, same[id(prompt)]) for index, prompt in enumerate(prompts)]
        self.open = len(self.sequences)

    def check_length(self, context: int) -> None:
        """Compare the longest prompt with a model's context.

        Raises:
            PromptTooLongError: it leaves no room for what is to be generated.
        """
        longest = max(len(sequence.prompt) for sequence in self.sequences)
        if longest + self.params.room > context:
            raise PromptTooLongError(longest, context)

    def restart(self) -> None:
        """Go back to the state before the first iteration."""
        self.version = None
        self.announced = False
        self.open = len(self.sequences)
        for sequence in self.sequences:
            sequence.reset()


class SequenceState:
    """One prompt and what has been generated after it.

    Attributes:
        row: its row in the cache of its version.
        computed: positions of that row that are written.
        cached_tokens: how many of these another sequence had read.
        limit: how many tokens may be generated, known once it is bound.
        counts: how often each token was generated, for penalties.
        mask: the tokens that it may go on with; null where nothing constrains it.
        scoring: how probable the candidates are; null where there are none.
    """

    def __init__(self, request: Request, index: int, prompt: list[int]) -> None:
        self.request = request
        self.index = index
        self.prompt = prompt
        self.reset()

    def reset(self) -> None:
        """Forget everything but the prompt."""
        self.row: int | None = None
        self.computed = 0
        self.cached_tokens = 0
        self.limit = 0
        self.output: list[int] = []
        self.counts: dict[int, int] = {}
        params = self.request.params
        constraint = params.constraints[self.index] if params.constraints else params.constraint
        self.mask = None if constraint is None else constraint.begin()
        candidates = self.request.params.candidates
        self.scoring = CandidateScores(candidates) if candidates else None
        self.text = TextStream(self.request.params.stop, show_stop=self.request.params.show_stop)
        seed = self.request.params.sampling.seed
        # A generator of its own, so that a seeded draw does not depend on who else is in the batch.
        self.draws = random.Random() if seed is None else random.Random(f"{seed}/{self.index}")

    def append(self, token: int, data: bytes) -> tuple[str, EndedBy | None]:
        """Add a generated token, which stands for ``data``.

        Returns:
            The text that may be shown now; and what ends the sequence, None if it goes on.
        """
        self.output.append(token)
        self.counts[token] = self.counts.get(token, 0) + 1
        params = self.request.params
        ends = token in params.eos_ids or token in params.stop_ids
        push = self.text.push_unstoppable if ends or len(self.output) <= params.min_tokens else self.text.push
        text = push(data) if not ends or params.show_stop else ""
        full = len(self.output) >= self.limit
        if (ends or full) and not self.text.stopped:
            text += self.text.finish()
        if ends:
            return text, "eos" if token in params.eos_ids else "stop_token"
        if self.text.stopped:
            return text, "stop_string"
        if full:
            return text, "length"
        if self.mask is not None:
            self.mask.advance(token)
        return text, None

    def end(self, context: int) -> int:
        """Positions that it comes to at most, in a model of such a context."""
        return min(len(self.prompt) + self.request.params.most_tokens, context)

    @property
    def below_minimum(self) -> bool:
        """The next token must not end the answer."""
        return len(self.output) < self.request.params.min_tokens

    @property
    def prefilling(self) -> bool:
        """The prompt is not yet wholly in the cache."""
        return self.computed < len(self.prompt)

    def waits_for(self, other: "SequenceState") -> bool:
        """The other reads the same prompt for the same request, so that this one need not read it."""
        shared = self.prompt is other.prompt and self is not other
        return shared and self.prefilling and not self.request.params.reads_all
