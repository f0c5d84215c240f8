"""``evaluate``: measure a version or a checkpoint, on what was held out, on suites, on files, or its speed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from control import engine_process, errors, exit_status
from control.cli.arguments import version_folder
from control.cli.parser import Commands, Options, connect
from control.commands.learning import cycle_text
from control.terminal import output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from control.evaluation_answers import Speed, SuitesAnswer

_MODULE = "daemon.workers.evaluator.asked"


class EvaluateOptions(Options):
    """What ``evaluate`` is given."""

    version: str
    files: list[str]
    data: list[str]
    suite: list[str] | None
    output_dir: str | None
    benchmark_only: bool


def add(commands: Commands) -> None:
    """Declare the command."""
    evaluate = commands.add(
        "evaluate",
        "evaluate a version on the held-out conversations, on suites, or on your own files",
        _evaluate,
        """
        thorctl evaluate 12
        thorctl evaluate current exam.jsonl --json | jq .metrics
        thorctl evaluate 12 --suite exam spelling
        thorctl evaluate runs/000012/checkpoints/000200 --data exam.jsonl --output-dir results
        thorctl evaluate 12 --benchmark-only
        """,
        "With --suite, with the folder of a version or a checkpoint, or with --benchmark-only, thorctl itself "
        "measures, and thord need not run. If you interrupt it, the same command goes on where it stopped. Suites are "
        "tables [evaluation.suites.NAME] in thord.toml.",
    )
    evaluate.add_argument(
        "version",
        nargs="?",
        default="current",
        metavar="VERSION",
        help="its number, the folder of a version or a checkpoint, or 'current' (the default): the one that serves",
    )
    evaluate.add_argument("files", nargs="*", metavar="FILE")
    evaluate.add_argument("--data", nargs="+", default=[], metavar="FILE", help="measure on these files")
    evaluate.add_argument(
        "--suite", nargs="*", metavar="NAME", help="measure on these suites; without a name, on all of them"
    )
    evaluate.add_argument("--output-dir", metavar="DIR", help="also write the answer to DIR as JSON")
    evaluate.add_argument(
        "--benchmark-only",
        action="store_true",
        help="measure tokens per second, time to the first token, memory and loading instead",
    )


def _evaluate(options: EvaluateOptions) -> int:
    files = [*options.files, *options.data]
    if options.benchmark_only and (files or options.suite is not None):
        raise errors.UsageError("--benchmark-only measures speed on a prompt of its own: leave out files and suites")
    folder = Path(options.version).expanduser() if _is_folder(options.version) else None
    if folder is None and options.suite is None and not options.benchmark_only:
        return _by_thord(options, files)
    thord = connect(options)
    if folder is None:
        folder = version_folder(thord, None if options.version == "current" else options.version)
    question: dict[str, object] = {
        "places": [str(place) for place in thord.paths],
        "folder": str(folder.absolute()),
        "suites": options.suite or [],
        "all_suites": options.suite == [],
        "files": [str(Path(file).expanduser().absolute()) for file in files],
        "benchmark": options.benchmark_only,
    }
    answer = engine_process.run(_MODULE, [], text=json.dumps(question), show_progress=True)
    if options.benchmark_only:
        speed: Speed = json.loads(answer)
        _answer(options, "benchmark.json", speed)
        if not options.json:
            _show_speed(speed)
        return exit_status.DONE
    found: SuitesAnswer = json.loads(answer)
    _answer(options, "evaluation.json", found)
    if not options.json:
        _show_suites(found)
    return exit_status.DONE


def _is_folder(version: str) -> bool:
    return os.sep in version or (not version.isdecimal() and version != "current" and Path(version).is_dir())


def _by_thord(options: EvaluateOptions, files: list[str]) -> int:
    thord = connect(options)
    verdict = thord.evaluate(options.version, files)
    _answer(options, "evaluation.json", verdict)
    if options.json:
        return exit_status.DONE
    output.tree(verdict)
    cycle = thord.version(str(verdict["version"]))["cycle"] if verdict.get("version") else None
    if cycle is not None:
        output.say(f"\n{cycle_text.where_answers_are(cycle)}")
    return exit_status.DONE


def _answer(options: EvaluateOptions, name: str, found: Mapping[str, object]) -> None:
    """Print the answer for programs, and write it where it was asked for."""
    if options.output_dir is not None:
        folder = Path(options.output_dir).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(found, indent=2, ensure_ascii=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    if options.json:
        output.emit(found)


def _show_suites(found: SuitesAnswer) -> None:
    for name, suite in found["suites"].items():
        left_out = f", {suite['left_out']:,} left out" if suite["left_out"] else ""
        known = "; measured before" if suite["cached"] else ""
        output.say(f"{output.clean(name)}: {suite['samples']:,} samples{left_out}{known}")
        output.columns(("MEASURE", "VALUE"), ((measure, f"{value:.4f}") for measure, value in suite["metrics"].items()))


def _show_speed(speed: Speed) -> None:
    output.fields(
        {
            "tokens per second": f"{speed['tokens_per_second']:.1f}",
            "first token": f"{speed['first_token_seconds'] * 1000:.0f} ms after {speed['prompt_tokens']} tokens",
            "memory": f"{output.size(speed['peak_memory_bytes'])}, {output.size(speed['weight_bytes'])} of it weights",
            "loaded in": f"{speed['load_seconds']:.2f} s",
        }
    )
