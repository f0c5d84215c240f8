"""Files in the folder of a task, whatever their format; what is in no such folder is read as ever."""

import io
from pathlib import Path

import pytest

from engine.config.tasks import TaskColumns, TaskSettings, tasks_of
from engine.data.readers import loaders, task_files
from engine.data.readers.items import Found, Refused
from engine.data.records.limits import Limits
from engine.data.samples import Labelled, LabelledSpan

LINES = r"(?P<label>[A-Z]+):\S+ (?P<text>.+)"
LIMITS = Limits(
    tasks=tasks_of(
        {
            "mood": TaskSettings(kind="classify", labels=("sad", "glad")),
            "bare": TaskSettings(kind="classify", labels=("sad", "glad"), columns=TaskColumns(text="1", label="2")),
            "trec": TaskSettings(kind="classify", labels=("HUM", "LOC"), pattern=LINES),
        }
    )
)


def read(task: str, content: str | bytes, name: str = "file") -> list[Found | Refused]:
    raw = content.encode() if isinstance(content, str) else content
    return list(loaders.read(Path(f"/inbox/tasks/{task}/{name}"), io.BytesIO(raw), LIMITS))


@pytest.mark.parametrize(
    ("task", "content"),
    [
        ("mood", '{"text": "Oh!", "label": "glad"}\n{"text": "\u00e9", "label": 0}\n'),
        ("mood", '[{"text": "Oh!", "label": "glad"}, {"text": "\u00e9", "label": 0}]'),
        ("mood", 'text,label\nOh!,glad\n"\u00e9",sad\n'),
        ("mood", "label\tsentence\r\nglad\tOh!\r\nsad\t\u00e9\r\n"),
        ("bare", "Oh!\t1\n\u00e9\t0\n"),
        ("bare", "Oh!\t1\n\u00e9\t0\n".encode("latin-1")),
    ],
)
def test_rows_of_every_format(task: str, content: str | bytes) -> None:
    found = [item.sample for item in read(task, content) if isinstance(item, Found)]
    assert found == [Labelled("Oh!", "glad", task), Labelled("\u00e9", "sad", task)]


def test_lines_of_a_pattern_and_those_that_do_not_match() -> None:
    good, bad, other = read("trec", "HUM:ind Who ?\nno label\nNUM:x How many ?\n")
    assert isinstance(good, Found)
    assert good.sample == Labelled("Who ?", "HUM", "trec")
    assert isinstance(bad, Refused)
    assert (bad.line, bad.reason) == (2, "the line does not match tasks.trec.pattern")
    assert isinstance(other, Refused)
    assert "'NUM' is none of the labels" in other.reason


def test_sentences_of_conll() -> None:
    text = "-DOCSTART- -X- O O\n\nAnn NNP I-NP B-PER\nin IN O O\nOban NNP O B-LOC\n\nHi UH O O\n"
    first, second = read("named_entity_recognition", text)
    assert isinstance(first, Found)
    assert isinstance(second, Found)
    spans = (LabelledSpan(0, 3, "person"), LabelledSpan(7, 11, "location"))
    assert first.sample == Labelled("Ann in Oban", None, "named_entity_recognition", spans=spans)
    assert second.sample == Labelled("Hi", None, "named_entity_recognition")


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08\x00", b'{"text": ', b"\xff\xfe\x00", b'"a,b\n' * 3, b"\n\n"])
def test_no_bytes_raise(content: bytes) -> None:
    assert all(isinstance(item, Refused) for item in read("mood", content))


def test_only_a_folder_below_tasks_counts() -> None:
    assert task_files.task_of(Path("/inbox/tasks/mood/deep/file"), LIMITS) is LIMITS.tasks["mood"]
    for path in ("/inbox/mood/file", "/inbox/tasks/unknown/file", "/tasks/mood"):
        assert task_files.task_of(Path(path), LIMITS) is None


def test_a_row_with_more_cells_than_the_header_is_refused() -> None:
    bad, good = read("chat", "text,answer\nHello, friend,Hi\nBye,Bye,\n")
    assert isinstance(bad, Refused)
    assert (bad.line, "the row has 3 cells" in bad.reason) == (2, True)
    assert isinstance(good, Found)
    assert good.sample == Labelled("Bye", "Bye", "chat")


def test_a_row_with_too_few_cells_is_refused_by_the_name_of_what_it_lacks() -> None:
    short, good = read("mood", "text,label\nWhat a day!\nOh!,sad\n")
    assert isinstance(short, Refused)
    assert short.reason.startswith("the row ends before label: task 'mood': the row has no label")
    assert isinstance(good, Found)


@pytest.mark.parametrize(
    "content",
    [
        '"sad","Rain; and #39;more; rain;"\n"glad","Sun, and more; sun"\n',  # as AG News has it
        "label;text\nsad;Rain, and, more, rain\nglad;Sun, and more\n",
        "text\tlabel\nRain; and, more; rain;\tsad\nSun, and more\tglad\n",
        "text;label\nRain, and more;sad\nSun, and more;glad\n",
    ],
)
def test_what_divides_cells_is_what_divides_all_lines_alike(content: str) -> None:
    table = TaskSettings(kind="classify", labels=("sad", "glad"), columns=TaskColumns(text="2", label="1"))
    named = TaskSettings(kind="classify", labels=("sad", "glad"))
    task = tasks_of({"it": table if content.startswith('"') else named})["it"]
    found = list(task_files.read(io.BytesIO(content.encode()), LIMITS, task))
    assert [item.sample.label for item in found if isinstance(item, Found)][-1] == "glad"
    assert "more" in next(item.sample.text for item in found if isinstance(item, Found))
