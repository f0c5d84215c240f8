"""Which answers to tasks were won, lost and confused, on answers that are made up, so that every count is known."""

import pytest

from engine.config.tasks import TaskSettings, tasks_of
from engine.data.samples import Labelled, LabelledSpan
from engine.evaluation.predictions.pairs import TypedSpan
from engine.evaluation.tasks.answers import Answer, AnsweredTask
from engine.reports.task_analysis import MOST_CASES, NONE, analyse_tasks

TASKS = tasks_of({"mood": TaskSettings(kind="classify", labels=("sad", "glad"))})
NAMES = TASKS["named_entity_recognition"]


def moods(said: list[str], right: list[str]) -> AnsweredTask:
    rows = tuple(Labelled(f"text {place}", label, "mood") for place, label in enumerate(right))
    answers = tuple(Answer(label, probability=0.5 + place / 1000) for place, label in enumerate(said))
    return AnsweredTask(TASKS["mood"], rows, answers, ("sad", "glad"))


def test_labels_are_counted_by_what_is_right_and_what_was_said() -> None:
    right = ["sad", "sad", "glad", "glad", "glad"]
    ours = moods(["sad", "glad", "glad", "glad", "sad"], right)
    theirs = moods(["sad", "glad", "sad", "glad", "glad"], right)
    found = analyse_tasks({"mood": ours}, {"mood": theirs})["mood"]
    assert (found.right, found.incumbent_right, found.better, found.worse) == (3, 3, 1, 1)
    assert (found.labels, found.counts) == (["sad", "glad"], [[1, 1], [1, 2]])
    assert [(one.text, one.candidate, one.incumbent) for one in found.won] == [("text 2", "glad", "sad")]
    assert [(one.text, one.expected, one.candidate) for one in found.lost] == [("text 4", "glad", "sad")]
    assert [one.text for one in found.wrong] == ["text 4", "text 1"]  # the surest first
    pairs = {(one.expected, one.predicted): (one.candidate, one.incumbent, one.examples) for one in found.confused}
    assert pairs == {("sad", "glad"): (1, 1, ["text 1"]), ("glad", "sad"): (1, 1, ["text 4"])}
    assert found.candidate["accuracy"] == found.incumbent["accuracy"] == pytest.approx(0.6)


def test_spans_are_confused_by_label_and_with_nothing() -> None:
    row = Labelled(
        "Ann met Oban.", None, NAMES.name, spans=(LabelledSpan(0, 3, "person"), LabelledSpan(8, 12, "location"))
    )
    said = Answer("", (TypedSpan(4, 7, "person"), TypedSpan(8, 12, "person")))
    found = analyse_tasks({NAMES.name: AnsweredTask(NAMES, (row,), (said,))}, None)[NAMES.name]
    assert {(one.expected, one.predicted) for one in found.confused} == {
        ("person", NONE),
        (NONE, "person"),
        ("location", "person"),
    }
    assert found.right == 0
    assert sum(map(sum, found.counts)) == 3
    assert found.wrong[0].expected == "person: Ann\nlocation: Oban"


def test_generated_answers_are_compared_by_their_first_measure() -> None:
    task = TASKS["summarization"]
    rows = (Labelled("long", "the cat sat", task.name), Labelled("longer", "a dog", task.name))
    ours, theirs = (
        AnsweredTask(task, rows, tuple(map(Answer, said))) for said in (("the cat sat", "x"), ("the cat", "a dog"))
    )
    found = analyse_tasks({task.name: ours}, {task.name: theirs})[task.name]
    assert (found.right, found.better, found.worse) == (1, 1, 1)
    assert found.won[0].text == "long"
    assert (found.labels, found.counts, found.confused) == ([], [], [])


def test_an_analysis_stays_small() -> None:
    many = moods(["glad"] * 500, ["sad"] * 499 + ["glad"])
    found = analyse_tasks({"mood": many}, None)["mood"]
    assert len(found.wrong) == MOST_CASES
    assert all(len(one.examples) <= 3 for one in found.confused)
