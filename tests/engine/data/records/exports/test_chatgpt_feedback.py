"""Thumbs in a file of their own, beside conversations of ChatGPT, in a zip or in a folder."""

import io
import json
import zipfile

from engine.data.readers import loaders
from engine.data.readers.items import Found, Refused
from engine.data.readers.read import read_known
from engine.data.records.exports.chatgpt_feedback import with_feedback
from engine.data.records.limits import Limits


def talk(name: str) -> dict[str, object]:
    roles = {f"q{name}": ("user", None), f"a{name}": ("assistant", f"q{name}")}
    mapping = {
        at: {"parent": parent, "message": {"id": at, "author": {"role": role}, "content": {"parts": [at]}}}
        for at, (role, parent) in roles.items()
    }
    return {"mapping": mapping, "current_node": f"a{name}"}


FILES = {
    "conversations.json": [talk("1"), talk("2")],
    "message_feedback.json": [{"id": "a2", "conversation_id": "c", "rating": "thumbs_down", "content": "{}"}],
}


def test_an_answer_with_a_thumb_down_is_not_learned(tmp_path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"export/{name}", json.dumps(content))
            (tmp_path / name).write_text(json.dumps(content))
    items = list(read_known(packed, Limits()))
    found = [each.sample for each in items if isinstance(each, Found)]
    refused = [each for each in items if isinstance(each, Refused)]
    assert [each.texts for each in found] == [("q1", "a1")]
    assert any("marked as bad" in each.reason for each in refused)
    assert any("message_feedback.json" in each.reason for each in refused)
    with (tmp_path / "conversations.json").open("rb") as stream:
        beside = [
            each.sample
            for each in loaders.read(tmp_path / "conversations.json", stream, Limits())
            if isinstance(each, Found)
        ]
    assert beside == found


def test_a_list_of_thumbs_that_cannot_be_read_or_names_nothing_counts_for_nothing() -> None:
    deep = b'[{"id": "a2", "rating": ' + b"[" * 600 + b"]" * 600 + b"}]"
    for listing in (b"{", deep, b'[{"rating": "thumbs_down"}]'):
        assert not with_feedback(Limits(), listing).disliked
