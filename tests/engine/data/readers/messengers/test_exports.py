"""Telegram, Discord, Slack and Messenger, as their programs export them."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from engine.data.readers.messengers import slack
from engine.data.records.limits import Limits
from tests.engine.data.readers.messengers.conftest import Read

ANSWERED = [("user", "How deep?"), ("assistant", "Two fathoms.")]


def telegram(**more: object) -> dict[str, object]:
    messages: list[dict[str, object]] = [
        {"type": "service", "actor": "Ada", "action": "pin_message", "date": "2024-12-31T22:44:00", "text": ""},
        {
            "type": "message",
            "from": "Ada",
            "date": "2024-12-31T22:45:00",
            "text": ["How ", {"type": "bold", "text": "deep?"}],
        },
        {"type": "message", "from": "Ada", "forwarded_from": "News", "date": "2024-12-31T22:45:30", "text": "Storm!"},
        {"type": "message", "from": "Bo", "from_id": "user2", "date": "2024-12-31T22:46:00", "text": "Two fathoms."},
    ]
    return {"name": "Bo", "type": "personal_chat", "id": 1, "messages": messages, **more}


def test_telegram_one_chat_or_all(read: Read) -> None:
    account = {
        "about": "Here is the data you requested. Telegram is fast.",
        "chats": {"list": [telegram(), telegram()]},
    }
    for names in (("Bo",), ("user2",)):
        assert read(json.dumps(telegram()), assistant=names) == ([ANSWERED], [])
    assert read(json.dumps(account, indent=1), assistant=("Bo",)) == ([ANSWERED, ANSWERED], [])


def discord(*, is_bot: bool) -> str:
    messages = [
        {
            "type": "Default",
            "timestamp": "2025-01-01T10:00:00+00:00",
            "content": "How deep?",
            "author": {"name": "ada"},
        },
        {"type": "GuildMemberJoin", "content": "joined", "author": {"name": "cy"}},
        {"type": "Reply", "content": "Two fathoms.", "author": {"name": "bo", "nickname": "Bo E.", "isBot": is_bot}},
    ]
    return json.dumps({"guild": {"id": "1"}, "channel": {"name": "help"}, "messages": messages})


def test_discord_a_bot_is_the_assistant_where_nobody_is_named(read: Read) -> None:
    assert read(discord(is_bot=True)) == ([ANSWERED], [])
    assert read(discord(is_bot=False), assistant=("Bo E.",)) == ([ANSWERED], [])
    said, (reason,) = read(discord(is_bot=False))
    assert (said, "a channel of Discord" in reason) == ([], True)


def test_discord_with_its_keys_in_another_order(read: Read) -> None:
    turned = dict(reversed(json.loads(discord(is_bot=True)).items()))
    assert read(json.dumps(turned)) == ([ANSWERED], [])


def test_discord_as_a_table_and_as_text(read: Read) -> None:
    table = (
        'AuthorID,Author,Date,Content,Attachments,Reactions\n"9","ada","2025-01-01T10:00:00.0000000+00:00","How deep?",'
    )
    table += '"",""\n"8","bo","01-Jan-25 10:01 AM","Two fathoms.","",""\n'
    rule = "=" * 62
    text = f"{rule}\nGuild: Boats\nChannel: help\n{rule}\n\n"
    text += "[01-Jan-25 10:00 AM] ada\nHow deep?\n\n{Reactions}\nx (2)\n\n"
    text += f"[01-Jan-25 10:01 AM] bo\nTwo fathoms.\n\n{rule}\nExported 2 message(s)\n{rule}\n"
    for raw in (table, text):
        assert read(raw, assistant=("bo",)) == ([ANSWERED], [])
    assert "CSV" in read(table)[1][0]


DAY = [
    {
        "type": "message",
        "user": "U1",
        "text": "&lt;hi&gt; <@U2>, see <https://a.org/x|the chart>",
        "ts": "1742210466.4",
    },
    {"type": "message", "subtype": "channel_join", "user": "U3", "text": "<@U3> has joined", "ts": "1742210467.4"},
    {"type": "message", "user": "U1", "text": "How deep?", "ts": "1742210468.4", "thread_ts": "1742210468.4"},
    {"type": "message", "user": "U2", "text": "I do.", "ts": "1742210470.1"},
    {"type": "message", "user": "U2", "text": "Two fathoms.", "ts": "1742510470.1", "thread_ts": "1742210468.4"},
]
USERS = [
    {"id": "U1", "name": "ada"},
    {"id": "U2", "name": "bo", "profile": {"real_name": "Bo Ek", "display_name": "bo"}},
]
SEEN = [("user", "<hi> @Bo Ek, see the chart"), ("assistant", "I do.")]


@pytest.mark.parametrize("who", ["Bo Ek", "bo", "U2"])
def test_slack_a_day_beside_the_names_of_people(read: Read, tmp_path: Path, who: str) -> None:
    (tmp_path / "users.json").write_text(json.dumps(USERS))
    (tmp_path / "help").mkdir()
    said, refused = read(json.dumps(DAY), path=tmp_path / "help" / "2025-03-17.json", assistant=(who,))
    assert (sorted(said), refused) == (sorted([SEEN, ANSWERED]), [])


def test_slack_a_list_of_people_longer_than_a_record_may_be(read: Read, tmp_path: Path) -> None:
    others = [{"id": f"X{number}", "name": "x" * 1000} for number in range(9000)]
    (tmp_path / "users.json").write_text(json.dumps([*others, "?", *USERS]))
    (tmp_path / "help").mkdir()
    said, _ = read(json.dumps(DAY), path=tmp_path / "help" / "2025-03-17.json", assistant=("Bo Ek",))
    assert sorted(said) == sorted([SEEN, ANSWERED])


def test_slack_the_zip_names_people_wherever_the_list_lies(read: Read) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("help/2025-03-17.json", json.dumps(DAY))
        archive.writestr("users.json", json.dumps(USERS))
    said, _ = read(packed.getvalue(), assistant=("Bo Ek",))
    assert sorted(said) == sorted([SEEN, ANSWERED])


def test_slack_a_list_of_people_or_channels_is_refused_once(read: Read) -> None:
    people = [{"id": f"U{n}", "team_id": "T", "name": "ada", "profile": {"real_name": "Ada"}} for n in range(3)]
    channels = [{"id": f"C{n}", "name": "help", "created": 1, "creator": "U1", "members": ["U1"]} for n in range(3)]
    for listed in (people, channels):
        said, (reason,) = read(json.dumps(listed), assistant=("Ada",))
        assert (said, "Slack's list" in reason) == ([], True)


def test_meta_text_that_was_read_as_latin_1_is_mended(read: Read) -> None:
    mangled = "Where? \U0001f33f".encode().decode("latin-1")
    messages = [
        {"sender_name": "Bo", "timestamp_ms": 3, "content": "Bo sent an attachment."},
        {"sender_name": "Bo", "timestamp_ms": 2, "content": "caf\u00c3\u00a9 at six"},
        {"sender_name": "Ada", "timestamp_ms": 1, "content": mangled},
    ]
    said, _ = read(json.dumps({"participants": [], "messages": messages}), assistant=("Bo",))
    assert said == [[("user", "Where? \U0001f33f"), ("assistant", "café at six")]]


def test_meta_of_encrypted_chats(read: Read) -> None:
    messages = [
        {"isUnsent": False, "media": [], "senderName": "Ada", "text": "How deep?", "timestamp": 1, "type": "text"},
        {"isUnsent": True, "media": [], "senderName": "Bo", "text": "Three.", "timestamp": 2, "type": "text"},
        {"isUnsent": False, "media": [], "senderName": "Bo", "text": "Two fathoms.", "timestamp": 3, "type": "text"},
    ]
    assert read(json.dumps({"participants": [], "messages": messages}), assistant=("Bo",)) == ([ANSWERED], [])


def test_the_names_of_slack_are_read_once_for_all_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users.json").write_text(json.dumps(USERS))
    days = [tmp_path / "general" / f"2025-01-0{day}.json" for day in range(1, 6)]
    read: list[Path] = []
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *given: read.append(path) or opened(path, *given))
    found = [slack.with_people_beside(Limits(), day) for day in days]
    assert read == [tmp_path / "users.json"]
    assert len({id(limits.names.people) for limits in found}) == 1
    monkeypatch.undo()
    (tmp_path / "users.json").write_text(json.dumps(USERS[:1]))
    assert slack.with_people_beside(Limits(), days[0]).names.people != found[0].names.people
