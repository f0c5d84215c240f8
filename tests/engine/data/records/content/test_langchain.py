"""Messages as LangChain dumps them are read like those of OpenAI, wherever they stand."""

import json

import pytest

ASKED_AND_ANSWERED = [("user", "How deep?"), ("assistant", "Two fathoms.")]


def dumped(kind: str, content: object, **more: object) -> dict[str, object]:
    return {"type": kind, "data": {"content": content, "additional_kwargs": {}, "type": kind, "name": None, **more}}


def constructed(kind: str, content: object, **more: object) -> dict[str, object]:
    held = {"content": content, "additional_kwargs": {}, **more}
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", kind], "kwargs": held}


DICTS = [dumped("human", "How deep?"), dumped("ai", "Two fathoms.", tool_calls=[], example=False)]
CONSTRUCTORS = [constructed("HumanMessage", "How deep?"), constructed("AIMessageChunk", "Two fathoms.")]
RECORDS = {
    "messages_to_dict": {"messages": DICTS},
    "a bare list": DICTS,
    "dumpd": {"messages": CONSTRUCTORS},
    "the state of a graph": {"values": {"messages": CONSTRUCTORS}},
    "roles of their own": [
        dumped("chat", "How deep?", role="user"),
        dumped("chat", "Two fathoms.", role="assistant"),
    ],
    "a run of LangSmith": {
        "inputs": {"messages": [CONSTRUCTORS[:1]]},
        "outputs": {"generations": [[{"text": "Two fathoms.", "message": CONSTRUCTORS[1]}]]},
    },
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_messages_of_langchain(learn, record: object) -> None:
    assert learn(record) == [ASKED_AND_ANSWERED]


def test_calls_are_not_made_twice(learn) -> None:
    call = {"name": "sound", "args": {"at": "pier"}, "id": "1", "type": "tool_call"}
    parts = [{"type": "text", "text": "Let me see."}, {"type": "tool_use", "id": "1", "name": "sound", "input": {}}]
    record = [
        constructed("HumanMessage", "How deep?"),
        constructed("AIMessage", parts, tool_calls=[call]),
        constructed("ToolMessage", "2", tool_call_id="1"),
        constructed("AIMessage", "Two fathoms."),
    ]
    (talk,) = learn(record)
    assert talk[1:3] == [("assistant", 'Let me see.\n{"name": "sound", "arguments": {"at": "pier"}}'), ("tool", "2")]


def test_calls_in_the_form_of_openai(learn) -> None:
    calls = {"function_call": {"name": "sound", "arguments": '{"at": "pier"}'}}
    record = [constructed("HumanMessage", "How deep?"), constructed("AIMessage", "", additional_kwargs=calls)]
    assert learn(record) == [[ASKED_AND_ANSWERED[0], ("assistant", '{"name": "sound", "arguments": {"at": "pier"}}')]]


def test_rows_of_a_store_are_kept_apart_by_their_sessions(learn_rows) -> None:
    rows = [{"id": n, "session_id": n // 2, "message": message} for n, message in enumerate([*DICTS, *DICTS])]
    assert learn_rows(rows) == [ASKED_AND_ANSWERED] * 2


def test_a_message_of_another_kind_is_refused(problems) -> None:
    (reason,) = problems(json.loads(json.dumps([DICTS[0], constructed("RemoveMessage", ""), DICTS[1]])))
    assert "role 'remove' is unknown" in reason


@pytest.mark.parametrize(
    "marks",
    [{"weight": 0}, {"status": "error"}, {"response_metadata": {"finish_reason": "length"}}, {"feedback": "bad"}],
    ids=str,
)
def test_marks_in_a_dump_are_heeded(learn, marks: dict[str, object]) -> None:
    talk = [dumped("human", "a"), dumped("ai", "b", **marks), dumped("human", "c"), dumped("ai", "d")]
    assert learn(talk) == [[("user", "a"), ("context", "b"), ("user", "c"), ("assistant", "d")]]
    beside = [dumped("human", "a"), {**dumped("ai", "b"), **marks}, dumped("human", "c"), dumped("ai", "d")]
    assert learn(beside) == learn(talk)
