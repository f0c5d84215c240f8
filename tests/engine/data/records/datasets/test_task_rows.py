"""Rows in the shapes that people bring become samples of the task; what is not of it is refused by name."""

import pytest
from pydantic import JsonValue

from engine.config.tasks import TaskColumns, TaskSettings, tasks_of
from engine.data.records.datasets.task_rows import sample_of, samples_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.registry import parse
from engine.data.samples import Labelled, LabelledSpan

TASKS = tasks_of({"mood": TaskSettings(kind="classify", labels=("sad", "glad"), columns=TaskColumns(label="m"))})
NAMES = "named_entity_recognition"


@pytest.mark.parametrize(
    ("task", "row", "expected"),
    [
        ("mood", {"text": "Oh!", "m": "glad"}, Labelled("Oh!", "glad", "mood")),
        ("mood", {"sentence": "Oh!", "m": 0}, Labelled("Oh!", "sad", "mood")),
        ("mood", {"text": "Oh!", "m": ["glad"]}, Labelled("Oh!", "glad", "mood")),
        ("sentiment_analysis", {"review": "Oh!", "label": "pos"}, Labelled("Oh!", "positive", "sentiment_analysis")),
        (
            "natural_language_inference",
            {"premise": "a", "hypothesis": "b", "label": 2},
            Labelled("a", "contradiction", "natural_language_inference", "b"),
        ),
        ("summarization", {"document": "Long.", "summary": "S."}, Labelled("Long.", "S.", "summarization")),
        (
            "question_answering",
            {"question": "Who?", "context": "It was Ann.", "answers": {"text": ["Ann"], "answer_start": [7]}},
            Labelled("Who?", None, "question_answering", "It was Ann.", (LabelledSpan(7, 10, ""),)),
        ),
        (
            "question_answering",
            {"question": "Who?", "context": "Ann.", "answers": [], "is_impossible": True},
            Labelled("Who?", None, "question_answering", "Ann."),
        ),
        (
            NAMES,
            {"text": "\U0001f600 Ann", "entities": [{"start": 2, "end": 5, "label": "PER"}]},
            Labelled("\U0001f600 Ann", None, NAMES, spans=(LabelledSpan(2, 5, "person"),)),
        ),
        (
            NAMES,
            {"tokens": ["New", "York", "!"], "ner_tags": ["I-LOC", "I-LOC", "O"]},
            Labelled("New York !", None, NAMES, spans=(LabelledSpan(0, 8, "location"),)),
        ),
        (  # U- and L- end a span
            NAMES,
            {"tokens": ["Rome", "Bergen", "York"], "ner_tags": ["U-LOC", "I-LOC", "L-LOC"]},
            Labelled(
                "Rome Bergen York", None, NAMES, spans=(LabelledSpan(0, 4, "location"), LabelledSpan(5, 16, "location"))
            ),
        ),
        (
            NAMES,
            {"tokenized_text": ["Ann", "in", "Rome"], "ner": [[0, 0, "PER"], [2, 2, "LOC"]]},
            Labelled("Ann in Rome", None, NAMES, "", (LabelledSpan(0, 3, "person"), LabelledSpan(7, 11, "location"))),
        ),
    ],
)
def test_shapes_that_people_bring(task, row, expected) -> None:
    assert sample_of(row, TASKS[task]) == expected


@pytest.mark.parametrize(
    ("task", "row", "reason"),
    [
        ("mood", {"text": "Oh!", "m": "angry"}, "'angry' is none of the labels of task 'mood': sad, glad"),
        ("mood", {"text": "Oh!", "label": "glad"}, "the row has no label"),
        ("mood", {"m": "glad"}, "no column holds its text"),
        ("mood", {"text": "Oh!", "m": ["glad", "sad"]}, "this row has 2"),
        ("natural_language_inference", {"premise": "a", "hypothesis": "b", "label": -1}, "has no label"),
        ("natural_language_inference", {"premise": "a", "label": 1}, "no column holds its text_pair"),
        ("intent_detection", {"text": "a", "label": "b"}, r"name them in tasks\.intent_detection\.labels"),
        ("question_answering", {"question": "?", "context": "a b a", "answer": "a"}, "stands 2 times in the text"),
        ("question_answering", {"question": "?", "context": "a b a", "answer": "c"}, "stands nowhere in the text"),
        (NAMES, {"text": "Ann", "entities": [{"start": 0, "end": 3, "label": "DOG"}]}, "'DOG' is none of the labels"),
    ],
)
def test_what_is_not_of_the_task_is_refused(task, row, reason) -> None:
    with pytest.raises(FormatError, match=reason):
        sample_of(row, TASKS[task])


def test_an_offset_that_is_wrong_is_mended_where_the_words_are_there_once() -> None:
    row = {"question": "Who?", "context": "  It was Ann. ", "answers": [{"text": "Ann", "answer_start": 9}]}
    assert sample_of(row, TASKS["question_answering"]).spans == (LabelledSpan(7, 10, ""),)


def test_squad_gives_every_question_and_says_what_is_wrong_with_one() -> None:
    asked = [{"question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}]}, {"question": "?", "answers": 1}]
    squad = {"data": [{"title": "x", "paragraphs": [{"context": "Ann.", "qas": asked}]}]}
    first, second = samples_of(squad, TASKS["question_answering"])
    assert first == Labelled("Who?", None, "question_answering", "Ann.", (LabelledSpan(0, 3, ""),))
    assert isinstance(second, FormatError)


def test_a_row_that_names_its_task_is_read_in_any_file() -> None:
    limits = Limits(tasks=TASKS)
    row = {"task": "mood", "text": "Oh!", "label": "x", "m": "glad"}
    assert list(parse(row, limits)) == [Labelled("Oh!", "glad", "mood")]
    with pytest.raises(FormatError, match="none of the labels"):
        parse({**row, "m": "angry"}, limits)


@pytest.mark.parametrize(
    "row",
    [
        {"text": "Ann", "entities": [{"start": 0, "end": 4, "label": "PER"}]},
        {"text": "Ann", "entities": [{"start": 5, "end": 8, "label": "PER"}]},
        {"text": "Ann", "entities": [{"start": -3, "end": 3, "label": "PER"}]},
        {"tokenized_text": ["Ann", "in"], "ner": [[0, 2, "PER"]]},
        {"tokenized_text": ["Ann", "in"], "ner": [[-1, 0, "PER"]]},
        {"tokenized_text": ["Ann", "in"], "ner": [[1, 0, "PER"]]},
    ],
)
def test_a_span_outside_the_text_refuses_the_row(row: dict[str, JsonValue]) -> None:
    with pytest.raises(FormatError, match="does not lie in the text"):
        sample_of(row, TASKS[NAMES])
