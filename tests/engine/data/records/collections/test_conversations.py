"""Rows become conversations: told apart by their ids, with what people ranked."""

import pytest

from engine.data.records.collections.conversations import conversations_in, samples_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.registry import parse
from engine.data.records.rows import row_of
from engine.data.samples import Preference


def row(conversation: str, role: str, text: str, **more: object) -> dict[str, object]:
    return {"conversation_id": conversation, "role": role, "content": text, **more}


def test_conversations_that_alternate_stay_apart(learn_rows) -> None:
    rows = [row("a", "user", "1"), row("b", "user", "2"), row("a", "assistant", "one"), row("b", "assistant", "two")]
    assert learn_rows(rows) == [[("user", "1"), ("assistant", "one")], [("user", "2"), ("assistant", "two")]]


def test_a_row_that_cannot_be_read_costs_the_rest_of_its_conversation() -> None:
    rows = [row("a", "user", "1"), row("b", "user", "2"), row("b", "event", "x"), row("b", "assistant", "two")]
    found = conversations_in([*rows, row("a", "assistant", "one")], Limits())
    assert [type(each).__name__ for each in found] == ["Dialogue", "FormatError", "FormatError"]
    assert "row 3: turn 2: role 'event' is unknown" in str(found[2])


def test_the_ranked_answers_of_a_tree_are_held() -> None:
    listed = [
        {"message_id": "1", "parent_id": None, "role": "prompter", "text": "How deep?", "rank": None},
        {"message_id": "2", "parent_id": "1", "role": "assistant", "text": "No idea.", "rank": 1},
        {"message_id": "3", "parent_id": "1", "role": "assistant", "text": "Two fathoms.", "rank": 0},
        {"message_id": "4", "parent_id": "3", "role": "prompter", "text": "Why?", "rank": 0},
    ]
    dialogue, held = samples_of([row_of(each, 1) for each in listed], Limits())
    assert [message.content for message in dialogue.messages] == ["How deep?", "Two fathoms."]
    assert isinstance(held, Preference)
    assert held.texts == ("How deep?", "Two fathoms.", "No idea.")


def test_what_is_no_row_is_said() -> None:
    [problem, _] = conversations_in([{"x": 1}, row("a", "user", "1")], Limits())
    assert isinstance(problem, FormatError)


def test_customers_are_not_mixed_and_authors_are_no_conversations(learn_rows) -> None:
    rows = [("a", "user", "1"), ("b", "user", "2"), ("a", "assistant", "one"), ("b", "assistant", "two")]
    talks = [{"customer_id": who, "role": role, "content": text} for who, role, text in rows]
    assert learn_rows(talks) == [[("user", "1"), ("assistant", "one")], [("user", "2"), ("assistant", "two")]]
    said = [{"user_id": role, "role": role, "content": text} for _, role, text in rows]
    assert learn_rows(said) == []


def test_ranked_answers_inside_an_envelope_are_a_preference() -> None:
    tree = {"message_tree_id": "t", "lang": "en"}
    asked = {**tree, "message_id": "q", "parent_id": None, "role": "prompter", "text": "q", "rank": None}
    answers = [
        {**tree, "message_id": said, "parent_id": "q", "role": "assistant", "text": said, "rank": rank}
        for rank, said in enumerate(("best", "worse"))
    ]
    kinds = [each.kind for each in parse({"data": [asked, *answers]}, Limits()) if not isinstance(each, FormatError)]
    assert kinds == ["dialogue", "preference"]


def test_a_text_in_a_talk_is_no_plain_text() -> None:
    said = [{"id": "user", "text": "How deep?"}, {"id": "bot", "text": "Two fathoms."}]
    found = parse({"dialog": said}, Limits())
    assert ["does not say who" in str(each) for each in found] == [True, True]
    assert [each.kind for each in parse({"data": said}, Limits())] == ["text", "text"]


def test_conversations_by_id_may_be_in_objects(learn) -> None:
    said = [{"role": "user", "content": "How deep?"}, {"role": "assistant", "content": "Two fathoms."}]
    wanted = [("user", "How deep?"), ("assistant", "Two fathoms.")]
    assert learn({"a": {"messages": said}, "b": {"messages": said, "title": "x"}}) == [wanted, wanted]


@pytest.mark.parametrize("mark", [{"deleted": True}, {"weight": 0}, {"skip": True}, {"images": ["a.png"]}], ids=str)
def test_a_mark_of_a_conversation_by_id_is_heeded(learn, problems, mark: dict[str, object]) -> None:
    said = [{"role": "user", "content": "How deep?"}, {"role": "assistant", "content": "Two fathoms."}]
    record = {"a": {"messages": said}, "b": {"messages": said, **mark}}
    assert len(learn(record)) == 1
    (reason,) = problems(record)
    assert reason.startswith("'b': ")


@pytest.mark.parametrize("key", ["messages", "conversations", "conversation", "chats", "data"])
def test_rows_of_several_people_stay_apart_under_any_key(learn, key: str) -> None:
    rows = [row("a", "user", "My PIN?"), row("b", "user", "Tide?"), row("a", "assistant", "4711")]
    both = [[("user", "My PIN?"), ("assistant", "4711")], [("user", "Tide?"), ("assistant", "Six.")]]
    assert learn({key: [*rows, row("b", "assistant", "Six.")]}) == both


def test_exchanges_of_one_conversation_in_a_list_in_a_list_are_one_dialogue(learn) -> None:
    rows = [{"conversation_id": "a", "prompt": text, "response": text.upper()} for text in ("one", "two")]
    assert learn([rows]) == [[("user", "one"), ("assistant", "ONE"), ("user", "two"), ("assistant", "TWO")]]


def test_rows_of_exports_that_overlap_count_once(learn_rows) -> None:
    rows = [row("a", "user", "1", id="x"), row("a", "assistant", "one", id="y")]
    assert learn_rows([*rows, *rows]) == [[("user", "1"), ("assistant", "one")]]


def test_of_a_page_that_is_newest_first_the_answer_to_another_page_is_context(learn) -> None:
    said = [("assistant", "Nine."), ("user", "There?"), ("assistant", "Two.")]
    data = [{"role": role, "content": text, "created_at": 3 - at} for at, (role, text) in enumerate(said)]
    assert learn({"object": "list", "data": data}) == [
        [("context", "Two."), ("user", "There?"), ("assistant", "Nine.")]
    ]
