"""``predict``: ask the model that serves about a text, or about every text of a file, as a task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from control import errors, exit_status
from control.cli.arguments import add_text, text_of
from control.cli.parser import Commands, connect
from control.commands.model.generation import AnswerOptions, add_sampling, model_of, sampling_of
from control.terminal import output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from control.client import About


class PredictOptions(AnswerOptions):
    """What ``predict`` is given."""

    task: str
    file: str | None
    text_pair: str | None
    label: list[str] | None
    candidate: list[str] | None


def add(commands: Commands) -> None:
    """Declare the command."""
    predict = commands.add(
        "predict",
        "answer a text, or every line of a file, as a task; greedy unless a temperature is given",
        _predict,
        """
        thorctl predict --task sentiment_analysis "What a day!"
        thorctl predict --task intent_detection --label buy --label complain "It broke."
        thorctl predict --task question_answering --text-pair "$(cat page.txt)" "Who wrote it?"
        thorctl predict --task sentiment_analysis --file reviews.txt > answers.jsonl
        cat prompt.txt | thorctl predict - --task text_generation --json
        """,
        "The tasks are those of docs/tasks.md and of [tasks.NAME] in thord.toml. With --file the answers are lines of "
        "JSON.",
    )
    add_text(predict)
    predict.add_argument("-t", "--task", required=True, metavar="TASK", help="name of the task")
    predict.add_argument("-f", "--file", metavar="FILE", help="a file with a text a line, or a string of JSON a line")
    predict.add_argument("--text-pair", metavar="TEXT", help="the second text of a task about two")
    predict.add_argument("--label", action="append", metavar="LABEL", help="choose among these instead; repeat it")
    predict.add_argument("--candidate", action="append", metavar="TEXT", help="put these in order; repeat it")
    add_sampling(predict)


def _predict(options: PredictOptions) -> int:
    if options.file is not None and options.text is not None:
        raise errors.UsageError("give a text or --file, not both")
    about: About = {}
    if options.text_pair is not None:
        about["text_pair"] = options.text_pair
    if options.label:
        about["labels"] = options.label
    if options.candidate:
        about["candidates"] = options.candidate
    model, sampling = model_of(options), sampling_of(options)
    if options.file is None:
        result = connect(options).predict(text_of(options), options.task, model=model, **sampling, **about)
        if options.json:
            output.emit(result)
        else:
            output.tree(result)
        return exit_status.DONE
    texts = list(_texts(Path(options.file)))
    answers = connect(options).predict_all(texts, options.task, model=model, **sampling, **about)
    for answer in answers:
        output.emit(answer, line=True)
    if refused := sum("error" in answer for answer in answers):
        output.say_error(f"thorctl: {refused:,} of {len(answers):,} texts could not be answered; their lines say why")
        return exit_status.FAILED
    return exit_status.DONE


def _texts(file: Path) -> Iterator[str]:
    """Every line that is not blank.

    Raises:
        NotFoundError: there is no such file.
        UsageError: it cannot be read, or has nothing to ask about.
    """
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        raise errors.NotFoundError(f"{file}: no such file") from None
    except OSError as error:
        raise errors.UsageError(f"{file} cannot be read: {error.strerror}") from error
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise errors.UsageError(f"{file} has no line to ask about")
    for line in found:
        yield _string_of(line)


def _string_of(line: str) -> str:
    if not line.startswith('"'):
        return line
    try:
        value: object = json.loads(line)
    except ValueError:
        return line
    return value if isinstance(value, str) else line
