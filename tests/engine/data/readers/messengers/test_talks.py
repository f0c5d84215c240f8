"""One rule for every messenger: who is the assistant, what is one turn, and where a conversation ends."""

import io
import json
from collections.abc import Callable, Iterable
from typing import BinaryIO

import pytest

from engine.data.readers.items import Found, Resume
from engine.data.readers.messengers.said import Said
from engine.data.readers.messengers.talks import format_of
from engine.data.records.limits import Limits
from engine.data.records.names.settings import Names
from tests.engine.data.readers.messengers.conftest import Read

HOUR = 3_600_000


def talk(*messages: tuple[str, float, str]) -> str:
    found = [{"sender_name": who, "timestamp_ms": int(at * HOUR), "content": text} for who, at, text in messages]
    return json.dumps({"participants": [], "messages": found[::-1]})


QUESTION = (("Ada", 1, "Is it open?"), ("Ada", 1.1, "The ford, I mean."), ("Bo", 2, "Yes."), ("Bo", 2.1, "Till six."))
ANSWERED = [("user", "Is it open?\nThe ford, I mean."), ("assistant", "Yes.\nTill six.")]


def test_messages_of_one_person_that_follow_each_other_are_one_turn(read: Read) -> None:
    assert read(talk(*QUESTION), assistant=("bo",)) == ([ANSWERED], [])


def test_where_nobody_is_named_the_refusal_says_who_speaks_and_what_to_write(read: Read) -> None:
    for setting in ({}, {"assistant": ("Cy",)}):
        said, (reason,) = read(talk(*QUESTION), **setting)
        assert said == []
        assert '"Ada", "Bo"' in reason
        assert '[data.speakers] in thord.toml who it is, such as assistant = ["Bo"]' in reason
        assert "thorctl quarantine retry" in reason


def test_a_long_pause_ends_a_conversation(read: Read) -> None:
    later = [(who, at + 20, text) for who, at, text in QUESTION]
    assert read(talk(*QUESTION, *later), assistant=("Bo",))[0] == [ANSWERED, ANSWERED]
    assert len(read(talk(*QUESTION, *later), assistant=("Bo",), pause_hours=30)[0]) == 1


def test_a_conversation_without_an_answer_is_counted(read: Read) -> None:
    said, (reason,) = read(talk(("Ada", -50, "Hello?"), ("Ada", -20, "Hello?!"), *QUESTION), assistant=("Bo",))
    assert said == [ANSWERED]
    assert reason.endswith("conversations without an answer that can be learned: 2")


def test_who_is_ignored_is_left_out_and_a_stranger_costs_the_conversation(read: Read) -> None:
    noise = ("Cy", 1.05, "Unsubscribe me")
    raw = talk(*QUESTION, noise)
    assert read(raw, assistant=("Bo",), ignored=("Cy",)) == ([ANSWERED], [])
    said, (reason,) = read(raw, assistant=("Bo",), user=("Ada",))
    assert (said, "'Cy' speaks in it" in reason) == ([], True)


def test_several_users_stay_apart(read: Read) -> None:
    said, _ = read(talk(("Ada", 1, "Tea?"), ("Cy", 1.1, "Or beer?"), ("Bo", 1.2, "Tea.")), assistant=("Bo",))
    assert said == [[("user", "Tea?"), ("user", "Or beer?"), ("assistant", "Tea.")]]


@pytest.mark.parametrize(("kept", "times"), [(list, 1), (iter, 2)], ids=["whole", "by lines"])
def test_only_a_file_that_does_not_lie_in_memory_is_read_twice(kept: Callable[..., Iterable[Said]], times: int) -> None:
    read_from: list[BinaryIO] = []

    def said_in(stream: BinaryIO, limits: Limits) -> Iterable[Said]:
        del limits
        read_from.append(stream)
        return kept([Said(("Ada",), "How deep?"), Said(("Bo",), "Two fathoms.")])

    known = format_of("talk", "a talk", lambda head: True, said_in)
    limits = Limits(names=Names(speakers={"bo": "assistant"}))
    (found,) = known.read(io.BytesIO(b"talk"), limits, Resume("talk", 0, 1))
    assert isinstance(found, Found)
    assert len(read_from) == times


@pytest.mark.parametrize("caption", ["", "What bird is this?"])
def test_an_answer_to_a_picture_is_context_only(read: Read, caption: str) -> None:
    picture = {"sender_name": "Ada", "timestamp_ms": 0, "photos": [{}], "content": caption}
    export = json.loads(talk(("Bo", 1, "A stork."), ("Ada", 2, "And its call?"), ("Bo", 3, "It clatters.")))
    export["messages"].append(picture)
    said, (reason,) = read(json.dumps(export), assistant=("Bo",))
    asked = [("user", caption)] if caption else []
    assert said == [[*asked, ("assistant*", "A stork."), ("user", "And its call?"), ("assistant", "It clatters.")]]
    assert reason.endswith("and the answers to them: 1")
