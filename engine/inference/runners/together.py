"""One iteration of several versions: in one pass where they share a base, else one after the other.

So the weights of the base are read once for all tokens, whichever versions they belong to. What comes out for a version
is what it gets alone.
"""

from collections.abc import Iterable, Sequence

from torch import Tensor

from engine.inference.runner import ModelInput, ModelOutput, TokenSpan
from engine.inference.runners.forward import KernelForward, hidden_of_several
from engine.inference.runners.model_runner import ModelRunner


def groups(runners: Iterable[tuple[int, ModelRunner]]) -> list[list[int]]:
    """Versions, given with what computes them, by which can be computed in one pass."""
    found: dict[int, list[int]] = {}
    for version, runner in runners:
        forward = runner.forward
        common = forward.decoder.program if isinstance(forward, KernelForward) else runner
        found.setdefault(id(common), []).append(version)
    return list(found.values())


def run(runners: Sequence[ModelRunner], works: Sequence[ModelInput]) -> list[ModelOutput]:
    """What `ModelRunner.run` would say of each, of versions that `groups` puts together.

    Raises:
        Exception: as `engine.inference.runner.Runner`; nothing is known of any of them then, and each may be run alone.
    """
    if len(runners) == 1:
        return [runners[0].run(works[0])]
    forwards = [runner.forward for runner in runners if isinstance(runner.forward, KernelForward)]
    output = ModelRunner(_Together(forwards, works)).run(_joined(works))
    return _apart(output, works)


class _Together:
    """The forward pass of several versions. Implements `Forward`; spans are those of ``works``, in order."""

    depends_on_shapes = False
    prompt_step = 1

    def __init__(self, forwards: Sequence[KernelForward], works: Sequence[ModelInput]) -> None:
        self._forwards = forwards
        self._works = works

    def hidden(self, prompts: Sequence[TokenSpan], newest: Sequence[TokenSpan]) -> tuple[list[Tensor], Tensor]:
        """As the Protocol."""
        del prompts, newest
        return hidden_of_several(
            [
                (forward, [each.span for each in work.prefill], work.decode)
                for forward, work in zip(self._forwards, self._works, strict=True)
            ]
        )

    def scores(self, hidden_TD: Tensor) -> Tensor:
        """As the Protocol; all have one head."""
        return self._forwards[0].scores(hidden_TD)

    def logits(self, read: Sequence[Tensor], newest_BD: Tensor) -> Tensor:
        """As the Protocol; all have one head."""
        return self._forwards[0].logits(read, newest_BD)


def _joined(works: Sequence[ModelInput]) -> ModelInput:
    """All prompts, then all newest tokens, with the choices in the order that `ModelInput` wants."""
    first = 0
    after: list[int] = []
    for work in works:
        after += [first + place for place in work.after]
        first += len(work.prefill)
    return ModelInput(
        [prompt for work in works for prompt in work.prefill],
        [span for work in works for span in work.decode],
        [choice for work in works for choice in work.choices[: len(work.after)]]
        + [choice for work in works for choice in work.choices[len(work.after) :]],
        after,
    )


def _apart(output: ModelOutput, works: Sequence[ModelInput]) -> list[ModelOutput]:
    """What each of the joined gets."""
    found: list[ModelOutput] = []
    prompt, ended, going_on = 0, 0, sum(len(work.after) for work in works)
    for work in works:
        end, last_ended = prompt + len(work.prefill), ended + len(work.after)
        last_going_on = going_on + len(work.choices) - len(work.after)
        chosen = [*output.chosen[ended:last_ended], *output.chosen[going_on:last_going_on]]
        found.append(ModelOutput(output.scores[prompt:end], output.sums[prompt:end], chosen))
        prompt, ended, going_on = end, last_ended, last_going_on
    return found
