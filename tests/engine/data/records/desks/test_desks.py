"""Who asks and who answers at help desks and bots; what is the desk's own is not learned."""

import pytest

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
    "a tracker of Rasa": {
        "sender_id": "1",
        "events": [
            {"event": "action", "name": "action_listen"},
            {"event": "user", "text": "How deep?"},
            {"event": "bot", "text": "Two fathoms."},
        ],
    },
}


@pytest.mark.parametrize("record", DESKS.values(), ids=DESKS)
def test_what_was_asked_and_answered_is_learned(learn, record: object) -> None:
    assert learn(record) == [ASKED_AND_ANSWERED]


def test_events_of_several_trackers_stay_apart(learn_rows) -> None:
    events = [("1", "user", "How deep?"), ("2", "user", "Why?"), ("1", "bot", "Two fathoms."), ("2", "bot", "Mud.")]
    rows = [{"sender_id": sender, "event": event, "text": text} for sender, event, text in events]
    assert learn_rows(rows) == [ASKED_AND_ANSWERED, [("user", "Why?"), ("assistant", "Mud.")]]


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
