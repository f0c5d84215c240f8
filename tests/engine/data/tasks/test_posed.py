"""A labelled sample is learned as what its task asks, and as nothing where no task knows its label."""

from dataclasses import replace

from engine.data.samples import Dialogue, Labelled, LabelledSpan, Message, Preference, Text
from engine.data.tasks.posed import PosedTask, PosedText, posed
from engine.data.tasks.ready_made import READY_MADE
from engine.data.tasks.task import Task

MOOD = Task("mood", "classify", ("glad", "sad"), "{text}\nMood of {labels}?")


def test_a_label_is_the_answer_to_the_question_of_its_task() -> None:
    sample = Labelled("A {labels} day.", "glad", "mood")
    found = posed(sample, {"mood": MOOD})
    assert isinstance(found, PosedTask)
    assert [(turn.role, turn.content) for turn in found.messages] == [
        ("user", "A {labels} day.\nMood of glad, sad?"),
        ("assistant", "glad"),
    ]
    assert found.identity == sample.identity
    assert found.group == sample.group
    assert found.supervised_bytes == len("glad")


def test_nothing_is_learned_of_a_label_or_a_task_that_went() -> None:
    sample = Labelled("A day.", "glad", "mood")
    assert posed(sample, {}) is None
    assert posed(sample, {"mood": replace(MOOD, labels=("sad", "calm"))}) is None
    assert posed(replace(sample, label=("glad", "sad")), {"mood": MOOD}) is None
    tags = READY_MADE["named_entity_recognition"]
    assert posed(Labelled("Rex", None, tags.name, spans=(LabelledSpan(0, 3, "dog"),)), READY_MADE) is None


def test_a_text_to_go_on_with_is_learned_as_text() -> None:
    found = posed(Labelled("def one():", "\n    return 1", "code_completion"), READY_MADE)
    assert isinstance(found, PosedText)
    assert found.text == "def one():\n    return 1"


def test_other_kinds_stay_as_they_are() -> None:
    dialogue = Dialogue((Message("user", "a"), Message("assistant", "b")))
    assert posed(dialogue, {}) is dialogue
    assert posed(Text("a"), {}) == Text("a")
    assert posed(Preference((), ()), READY_MADE) is None
