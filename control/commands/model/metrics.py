"""``metrics``: measure a file of predictions against a file of references."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from control import engine_process, exit_status
from control.cli.parser import Commands, Options
from control.terminal import output

if TYPE_CHECKING:
    from control.measuring_answers import Metrics

_MOST_COLUMNS = 12
"""Of a confusion matrix that is still shown to people."""


class MetricsOptions(Options):
    """What ``metrics`` is given."""

    predictions: str
    references: str
    measure: list[str]
    label: list[str]
    encoder: str | None


def add(commands: Commands) -> None:
    """Declare the command."""
    metrics = commands.add(
        "metrics",
        "measure a file of predictions against a file of references",
        _metrics,
        """
        thorctl metrics --predictions answers.txt --references expected.txt
        thorctl metrics --predictions predictions.json --references dev.json --measure squad_exact_match squad_f1
        thorctl metrics --predictions labels.jsonl --references gold.jsonl --label ham spam --json
        """,
        "Texts or labels, one a line; .jsonl with a record a line (text, texts, label, probability, spans, tags, id); "
        ".json with ids and answers, or SQuAD's data. Without --measure, those that fit the records are computed. "
        "thord need not run.",
    )
    metrics.add_argument("--predictions", required=True, metavar="FILE", help="what the model said")
    metrics.add_argument("--references", required=True, metavar="FILE", help="what it should have said")
    metrics.add_argument("--measure", nargs="+", default=[], metavar="NAME", help="compute these, such as bleu rougeL")
    metrics.add_argument(
        "--label", nargs="+", default=[], metavar="NAME", help="the labels of the task; otherwise those of FILE"
    )
    metrics.add_argument(
        "--encoder", metavar="FOLDER", help="also compute similarity by meaning, with the encoder in this folder"
    )


def _metrics(options: MetricsOptions) -> int:
    arguments = [_absolute(options.predictions), _absolute(options.references)]
    for name, values in (("--measure", options.measure), ("--label", options.label)):
        arguments += [name, *values] if values else []
    arguments += ["--encoder", _absolute(options.encoder)] if options.encoder is not None else []
    found: Metrics = json.loads(engine_process.run("engine.evaluation.predictions", arguments))
    if options.json:
        output.emit(found)
        return exit_status.DONE
    output.columns(
        ("MEASURE", "VALUE", "SIGNATURE"),
        ((name, f"{score['value']:.4f}", score["signature"]) for name, score in found["scores"].items()),
    )
    _show_classes(found)
    unused = f"; {_predictions(found['unused'])} without a reference left out" if found["unused"] else ""
    output.say(f"\n{_predictions(found['pairs'])} compared{unused}")
    return exit_status.DONE


def _show_classes(found: Metrics) -> None:
    """Figures of each class, and where labels were taken for others."""
    if found["classes"]:
        output.say()
        output.columns(
            ("CLASS", "PRECISION", "RECALL", "F1", "SUPPORT"),
            (
                (name, f"{one['precision']:.4f}", f"{one['recall']:.4f}", f"{one['f1']:.4f}", str(one["support"]))
                for name, one in found["classes"].items()
            ),
        )
    confusion = found["confusion"]
    if confusion is None:
        return
    output.say()
    if len(confusion["columns"]) > _MOST_COLUMNS:
        output.say(f"the confusion matrix has {len(confusion['columns'])} columns (see --json)")
        return
    output.columns(
        ("RIGHT \\ PREDICTED", *confusion["columns"]),
        ((label, *map(str, counts)) for label, counts in zip(confusion["labels"], confusion["counts"], strict=True)),
    )


def _predictions(count: int) -> str:
    return "1 prediction" if count == 1 else f"{count:,} predictions"


def _absolute(file: str) -> str:
    return str(Path(file).expanduser().absolute())
