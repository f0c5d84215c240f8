"""What `bench_serve` times, and which ratios are to be reached."""

import random
from dataclasses import dataclass

from serving.weights import Shape


@dataclass(frozen=True)
class Goal:
    """How many times as fast one contestant is to be as another."""

    ours: str
    theirs: str
    ratio: float


@dataclass(frozen=True)
class Case:
    """Greedy answers to prompts that nobody has seen before.

    Attributes:
        name: as ``--only`` has it.
        goals: what is to be reached.
        clients: how many prompts come.
        prompt: tokens of each prompt; 0: as the shape says.
        answer: tokens of each answer; 0: as the shape says.
        counts: tokens of the answers, or of the prompts.
        after_first: the time to the first token is left out.
        between: seconds from one client to the next, on average; 0: all come at once.
    """

    name: str
    goals: tuple[Goal, ...]
    clients: int = 1
    prompt: int = 0
    answer: int = 0
    counts: str = "answers"
    after_first: bool = False
    between: float = 0.0

    def lengths(self, shape: Shape) -> tuple[int, int]:
        """Tokens of a prompt, and of its answer."""
        return self.prompt or shape.prompt, self.answer or shape.answer

    def tokens(self, shape: Shape) -> int:
        """How many are counted."""
        prompt, answer = self.lengths(shape)
        return self.clients * (prompt if self.counts == "prompts" else answer - self.after_first)

    def arrivals(self) -> list[float]:
        """When each client comes, the same for everybody: a Poisson process. Nobody ends before the last one came."""
        draws = random.Random(1)
        times = [0.0]
        while len(times) < self.clients:
            times.append(times[-1] + draws.expovariate(1 / self.between))
        return times


def _beside_llama(ratio: float) -> tuple[Goal, ...]:
    kinds = {"ours bf16": "llama.cpp BF16", "ours int8": "llama.cpp Q8_0", "ours int4": "llama.cpp Q4_0"}
    return tuple(Goal(ours, theirs, ratio) for ours, theirs in kinds.items())


def _beside_transformers(ratio: float) -> Goal:
    return Goal("ours bf16", "transformers bf16", ratio)


CASES = (
    Case("one client", (*_beside_llama(1.0), _beside_transformers(1.6), Goal("ours int8", "ours bf16", 1.5))),
    Case("eight clients", (*_beside_llama(1.2), _beside_transformers(1.3)), clients=8),
    Case("prompt of 256", _beside_llama(1.0), prompt=256, answer=1, counts="prompts"),
    Case("prompt of 512", _beside_llama(1.0), prompt=512, answer=1, counts="prompts"),
    Case("one client after 900 tokens", _beside_llama(1.0), prompt=900, after_first=True),
    Case("16 arriving, 50 ms", (_beside_transformers(3.0),), clients=16, between=0.05),
    Case("16 arriving, 25 ms", (_beside_transformers(3.0),), clients=16, between=0.025),
)
