"""Chats with characters: who is human asks, what was swiped away is left out."""

import pytest

SAID = [("assistant", "Ahoy!"), ("user", "How deep?"), ("assistant", "Two fathoms.")]
OLD = [
    {"id": 1, "src": {"is_human": False, "name": "Pilot"}, "tgt": {"is_human": True}, "text": "Ahoy!"},
    {"id": 2, "src": {"is_human": True, "name": "Ada"}, "text": "How deep?", "is_alternative": False},
    {"id": 3, "src": {"is_human": False}, "text": "No idea.", "is_alternative": True},
    {"id": 4, "src": {"is_human": False}, "text": "Two fathoms.", "is_alternative": False},
]
OF_THE_PAGE = [{"id": m["id"], "src__is_human": m["src"]["is_human"], "text": m["text"]} for m in OLD if m["id"] != 3]


def turn(at: int, name: str, *said: str, is_human: bool = False) -> dict[str, object]:
    author = {"author_id": name, "name": name, **({"is_human": True} if is_human else {})}
    return {
        "turn_key": {"chat_id": "c", "turn_id": str(at)},
        "create_time": f"2025-01-01T10:00:0{at}.123456Z",
        "author": author,
        "candidates": [{"candidate_id": str(number), "raw_content": text} for number, text in enumerate(said)],
        "primary_candidate_id": str(len(said) - 1),
    }


NEW = [
    turn(3, "Pilot", "No idea.", "Two fathoms."),
    turn(2, "Ada", "How deep?", is_human=True),
    turn(1, "Pilot", "Ahoy!"),
]
RECORDS = {
    "a history": {"histories": [{"external_id": "h", "msgs": OLD}]},
    "a history beside the character": {"info": {"name": "Pilot"}, "histories": {"histories": [{"msgs": OLD}]}},
    "a page of messages": {"messages": OF_THE_PAGE, "next_page": 0, "has_more": False},
    "turns, newest first": {"turns": NEW, "meta": {"next_token": ""}},
    "a list of lists": {
        "histories": [[{"is_human": m["src"]["is_human"], "text": m["text"]} for m in OLD if m["id"] != 3]]
    },
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_history(learn, record: object) -> None:
    assert learn(record) == [SAID]


def test_messages_as_rows(learn_rows) -> None:
    assert learn_rows(OF_THE_PAGE) == [SAID]


def test_histories_stay_apart_and_a_picture_costs_its_own(learn, problems) -> None:
    seen = [*OLD, {"id": 5, "src": {"is_human": False}, "text": "See", "image_rel_path": "a.png"}]
    record = {"histories": [{"msgs": OLD}, {"msgs": seen}]}
    assert learn(record) == [SAID]
    assert problems(record) == ["history 2: turn 5: a picture: only text can be learned"]
