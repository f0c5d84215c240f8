"""Who asks and who answers at help desks and bots; what is the desk's own is not learned."""

import io
import json
from collections.abc import Callable

import pytest

from engine.data.readers.items import Found
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.samples import Dialogue

ASKED_AND_ANSWERED = [("user", "How deep?"), ("assistant", "Two fathoms.")]
COMMENTS = [
    {"author_id": 1, "body": "How deep?"},
    {"author_id": 2, "body": "Ask the pilot first.", "public": False},
    {"author_id": 2, "body": "Two fathoms."},
]


def part(kind: str, author: str, body: str | None) -> dict[str, object]:
    return {"part_type": kind, "author": {"type": author}, "body": body}


DESKS = {
    "a ticket of Zendesk": {"requester_id": 1, "comments": COMMENTS},
    "a ticket beside its comments": {"ticket": {"requester_id": 1}, "comments": COMMENTS},
    "tickets in an envelope": {"tickets": [{"requester": {"id": 1}, "comments": COMMENTS}], "count": 1},
    "a chat of Zendesk": {
        "history": [
            {"type": "chat.memberjoin", "sender_type": "Visitor", "msg": "Ada has joined"},
            {"type": "chat.msg", "sender_type": "Visitor", "msg": "How deep?"},
            {"type": "chat.msg", "sender_type": "Agent", "msg": "Two fathoms."},
        ]
    },
    "Intercom": {
        "source": {"author": {"type": "lead"}, "body": "<p>How deep?</p>"},
        "conversation_parts": {
            "conversation_parts": [
                part("assignment", "admin", None),
                part("note", "admin", "<p>Ask the pilot first.</p>"),
                part("comment", "bot", "<p>Two <b>fathoms</b>.</p>"),
            ]
        },
    },
    "Botpress": {
        "messages": [
            {"direction": "outgoing", "payload": {"text": "Two fathoms."}, "createdAt": "2025-01-01T00:00:01Z"},
            {"direction": "incoming", "payload": {"text": "How deep?"}, "createdAt": "2025-01-01T00:00:00Z"},
        ]
    },
    "a conversation of Dialogflow": {
        "interactions": [
            {"requestUtterances": "", "responseUtterances": "", "createTime": "2025-01-01T00:00:02Z"},
            {
                "requestUtterances": "How deep?",
                "responseUtterances": "Two fathoms.",
                "createTime": "2025-01-01T00:00:01Z",
            },
        ]
    },
    "a tracker of Rasa": {
        "sender_id": "1",
        "events": [
            {"event": "action", "name": "action_listen"},
            {"event": "user", "text": "How deep?"},
            {"event": "bot", "text": "Two fathoms."},
        ],
    },
}


@pytest.fixture
def read_lines() -> Callable[[list[object]], list[list[tuple[str, str]]]]:
    """What is learned of a file with a record a line, sorted from the last."""

    def read_lines(records: list[object]) -> list[list[tuple[str, str]]]:
        raw = "".join(f"{json.dumps(record)}\n" for record in records).encode()
        items = read_known(io.BytesIO(raw), Limits())
        found = [item.sample for item in items if isinstance(item, Found)]
        talks = [[(m.role, m.content) for m in each.messages] for each in found if isinstance(each, Dialogue)]
        return sorted(talks, reverse=True)

    return read_lines


@pytest.mark.parametrize("record", DESKS.values(), ids=DESKS)
def test_what_was_asked_and_answered_is_learned(learn, record: object) -> None:
    assert learn(record) == [ASKED_AND_ANSWERED]


def test_events_of_several_trackers_stay_apart(learn_rows) -> None:
    events = [("1", "user", "How deep?"), ("2", "user", "Why?"), ("1", "bot", "Two fathoms."), ("2", "bot", "Mud.")]
    rows = [{"sender_id": sender, "event": event, "text": text} for sender, event, text in events]
    assert learn_rows(rows) == [ASKED_AND_ANSWERED, [("user", "Why?"), ("assistant", "Mud.")]]


def turn(asked: str, answered: str, **more: object) -> dict[str, object]:
    result = {"queryText": asked, "fulfillmentText": answered, "intent": {"displayName": "depth"}, **more}
    return {"responseId": "r", "queryResult": result}


def of(session: str) -> dict[str, object]:
    return {"outputContexts": [{"name": f"projects/p/agent/sessions/{session}/contexts/depth"}]}


def test_turns_of_dialogflow_stay_apart_by_their_sessions(learn_rows) -> None:
    rows = [turn("How deep?", "Two.", **of("1")), turn("Why?", "Mud.", **of("2")), turn("And there?", "3.", **of("1"))]
    assert learn_rows(rows) == [
        [("user", "How deep?"), ("assistant", "Two."), ("user", "And there?"), ("assistant", "3.")],
        [("user", "Why?"), ("assistant", "Mud.")],
    ]


def test_turns_of_dialogflow_as_the_client_for_python_writes_them(learn_rows) -> None:
    session = {"output_contexts": [{"name": "projects/p/agent/sessions/1/contexts/depth"}]}
    texts = {"query_text": "How deep?", "fulfillment_text": "Two fathoms."}
    messages = {"query_text": "Why?", "fulfillment_messages": [{"text": {"text": ["Mud."]}}]}
    assert learn_rows([{"query_result": {**said, **session}} for said in (texts, messages)]) == [
        [*ASKED_AND_ANSWERED, ("user", "Why?"), ("assistant", "Mud.")]
    ]


def test_turns_of_dialogflow_without_a_session_are_conversations_of_their_own(read_lines) -> None:
    assert read_lines([turn("How deep?", "Two fathoms."), turn("Why?", "Mud.")]) == [
        [("user", "Why?"), ("assistant", "Mud.")],
        ASKED_AND_ANSWERED,
    ]


def test_rows_of_dialogflow_in_bigquery_are_put_in_order(learn_rows) -> None:
    said = {1: ("How deep?", ["Two", "fathoms."]), 2: ("Why?", ["Mud."])}
    rows = [
        {
            "conversation_name": "c",
            "turn_position": str(number),
            "request_time": f"2025-01-01 00:00:0{number} UTC",
            "request": "{}",
            "response": json.dumps(
                {"queryResult": {"text": said[number][0], "responseMessages": [
                    *({"text": {"text": [text]}} for text in said[number][1]), {"payload": {}}
                ]}}
            ),
        }
        for number in (2, 1)
    ]  # fmt: skip
    assert learn_rows(rows) == [
        [("user", "How deep?"), ("assistant", "Two\nfathoms."), ("user", "Why?"), ("assistant", "Mud.")]
    ]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"comments": COMMENTS}, "they do not say which author asked"),
        ({"sender_id": 1, "events": [{"event": "rewind"}]}, "taken back"),
        ({"messages": [{"direction": "incoming", "type": "image", "payload": {"imageUrl": "x"}}]}, "only text"),
    ],
)
def test_what_cannot_be_known_is_refused_by_name(problems, record: object, reason: str) -> None:
    assert reason in problems(record)[0]


FILE = [{"file_name": "pier.png"}]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"requester_id": 1, "comments": [{**COMMENTS[0], "attachments": FILE}, COMMENTS[2]]}, "with a file"),
        ({**DESKS["Intercom"], "conversation_rating": {"rating": 1}}, "rated 1 or 2"),
    ],
    ids=["a file", "a bad rating of Intercom"],
)
def test_what_is_about_a_file_or_was_rated_bad_is_refused(problems, record: object, reason: str) -> None:
    assert reason in problems(record)[0]


@pytest.mark.parametrize(
    "record",
    [
        {"requester_id": 1, "comments": COMMENTS, "satisfaction_rating": {"score": "bad"}},
        {**DESKS["a chat of Zendesk"], "rating": "bad"},
    ],
    ids=["a ticket", "a chat"],
)
def test_what_was_rated_bad_is_held(learn, problems, record: object) -> None:
    assert (learn(record), problems(record)) == ([], [])
