"""The progress of a cycle: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from control.terminal import output

if TYPE_CHECKING:
    from control.answers import Cycle, Progress
    from control.client import Thord


def follow(thord: Thord, number: int) -> Cycle:
    """Show a cycle until it ends; the cycle as it ended."""
    return _with_bar(thord, number) if output.on_terminal() else thord.wait(number, _Lines())


class _Lines:
    """Prints a change of state at once, and steps some seconds apart: a log is read, not watched.

    How much other programs slow it down is news only where they begin or end to do so.
    """

    _SECONDS = 3.0

    def __init__(self) -> None:
        self._state = ""
        self._said = ""
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        state = progress["state"] if "step" in progress else f"{progress['state']} {progress.get('activity')}"
        is_last = "step" in progress and progress["step"] == progress.get("steps")
        news = _describe(progress, "" if progress.get("slowed_to") is None else "slowed")
        if news != self._said and (state != self._state or now >= self._next or is_last):
            output.say(describe(progress))
            self._state, self._said = state, news
            self._next = now + self._SECONDS


def describe(progress: Progress) -> str:
    """``training: step 20/300, loss 3.21, 8,123 tokens/s, 12 s left``."""
    return _describe(progress, slowed_down(progress.get("slowed_to")))


def _describe(progress: Progress, slowed: str) -> str:
    state = progress["state"]
    if "activity" in progress:
        step = f"step {progress['step']}/{progress.get('steps')}, " if "step" in progress else ""
        return f"{state}: {step}{_of_phase(progress)}" + (f", {slowed}" if slowed else "")
    if state != "training" or "step" not in progress or "steps" not in progress:
        return f"{state}: {slowed}" if slowed else state
    parts = [f"step {progress['step']}/{progress['steps']}", *_figures(progress)]
    eta = progress.get("eta_seconds")
    if eta is not None:
        parts.append(f"{output.duration(eta)} left")
    if (processes := progress.get("processes", 1)) > 1:
        parts.append(f"{processes} processes")
    if slowed:
        parts.append(slowed)
    return f"{state}: {', '.join(parts)}"


def slowed_down(share: float | None) -> str:
    """``slowed by other programs to 3 % of a processor``; empty where they do not slow it down."""
    return "" if share is None else f"slowed by other programs to {100 * share:.0f} % of a processor"


def _of_phase(progress: Progress) -> str:
    """``tokenising 300/1,200, 12 s left``."""
    text, total, eta = output.clean(progress.get("activity", "")), progress.get("total"), progress.get("eta_seconds")
    if total:
        text += f" {progress.get('done', 0):,}/{total:,}"
    return f"{text}, {output.duration(eta)} left" if eta is not None else text


def _figures(progress: Progress) -> list[str]:
    loss, validation = progress.get("loss"), progress.get("validation_loss")
    return [
        *([f"loss {loss:.3f}"] if loss is not None else []),
        *([f"validation {validation:.3f}"] if validation is not None else []),
        f"{progress.get('tokens_per_second', 0.0):,.0f} tokens/s",
    ]


def _with_bar(thord: Thord, number: int) -> Cycle:
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    name, figures = TextColumn("{task.description}"), TextColumn("{task.fields[figures]}")
    with Bar(SpinnerColumn(), name, BarColumn(None), figures, expand=True, transient=True) as bar:
        task = bar.add_task(f"cycle {number}", total=None, figures="")

        def show(progress: Progress) -> None:
            description = f"cycle {number} {progress['state']}"
            if "activity" in progress and (total := progress.get("total")):
                bar.update(task, description=description, completed=progress.get("done", 0), total=total)
                bar.update(task, figures=_of_phase(progress))
            elif progress["state"] == "training" and "step" in progress and "steps" in progress:
                step, steps = progress["step"], progress["steps"]
                bar.update(task, description=description, completed=step, total=steps, figures=_in_brief(progress))
            else:
                bar.tasks[0].total = None  # of unknown length; `update` takes None for "as before"
                figures = ", ".join(filter(None, [_of_phase(progress), slowed_down(progress.get("slowed_to"))]))
                bar.update(task, description=description, completed=0, figures=figures)

        return thord.wait(number, show)


def _in_brief(progress: Progress) -> str:
    """The figures in the little room beside a bar: ``20/300  loss 3.21  8,123 tokens/s  12 s left``."""
    loss, eta = progress.get("loss"), progress.get("eta_seconds")
    parts = [f"{progress.get('step')}/{progress.get('steps')}"]
    parts += [f"loss {loss:.2f}"] if loss is not None else []
    parts.append(f"{progress.get('tokens_per_second', 0.0):,.0f} tokens/s")
    parts += [f"{output.duration(eta)} left"] if eta is not None else []
    parts += [slowed] if (slowed := slowed_down(progress.get("slowed_to"))) else []
    return "  ".join(parts)
