"""What `thorctl report` asks: how a version does beside another one; a process of its own, as `asked`.

python -m daemon.workers.evaluator.reported < QUESTION
"""

import functools
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from pydantic import BaseModel, JsonValue

from control import exit_status
from control.paths import Paths, version_name
from daemon.settings.load import SettingsError, load
from daemon.settings.sections import Tables
from daemon.workers.evaluator.asked import Progress, QuestionError, load_version
from daemon.workers.evaluator.evaluations import EVALUATION, read_stored
from daemon.workers.reading import limits_of
from engine import device
from engine.artifacts import ArtifactError
from engine.data import snapshot
from engine.data.snapshot import Example
from engine.evaluation import evaluate, gate
from engine.evaluation.likelihood import Likelihood
from engine.evaluation.likelihood_cache import LikelihoodCache
from engine.evaluation.results import Results, slices_of
from engine.evaluation.suites import files
from engine.evaluation.suites.files import BadFilesError
from engine.evaluation.tasks.answers import AnsweredTask, answer_tasks
from engine.manifest import read_manifest
from engine.reports import reliability
from engine.reports.analysis import analyse
from engine.reports.task_analysis import analyse_tasks


class ReportQuestion(BaseModel):
    """What is asked.

    Attributes:
        places: of this thord: its settings file, and its folders of state, logs and sockets.
        version: the one that the report is about.
        against: the one beside it; null: the one it was judged against, or none.
        files: to compare on; none: what its cycle held out.
    """

    places: tuple[Path, Path, Path, Path]
    version: int
    against: int | None = None
    files: tuple[Path, ...] = ()


def main() -> int:
    """The exit status; the answer, or the reason, is printed."""
    question = ReportQuestion.model_validate_json(sys.stdin.read())
    paths = Paths(*question.places)
    try:
        answer = report(question, paths, load(paths).tables)
    except (SettingsError, QuestionError, BadFilesError) as error:
        print(error)
        return exit_status.USAGE
    except (ArtifactError, device.ImpossiblePlacementError, torch.OutOfMemoryError, OSError) as error:
        print(error)
        return exit_status.FAILED
    print(json.dumps(answer, ensure_ascii=False))
    return exit_status.DONE


def report(question: ReportQuestion, paths: Paths, tables: Tables) -> dict[str, JsonValue]:
    """Everything that a report shows, without the history of the service.

    Raises:
        QuestionError: there is nothing to compare on.
        ArtifactError: a version is damaged.
    """
    progress, stored = Progress(), read_stored(paths.version(question.version) / EVALUATION)
    judged = None if stored is None else stored.inputs.incumbent
    against = question.against if question.against is not None else judged
    if against is not None and not paths.version(against).is_dir():
        if question.against is not None:
            raise QuestionError(f"there is no version {version_name(against)}")
        against = None
    examples = _examples(question, paths, tables, progress)
    chosen = evaluate.conversations(examples, tables.all_tasks)
    sources = {example.identity: example.source for example in examples}
    found: dict[str, Likelihood] = {}
    sure: dict[str, JsonValue] = {}
    answered: dict[str, dict[str, AnsweredTask]] = {}
    for who, number in (("candidate", question.version), ("incumbent", against)):
        if number is None:
            continue
        loaded = load_version(paths.version(number), tables, progress)
        found[who] = evaluate.measure_version(
            loaded,
            chosen,
            tables.evaluation,
            functools.partial(progress, f"measuring version {number}"),
            LikelihoodCache(paths.measurements),
        )
        if not all(map(math.isfinite, found[who].nats_C)):
            raise QuestionError(f"version {version_name(number)} has likelihoods that are not finite: it is broken")
        bins = reliability.bins(loaded, chosen, functools.partial(progress, "measuring reliability"))
        sure[who] = [dict(asdict(one)) for one in bins]
        asking = functools.partial(progress, f"asking version {number}")
        answered[who] = {one.task.name: one for one in answer_tasks(loaded, chosen, tables.all_tasks, asking)}
        del loaded
    progress.end()
    incumbent = found.get("incumbent")
    decided = stored is not None and judged == against and not question.files
    verdict = stored.verdict.model_dump(mode="json") if stored is not None and decided else None
    if verdict is None and incumbent is not None:
        slices = slices_of(chosen, sources)
        pair = Results(found["candidate"], slices), Results(incumbent, slices)
        name = f"version {version_name(against or 0)}"
        verdict = gate.judge(*pair, tables.gate, name).model_dump(mode="json")
    names = [sources.get(one.identity, "") for one in chosen]
    analysis = analyse(chosen, names, found["candidate"], incumbent)
    tasks = analyse_tasks(answered["candidate"], answered.get("incumbent"))
    samples = [] if stored is None else [one.model_dump(mode="json") for one in stored.samples]
    suites = {} if stored is None else {name: one.model_dump() for name, one in stored.suites.items()}
    return {
        "version": version_name(question.version),
        "against": None if against is None else version_name(against),
        "measured_on": "files" if question.files else "held out",
        "decided": decided,
        "verdict": verdict,
        "analysis": json.loads(json.dumps(asdict(analysis))),
        "tasks": json.loads(json.dumps({name: asdict(one) for name, one in tasks.items()})),
        "reliability": sure,
        "samples": samples if judged == against else [],
        "suites": suites if judged == against else {},
        "metrics": {} if stored is None else dict(stored.metrics),
        "manifest": _about(paths.version(question.version)),
    }


def _examples(question: ReportQuestion, paths: Paths, tables: Tables, progress: Progress) -> list[Example]:
    """What to compare on: as an evaluation would choose it."""
    limit, tasks = tables.evaluation.max_conversations, tables.all_tasks
    if question.files:
        every = [file for path in question.files for file in files.inside(path)]
        found = evaluate.choose(files.read(every, limits_of(tables.data, tasks), progress).examples, limit, tasks)
    else:
        cycle = read_manifest(paths.version(question.version)).cycle
        if cycle is None or not paths.snapshot(cycle).is_dir():
            raise QuestionError(
                f"nothing is held out for version {version_name(question.version)}: it was imported, or the snapshot "
                "of its cycle was removed; name files to compare on (--data)"
            )
        held_out = list(snapshot.held_out_examples(paths.snapshot(cycle)))
        found, _ = evaluate.divide(held_out, limit, tasks)
    if not found:
        raise QuestionError("there is no conversation to compare on")
    return found


def _about(folder: Path) -> Mapping[str, JsonValue]:
    manifest = read_manifest(folder)
    shown = ("created_at", "family", "parameters", "cycle", "parent", "training_seconds")
    return {name: value for name, value in manifest.model_dump(mode="json").items() if name in shown}


if __name__ == "__main__":
    sys.exit(main())
