"""What each thinking step of an ``agiformer`` changes, on a text.

``python -m engine.evaluation.thinking VERSION`` reads the text from standard input and prints a
`ThinkingReport` as JSON.
"""

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from engine import version
from engine.artifacts import ArtifactError
from engine.device import Placement
from engine.manifest import version_name
from engine.models.agiformer import Agiformer
from engine.tokenizers.encode import encode_text
from engine.version import LoadedVersion


@dataclass(frozen=True)
class ThinkingStep:
    """Means over the bytes of a text had thinking stopped after ``step`` rounds. Entropy and loss are in nats.

    Attributes:
        change: Euclidean length of what the step adds to the state that predicts a byte; null before the first.
        relative_change: the same as a share of the state before.
        other_byte: share of the places at which another byte became the likeliest.
    """

    step: int
    change: float | None
    relative_change: float | None
    other_byte: float | None
    entropy: float
    loss: float
    bits_per_byte: float


@dataclass(frozen=True)
class ThinkingReport:
    """What was looked at, ``bytes`` of it, and ``left_out`` more that are beyond the model's context."""

    version: str
    bytes: int
    left_out: int
    steps: list[ThinkingStep]


class ThoughtlessError(Exception):
    """This version has no thinking steps to look at; the message says why."""


def look(loaded: LoadedVersion, text: str) -> ThinkingReport:
    """Every step on as much of ``text``, which must not be empty, as the model can see at once.

    Raises:
        ThoughtlessError: the version is of another family.
    """
    model, name = loaded.model, version_name(loaded.manifest.version)
    if not isinstance(model, Agiformer):
        raise ThoughtlessError(f"version {name} is of family {loaded.config.family}; only an agiformer thinks in steps")
    ids = encode_text(loaded.tokenizer, text)
    seen = ids[: model.context + 1]
    tokens_BT, targets_T = torch.tensor([seen[:-1]]), torch.tensor(seen[1:])
    positions_BT = torch.arange(len(seen) - 1)[None]
    with torch.inference_mode():
        rounds = model.hidden_by_round(tokens_BT, positions_BT, torch.zeros_like(tokens_BT))
        states = [hidden_BTD[0].float() for hidden_BTD in rounds]
        scores = [model.logits(state_TD).log_softmax(-1) for state_TD in states]
    steps = [_step(number, states, scores, targets_T) for number in range(len(states))]
    return ThinkingReport(name, len(seen) - 1, len(ids) - len(seen), steps)


def _step(number: int, states: list[Tensor], scores: list[Tensor], targets_T: Tensor) -> ThinkingStep:
    scores_TV = scores[number]
    loss = F.nll_loss(scores_TV, targets_T).item()
    change, relative, other = None, None, None
    if number:
        before_TD, scores_before_TV = states[number - 1], scores[number - 1]
        change_T = (states[number] - before_TD).norm(dim=-1)
        change, relative = change_T.mean().item(), (change_T / before_TD.norm(dim=-1)).mean().item()
        other = (scores_TV.argmax(-1) != scores_before_TV.argmax(-1)).float().mean().item()
    entropy = -(scores_TV.exp() * scores_TV).sum(-1).mean().item()
    return ThinkingStep(number, change, relative, other, entropy, loss, loss / math.log(2))


def main() -> int:
    """0, or 1 and the reason on standard error."""
    parser = argparse.ArgumentParser(description="Show what each thinking step changes, on a text from standard input.")
    parser.add_argument("folder", type=Path, metavar="VERSION", help="the folder of a version")
    options = parser.parse_args()
    try:
        loaded = version.load(options.folder, Placement(torch.device("cpu"), torch.float32))
        print(json.dumps(asdict(look(loaded, sys.stdin.buffer.read().decode()))))
    except (ArtifactError, ThoughtlessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
