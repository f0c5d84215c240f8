"""What is known of a candidate without judging it, and what a cycle does differently after some came to nothing."""

import typing
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from control.paths import version_name
from daemon.cycle import CycleState
from daemon.supervisor.store.records import Cycle
from engine import variation
from engine.config.training import TrainingSettings
from engine.variation import Ending, Variation

_EXPLODED_NATS = 0.5
"""Above where it began, in the loss of validation."""
_ENDINGS: dict[str, Ending] = {ending: ending for ending in typing.get_args(Ending)}

Unworthy = tuple[Ending, str]
"""How it ended, and a sentence that says why."""


def not_worth_judging(metrics: Mapping[str, float], sha256: str, base: int | None, base_sha256: str) -> Unworthy | None:
    """Why a candidate need not be judged: its run diverged, or it has the weights it began with. Null: judge it.

    Args:
        metrics: what its run came to.
        sha256: of its weights.
        base: the version that its run began with.
        base_sha256: of that one's weights.
    """
    if metrics.get("best_step") == 0:
        steps, last = metrics.get("steps", 0), metrics.get("validation_loss")
        best, rate = metrics.get("best_validation_loss", 0.0), metrics.get("learning_rate")
        exploded = last is None or last > best + _EXPLODED_NATS
        what = "the loss exploded" if exploded else "validation never improved"
        moved = f"from {best:.3f} to {last:.3f}" if last is not None else f"from {best:.3f} to no number"
        at = f" (it was {rate:g})" if rate is not None else ""
        return "diverged", (
            f"diverged: {what} in {steps:.0f} steps, validation went {moved} and the best step is 0, so it was not "
            f"judged; lower training.learning_rate{at}"
        )
    if base is not None and sha256 == base_sha256:
        return (
            "unchanged",
            f"unchanged: it has exactly the weights of version {version_name(base)}, so it was not judged",
        )
    return None


def verdict(kind: Ending, reason: str) -> dict[str, JsonValue]:
    """A gate's verdict where no gate was asked."""
    return {"passed": False, "kind": kind, "reason": reason}


def differing(cycle: Cycle, base: int | None, earlier: Iterable[Cycle], training: TrainingSettings) -> Variation | None:
    """How a cycle is to differ from those just before it; null where none of them came to nothing.

    ``earlier`` are the cycles, newest first; those count that began with the same base on the same sources, back to the
    last one that was promoted.
    """
    endings: list[Ending] = []
    for other in earlier:
        if other.id >= cycle.id:
            continue
        if other.state is CycleState.PROMOTED:
            break
        if other.base_version == base and other.request.files == cycle.request.files and (found := _ending(other)):
            endings.append(found)
    return variation.after(endings[::-1], training, first=base is None) if endings else None


def _ending(cycle: Cycle) -> Ending | None:
    """How it came to nothing, where that was the fault of what it trained."""
    kind = str((cycle.gate or {}).get("kind", ""))
    if cycle.state is CycleState.REJECTED and kind == "better":
        return None  # it passed in shadow mode
    if cycle.state is CycleState.REJECTED:
        return _ENDINGS.get(kind, "not_shown")
    return "diverged" if cycle.state is CycleState.FAILED and kind == "diverged" else None
