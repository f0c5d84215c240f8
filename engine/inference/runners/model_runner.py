"""A version that this process computes: a forward pass, then scores, sums and the choice of tokens.

Shapes: T tokens of one prompt, B answers, N choices to make, D hidden, V vocabulary.
"""

import math
from collections.abc import Sequence

from torch import Tensor

from engine.inference.requests import Scored
from engine.inference.runner import Chosen, ModelInput, ModelOutput, Prefill
from engine.inference.runners.forward import Forward
from engine.inference.runners.sampling import choose, score, score_each


class ModelRunner:
    """Implements `engine.inference.runner.Runner` with torch or the kernel, whichever `Forward` it is given.

    The engine's thread is in torch's inference mode already; to enter it in every iteration would cost microseconds.

    Attributes:
        forward: the version with its cache.
    """

    def __init__(self, forward: Forward) -> None:
        self.forward = forward

    @property
    def prompt_step(self) -> int:
        """As the Protocol."""
        return self.forward.prompt_step

    def run(self, work: ModelInput) -> ModelOutput:
        """As the Protocol."""
        read, newest_BD = self.forward.hidden([each.span for each in work.prefill], work.decode)
        chunks = list(zip(work.prefill, read, strict=True))
        scores = [self._scored(prompt, hidden_TD) for prompt, hidden_TD in chunks]
        sums = [_summed(prompt, hidden_TD) for prompt, hidden_TD in chunks]
        return ModelOutput(scores, sums, self._chosen(work, read, newest_BD) if work.choices else [])

    def _scored(self, prompt: Prefill, hidden_TD: Tensor) -> tuple[Scored, ...]:
        if not prompt.targets:
            return ()
        scores_TV = self.forward.scores(hidden_TD[: len(prompt.targets)])
        return tuple(score(scores_TV, prompt.targets, prompt.top_logprobs))

    def _chosen(self, work: ModelInput, read: Sequence[Tensor], newest_BD: Tensor) -> list[Chosen | None]:
        ended = list(dict.fromkeys(work.after))
        logits_NV = self.forward.logits([read[place][-1] for place in ended], newest_BD).float()
        if len(work.after) > len(ended):  # several choices by the scores of one prompt
            rows = [ended.index(place) for place in work.after]
            logits_NV = logits_NV[[*rows, *range(len(ended), len(logits_NV))]]
        healthy = [math.isfinite(total) for total in logits_NV.sum(-1).tolist()]  # NaN and infinity stay in a sum
        if not all(healthy):
            logits_NV = logits_NV.nan_to_num()
        tokens = choose(logits_NV, work.choices)
        chosen: list[Chosen | None] = [Chosen(token) for token in tokens]
        for place, (choice, is_healthy) in enumerate(zip(work.choices, healthy, strict=True)):
            top_logprobs = choice.sampling.top_logprobs
            if not is_healthy:
                chosen[place] = None
            elif choice.asked:
                chosen[place] = Chosen(tokens[place], tuple(score_each(logits_NV[place], choice.asked)))
            elif top_logprobs is not None:
                scored = score(logits_NV[place : place + 1], tokens[place : place + 1], top_logprobs)
                chosen[place] = Chosen(tokens[place], tuple(scored))
        return chosen


def _summed(prompt: Prefill, hidden_TD: Tensor) -> tuple[float, ...]:
    return tuple(hidden_TD.float().sum(0).tolist()) if prompt.embed else ()
