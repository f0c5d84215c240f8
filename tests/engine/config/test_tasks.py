"""Settings of tasks: what is ready-made, what a table changes, and what is impossible."""

import json

import pytest
from pydantic import ValidationError

from control import task_names
from engine.config.tasks import TaskSettings, tasks_of, what_changes
from engine.data.tasks.ready_made import READY_MADE


def test_every_promised_task_is_there_without_a_setting() -> None:
    assert set(tasks_of({})) == set(task_names.READY_MADE)


def test_a_table_changes_what_it_names_and_nothing_else() -> None:
    found = tasks_of({"sentiment_analysis": TaskSettings(labels=("negative", "positive"))})["sentiment_analysis"]
    before = READY_MADE["sentiment_analysis"]
    assert found.labels == ("negative", "positive")
    assert found.template == before.template
    assert found.label_of("pos") == "positive"
    assert found.label_of("neu") is None


def test_numbers_are_places_among_labels_whose_order_is_known() -> None:
    own = TaskSettings(kind="classify", labels=("negative", "positive"))
    numbered = {**own.model_dump(), "label_values": {"4": "positive"}}
    found = tasks_of({"mood": own, "sentiment_analysis": own, "stars": TaskSettings.model_validate(numbered)})
    assert (found["mood"].label_of("1"), found["mood"].label_of("2")) == ("positive", None)
    assert found["sentiment_analysis"].label_of("1") == "positive"
    assert (found["stars"].label_of("4"), found["stars"].label_of("1")) == ("positive", None)
    assert found["natural_language_inference"].label_of("2") == "contradiction"
    assert READY_MADE["sentiment_analysis"].label_of("1") is None  # neutral, or positive, as the set has it


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"template": "{text} {name}"}, "{name} is unknown; known are {text}, {text_pair}, {labels}"),
        ({"template": "What?"}, "{text} is missing"),
        ({"labels": ["a", "a"]}, "a label occurs twice"),
        ({"labels": ["a\nb"]}, "a line break"),
        ({"pattern": "("}, "not a valid regular expression"),
        ({"pattern": "(?P<text>.*)"}, "are needed"),
        ({"labels": ["a"], "label_values": {"0": "b"}}, "'b' is not in labels"),
        ({"kind": "sort"}, "'generate', 'classify'"),
    ],
)
def test_impossible_values_are_explained(table, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TaskSettings.model_validate_json(json.dumps(table))
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("name", "table", "reason"),
    [
        ("mine", TaskSettings(), "tasks.mine: kind is missing"),
        ("mine", TaskSettings(kind="tag"), "needs labels"),
        ("chat", TaskSettings(labels=("a",)), "has no labels"),
        ("a b", TaskSettings(kind="generate"), "the name of a task"),
    ],
)
def test_impossible_tasks_are_explained(name: str, table: TaskSettings, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        tasks_of({name: table})


def test_it_is_said_what_becomes_of_rows_and_labels() -> None:
    before = tasks_of({"a": TaskSettings(kind="classify", labels=("x", "y")), "b": TaskSettings(kind="rank")})
    after = tasks_of({"a": TaskSettings(kind="classify", labels=("y", "z")), "c": TaskSettings(kind="rank")})
    told = what_changes(before, after)
    assert [each.split(":")[0] for each in told] == ["task 'a'", "task 'a'", "task 'b' is gone", "task 'c' is new"]
    assert "x is no label any more" in told[0]
    assert "z can be answered at once" in told[1]
    assert what_changes(before, before) == ()
