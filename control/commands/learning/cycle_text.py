"""A cycle in words: how it ended, what its version is worth, and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control.terminal import output

if TYPE_CHECKING:
    from control.answers import Cycle, Epochs, Sample, Training

_WIDTH = 400
"""Characters of a sample's text that are shown."""
_EPOCHS = 20
"""Rows of the table of epochs that are shown; --json has them all."""


def say_outcome(cycle: Cycle, waiting: int) -> None:
    """How a cycle ended, in a sentence or two, and how many conversations wait for the next."""
    number, state = cycle["id"], cycle["state"]
    verdict = (cycle["gate"] or {}).get("reason") if state in {"promoted", "rejected"} else None
    outcome = output.clean(verdict or cycle.get("outcome") or "")
    version = f"version {cycle['version']}" if cycle["version"] else "what was learned"
    quality = cycle.get("quality") if state in {"promoted", "rejected"} else None
    poor = quality is not None and quality["level"] == "noise"
    sentences = {
        "promoted": f"cycle {number} is done: {version} serves now{', but it is of no use yet' if poor else ''}",
        "rejected": f"cycle {number} is done: {version} stays out of service",
        "skipped": f"cycle {number} was skipped",
        "failed": f"cycle {number} failed",
        "cancelled": f"cycle {number} was cancelled",
    }
    sentence = sentences.get(state, f"thord stopped while cycle {number} was {state}; it goes on when thord starts")
    output.say(f"{sentence}: {outcome}" if outcome else sentence)
    if quality is not None:
        output.say(f"how good it is: {quality['words']}")
    if differs := cycle.get("differs"):
        output.say(f"differs from the previous attempt: {differs}")
    if waiting:
        output.say(f"{waiting:,} {_conversations(waiting)} for the next cycle: thorctl train --wait")
    output.say(f"its figures, and what it answers: thorctl cycle {number}")


def where_answers_are(cycle: int) -> str:
    """The command that shows what a version answers: that of its cycle."""
    return f"what it answers, beside the version before it: thorctl cycle {cycle}"


def show(cycle: Cycle) -> None:
    """Everything about a cycle."""
    from control.terminal.progress import describe

    quality = cycle.get("quality")
    output.fields(
        {
            "cycle": str(cycle["id"]),
            "state": output.paint_state(cycle["state"]),
            "outcome": output.clean(cycle.get("outcome")),
            **({"progress": describe(cycle["progress"])} if "progress" in cycle else {}),
            "how good it is": quality["words"] if quality else "-",
            "differs from the last": output.clean(cycle.get("differs")),
            "started by": output.clean(cycle["reason"]),
            "attempt": str(cycle["attempt"]),
            "conversations": output.figure(cycle["conversations"]),
            "replayed": output.figure(cycle.get("replayed")),
            "trained": _trained(cycle.get("training")),
            "forgetting": _forgetting(cycle.get("metrics") or {}),
            "from version": output.figure(cycle["base_version"]),
            "version": output.figure(cycle["version"]),
            "started": output.moment(cycle["started_at"]),
            "ended": output.moment(cycle["ended_at"]),
        }
    )
    if epochs := cycle.get("epochs"):
        show_epochs(epochs)
    for number, sample in enumerate(cycle.get("samples") or (), 1):
        _show_sample(number, sample)
    if cycle["gate"]:
        output.say("\ngate")
        output.tree({name: value for name, value in cycle["gate"].items() if value is not None}, 1)


def show_epochs(found: Epochs) -> None:
    """The newest epochs of a run as a table, and what it came to."""
    rows = found["epoch_summary"]
    output.say("\nepochs" if len(rows) <= _EPOCHS else f"\nepochs, the last {_EPOCHS} of {len(rows)}")
    output.columns(
        ("EPOCH", "STEP", "TRAIN LOSS", "VALIDATION", "BEST", "NO IMPROVEMENT", "SAMPLES/S"),
        (
            (
                str(row["epoch"]),
                str(row["global_step"]),
                _loss(row["train_loss"]),
                _loss(row["val_loss"]),
                _loss(row["best_val_loss"]),
                str(row["epochs_no_improve"]),
                f"{row['samples_per_sec']:.1f}",
            )
            for row in rows[-_EPOCHS:]
        ),
    )
    if found["early_stopped"]:
        output.say("stopped early: validation did not improve any more")
    if found["test_loss"] is not None:
        output.say(f"test loss: {_loss(found['test_loss'])}")


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _show_sample(number: int, sample: Sample) -> None:
    """A prompt, what a person answered, and the answers before and after."""
    output.say(f"\nsample {number}")
    texts = {
        "prompt": sample["prompt"],
        "a person": sample["expected"],
        "before": sample["incumbent"],
        "after": sample["candidate"],
    }
    shown = {name: _in_one_line(text) for name, text in texts.items() if text is not None}
    output.fields({f"  {name}": text for name, text in shown.items()})


def _in_one_line(text: str) -> str:
    words = output.clean(" ".join(text.split()))
    return f"{words[:_WIDTH]} ..." if len(words) > _WIDTH else words or "(nothing)"


def _conversations(number: int) -> str:
    return "conversation waits" if number == 1 else "conversations wait"


def _trained(decided: Training | None) -> str:
    """What the run changes and how; a dash while that is not decided."""
    if decided is None:
        return "-"
    what = "an adapter (lora)" if decided["method"] == "lora" else "all weights (full)"
    length = f"{decided['max_steps']} steps" if decided["max_steps"] else f"{decided['epochs']:g} passes"
    rows = "1 row" if decided["rows_per_step"] == 1 else f"{decided['rows_per_step']} rows"
    held = f", KL weight {decided['kl_weight']:g}" if decided["kl_weight"] else ""
    return f"{what}, {length}, {rows} a step, learning rate {decided['learning_rate']:g}{held}"


def _forgetting(metrics: dict[str, float]) -> str:
    """How much worse the new version is than the one before on what was held out earlier; a dash where nothing was."""
    forgotten, now = metrics.get("forgetting_bits_per_byte"), metrics.get("earlier_bits_per_byte")
    if forgotten is None or now is None:
        return "-"
    return f"{forgotten:+.4f} bits per byte on what was held out before ({now:.4f}, it was {now - forgotten:.4f})"
