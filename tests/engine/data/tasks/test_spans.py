"""What a model is taught to write about spans leads back to the same characters of the text."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.samples import LabelledSpan
from engine.data.tasks import spans
from engine.data.tasks.ready_made import READY_MADE
from engine.data.tasks.task import NOTHING

NER, QA = READY_MADE["named_entity_recognition"], READY_MADE["question_answering"]
TEXT = "\U0001f600 Ann met Ann in\nOban, a\u0301 town."
"""An emoji, a line break, a combining mark, and a name that occurs twice."""


def test_each_occurrence_is_found_once_and_in_order() -> None:
    meant = [LabelledSpan(2, 5, "person"), LabelledSpan(10, 13, "person"), LabelledSpan(17, 21, "location")]
    answer = spans.written(NER, TEXT, meant[::-1])
    assert answer == "person: Ann\nperson: Ann\nlocation: Oban"
    assert spans.read_back(NER, TEXT, answer, NER.labels) == meant


def test_what_is_not_in_the_text_or_no_label_is_left_out() -> None:
    answer = "person: Bob\nanimal: Ann\nperson: Ann\nnonsense"
    assert spans.read_back(NER, TEXT, answer, NER.labels) == [LabelledSpan(2, 5, "person")]
    assert spans.read_back(QA, TEXT, "Bergen", ()) == []


def test_a_label_may_have_a_colon_in_it() -> None:
    task = replace(NER, labels=("place", "place: town"))
    meant = [LabelledSpan(2, 5, "place"), LabelledSpan(17, 21, "place: town")]
    assert spans.read_back(task, TEXT, spans.written(task, TEXT, meant), task.labels) == meant


@pytest.mark.parametrize("task", [NER, QA])
def test_nothing_is_said_as_such(task) -> None:
    assert spans.written(task, TEXT, []) == NOTHING
    assert spans.read_back(task, TEXT, NOTHING, task.labels) == []


def test_one_answer_may_go_over_a_line_break() -> None:
    assert spans.written(QA, TEXT, [LabelledSpan(14, 21, "")]) == "in Oban"
    assert spans.read_back(QA, TEXT, "in Oban", ()) == [LabelledSpan(14, 21, "")]


@given(st.text(st.sampled_from("ab \n\U0001f600\u0301"), min_size=1, max_size=30), st.data())
def test_the_first_occurrence_comes_back_whatever_the_text(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    words = spans.on_one_line(text)[start:end].strip()
    found = spans.read_back(NER, text, spans.written(NER, text, [LabelledSpan(start, end, "person")]), NER.labels)
    assert found == ([LabelledSpan(at := spans.on_one_line(text).find(words), at + len(words), "person")] * bool(words))


def test_words_get_the_tag_of_the_span_that_holds_them() -> None:
    found = spans.tags("New York, Ann", [LabelledSpan(0, 8, "location"), LabelledSpan(10, 13, "person")])
    assert found == [
        ("New", 0, 3, "B-location"),
        ("York", 4, 8, "I-location"),
        (",", 8, 9, "O"),
        ("Ann", 10, 13, "B-person"),
    ]
