"""What thorctl asks of versions and checkpoints by their folders; a process of its own, which thord need not run for.

    python -m daemon.workers.evaluator.asked < QUESTION

The question is JSON (`Question`), and so is the answer. Progress goes to standard error. The reason of a failure is the
answer: with status 2 where the question or the settings are wrong, with 5 where something is missing, else with 1.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from pydantic import BaseModel, JsonValue

from control import exit_status
from control.paths import Paths
from daemon.settings.load import SettingsError, load
from daemon.settings.sections import Tables
from daemon.workers.reading import limits_of
from engine import device, version
from engine.artifacts import MANIFEST, ArtifactError
from engine.config.evaluation import SuiteSettings
from engine.evaluation.likelihood_cache import LikelihoodCache
from engine.evaluation.suites import files, suite
from engine.evaluation.suites.files import BadFilesError
from engine.evaluation.suites.suite import Suite, SuiteFigures
from engine.inference.versions import as_served
from engine.manifest import read_manifest, version_name
from engine.publishing import checkpoint_to_version
from engine.version import LoadedVersion

FILES = "files"
"""The name of the suite that files named by hand are."""


class Question(BaseModel):
    """What is asked.

    Attributes:
        places: of this thord: its settings file, and its folders of state, logs and sockets.
        folder: of a version, or of a checkpoint of a run.
        suites: by their names in the settings.
        files: to measure on besides.
        all_suites: measure on all of them; also where neither suites nor files are named.
        benchmark: measure speed and memory instead.
    """

    places: tuple[Path, Path, Path, Path]
    folder: Path
    suites: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    all_suites: bool = False
    benchmark: bool = False


class NotThereError(Exception):
    """What was asked for does not exist; the message says what."""


class QuestionError(Exception):
    """The question cannot be answered as it is; the message says why."""


def main() -> int:
    """The exit status; the answer, or the reason, is printed."""
    question = Question.model_validate_json(sys.stdin.read())
    paths = Paths(*question.places)
    try:
        tables = load(paths).tables
        with version_in(question.folder, paths) as folder:
            answer = _speed(folder, tables) if question.benchmark else _on_suites(folder, question, paths, tables)
    except (SettingsError, QuestionError, BadFilesError) as error:
        print(error)
        return exit_status.USAGE
    except NotThereError as error:
        print(error)
        return exit_status.NOT_FOUND
    except (ArtifactError, device.ImpossiblePlacementError, torch.OutOfMemoryError, OSError) as error:
        print(error)
        return exit_status.FAILED
    print(json.dumps(answer, ensure_ascii=False))
    return exit_status.DONE


@contextlib.contextmanager
def version_in(folder: Path, paths: Paths) -> Iterator[Path]:
    """The folder of a version: the one given, or that of a checkpoint, made into one for as long as the block lasts.

    Raises:
        NotThereError: there is no such folder.
        ArtifactError: it is neither of the two, or damaged.
    """
    if not folder.is_dir():
        raise NotThereError(f"{folder} is not a folder")
    if (folder / MANIFEST).exists() and (folder / version.CONFIG).exists():
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="thord-") as parent:
        made = Path(parent) / "000000"
        manifest = checkpoint_to_version.publish(folder.resolve(), paths.runs, paths.version, made, 0)
        if manifest.base is not None:
            (made.parent / version_name(manifest.base.version)).symlink_to(paths.version(manifest.base.version))
        yield made


class Progress:
    """Says on standard error what is under way, at most twice a second; on a terminal in one line."""

    def __init__(self) -> None:
        self._said, self._next = "", 0.0

    def __call__(self, activity: str, done: int = 0, total: int = 0) -> None:
        """Told what is under way, how much of it is done, and of how much."""
        now = time.monotonic()
        if activity == self._said and now < self._next and done < total:
            return
        changed, self._said, self._next = activity != self._said, activity, now + 0.5
        text = f"{activity} {done:,}/{total:,}" if total else activity
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        elif changed:
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clear the line."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def load_version(folder: Path, tables: Tables, progress: Progress) -> LoadedVersion:
    """A version as it is judged: on the device and in the numbers that it would serve in.

    Raises:
        ArtifactError: it is damaged.
        ImpossiblePlacementError: this machine lacks the device.
    """
    progress(f"loading {folder}")
    if tables.training.threads:
        torch.set_num_threads(tables.training.threads)
    placement = device.resolve(tables.inference.device, tables.inference.precision)
    return as_served.load(folder, placement, tables.inference)


def _on_suites(folder: Path, question: Question, paths: Paths, tables: Tables) -> dict[str, JsonValue]:
    progress = Progress()
    suites = [*chosen(question.suites, tables, progress, everything=question.all_suites or not question.files)]
    if question.files:
        suites.append(_of_files(question.files, tables, progress))
    loaded, cache = load_version(folder, tables, progress), LikelihoodCache(paths.measurements)
    found: dict[str, JsonValue] = {}
    for each in suites:
        figures = suite.run(each, loaded, tables.evaluation, progress, cache, tables.all_tasks)
        found[each.name] = as_json(each, figures)
    progress.end()
    return {"folder": str(question.folder), "sha256": loaded.manifest.sha256, "suites": found}


def chosen(names: tuple[str, ...], tables: Tables, progress: Progress, *, everything: bool) -> Iterator[Suite]:
    """The suites named, or all that the settings have.

    Raises:
        QuestionError: there is none of that name, or none at all.
        BadFilesError: a suite cannot be read.
    """
    known = tables.evaluation.suites
    if missing := [name for name in names if name not in known]:
        raise QuestionError(f"there is no suite '{missing[0]}'; the settings have {', '.join(known) or 'none'}")
    if everything and not names and not known:
        raise QuestionError("nothing to measure on: name files (--data), or set [evaluation.suites.NAME] in thord.toml")
    for name in names or (known if everything else ()):
        yield suite.read(name, known[name], limits_of(tables.data, tables.all_tasks), progress)


def _of_files(named: tuple[Path, ...], tables: Tables, progress: Progress) -> Suite:
    settings = SuiteSettings(path=str(named[0]), max_samples=tables.evaluation.max_conversations)
    every = [file for path in named for file in files.inside(path)]
    return suite.of(FILES, settings, files.read(every, limits_of(tables.data, tables.all_tasks), progress))


def as_json(of: Suite, figures: SuiteFigures) -> dict[str, JsonValue]:
    """What clients are told of a suite: how much was measured, the figures, and confused labels."""
    confused = figures.confusion
    return {
        "samples": len(of),
        "left_out": of.left_out,
        "data_sha256": of.sha256,
        "measure": of.primary.name,
        "metrics": dict(figures.metrics),
        "confusion": None if confused is None else json.loads(json.dumps(asdict(confused))),
        "cached": figures.cached,
    }


def _speed(folder: Path, tables: Tables) -> dict[str, JsonValue]:
    """Measured by yet another process, whose memory is that of the version alone."""
    command = [sys.executable, "-m", "engine.inference.benchmark", str(folder), tables.inference.model_dump_json()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise ArtifactError(done.stderr.strip().rpartition("\n")[2])
    found: dict[str, JsonValue] = json.loads(done.stdout)
    return {"folder": str(folder), "sha256": read_manifest(folder).sha256, **found}


if __name__ == "__main__":
    sys.exit(main())
