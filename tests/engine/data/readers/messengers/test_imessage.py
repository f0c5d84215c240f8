"""iMessage: the database of a Mac of any version, and its talks exported as text."""

import io
import sqlite3
import zipfile
from pathlib import Path

import pytest

from engine.data.readers.items import Found, Refused
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.records.names.settings import Names
from tests.engine.data.readers.messengers.conftest import Read

SECOND = 1_000_000_000
SAID = [("user", "is the ford passable?"), ("assistant", "go round:\nknee deep")]


def archived(text: str) -> bytes:
    """A text as macOS archives it."""
    raw = text.encode()
    length = bytes([len(raw)]) if len(raw) < 0x81 else b"\x81" + len(raw).to_bytes(2, "little")
    head = b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x12NSAttributedString\x00"
    return (
        head
        + b"\x84\x84\x08NSObject\x00\x85\x92"
        + b"\x84\x84\x84\x08NSString\x01\x94\x84\x01+"
        + length
        + raw
        + b"\x86\x84\x02iI\x01\x02"
    )


def database(folder: Path, *messages: tuple[object, ...], more: str = "") -> bytes:
    """``(chat, text, body, is_from_me, date, handle, has_attachments, tap)`` each."""
    file = folder / "chat.db"
    with sqlite3.connect(file) as made:
        made.execute(
            "CREATE TABLE message (ROWID INTEGER PRIMARY KEY, text TEXT, attributedBody BLOB, handle_id INTEGER,"
            f" is_from_me INTEGER, date INTEGER, cache_has_attachments INTEGER, associated_message_type INTEGER{more})"
        )
        made.execute("CREATE TABLE handle (ROWID INTEGER PRIMARY KEY, id TEXT)")
        made.execute("CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER)")
        made.executemany("INSERT INTO handle VALUES (?, ?)", [(1, "+15550100"), (2, "bo@example.org")])
        for number, (chat, text, body, is_mine, date, handle, attached, tap) in enumerate(messages, 1):
            row = (number, text, body, handle, is_mine, date, attached, tap)
            made.execute(
                "INSERT INTO message (ROWID, text, attributedBody, handle_id, is_from_me, date, cache_has_attachments,"
                " associated_message_type) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            made.execute("INSERT INTO chat_message_join VALUES (?, ?)", (chat, number))
    made.close()
    return file.read_bytes()


ASKED = (1, SAID[0][1], None, 0, 1 * SECOND * 1000, 1, 0, 0)
OTHER = (2, "why?", None, 0, 2 * SECOND * 1000, 2, 0, 0)
ANSWERED = (1, None, archived(SAID[1][1]), 1, 3 * SECOND * 1000, 0, 0, 0)


@pytest.mark.parametrize("packed", [False, True], ids=["alone", "zipped"])
def test_chats_of_a_database_stay_apart(read: Read, tmp_path: Path, packed: bool) -> None:
    tapped = (1, "Loved \u201cgo round\u201d", None, 0, 4 * SECOND * 1000, 1, 0, 2000)
    other = (2, "mud", None, 1, 5 * SECOND * 1000, 0, 0, 0)
    raw = database(tmp_path, ASKED, OTHER, ANSWERED, tapped, other)
    if packed:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr("Messages/chat.db", raw)
        raw = archive.getvalue()
    said, refused = read(raw, assistant=("Me",))
    assert (sorted(said), refused) == (sorted([SAID, [("user", "why?"), ("assistant", "mud")]]), [])


def test_what_is_still_in_the_write_ahead_log_is_said(tmp_path: Path) -> None:
    database(tmp_path, ASKED, ANSWERED)
    (tmp_path / "chat.db-wal").write_bytes(b"newer messages")
    with (tmp_path / "chat.db").open("rb") as stream:
        refused, found = read_known(stream, Limits(names=Names(speakers={"me": "assistant"})))
    assert isinstance(refused, Refused)
    assert isinstance(found, Found)
    assert "quit the program that writes it" in refused.reason


def test_a_long_text_of_a_newer_mac_and_seconds_of_an_older_one(read: Read, tmp_path: Path) -> None:
    long = "knee deep, " * 60
    rows = [(1, "deep?", None, 0, 10, 1, 0, None), (1, None, archived(long), 1, 20, 0, 0, None)]
    assert read(database(tmp_path, *rows), assistant=("Me",))[0] == [[("user", "deep?"), ("assistant", long.strip())]]


def test_an_answer_to_a_picture_is_not_learned(read: Read, tmp_path: Path) -> None:
    rows = [(1, "\ufffcsee?", None, 0, 1, 1, 1, 0), (1, "nice", None, 1, 2, 0, 0, 0)]
    said, refused = read(database(tmp_path, *rows), assistant=("Me",))
    assert (said, len(refused)) == ([], 2)


def test_who_speaks_is_named_where_nobody_is_known(read: Read, tmp_path: Path) -> None:
    said, (reason,) = read(database(tmp_path, ASKED, ANSWERED))
    assert (said, '"+15550100", "Me"' in reason) == ([], True)


TEXT = """Oct 17, 2021 10:31:49 PM (Read by you after 5 seconds)
Ada
is the ford
passable?
Tapbacks:
Loved by Bo Ek

Oct 17, 2021  9:32:03 PM You renamed the conversation to Ford

Oct 17, 2021 10:33:03 PM
Me
go round
    Oct 17, 2021 10:34:03 PM
    Ada
    thanks

Edited 5 seconds later: go round: knee deep
Sent with Slam

Oct 17, 2021 10:34:03 PM
Ada
thanks
This message responded to an earlier message.

Oct 17, 2021 10:35:03 PM
Me
/Users/bo/attachments/0.jpeg

"""


def test_a_text_without_what_the_exporter_adds(read: Read) -> None:
    said, (left_out,) = read(TEXT, assistant=("Me",))
    assert said == [
        [("user", "is the ford\npassable?"), ("assistant", "go round: knee deep"), ("user", "thanks")],
    ]
    assert "pictures, sounds and files, and the answers to them: 1" in left_out


def test_a_text_of_whom_nobody_is_known_is_refused_by_name(read: Read) -> None:
    said, (reason,) = read(TEXT.replace("Oct 17", "Foo 99"))
    assert (said, reason.startswith("a talk of iMessage")) == ([], True)


def message(side: str, at: int, who: str, said: str, more: str = "") -> str:
    head = (
        f'<span class="timestamp">Oct 17, 2021 10:3{at}:49 PM (Read by you)</span>\n<span class="sender">{who}</span>'
    )
    bubble = f'<hr>\n<div class="message_part"><span class="bubble">{said}</span></div>'
    return f'<div class="message">\n<div class="{side} iMessage">\n<p>{head}</p>\n{bubble}\n{more}</div>\n</div>\n'


def test_a_page_without_what_the_exporter_adds(read: Read) -> None:
    tapped = '<div class="reactions"><hr><p>Reactions:</p><span class="bubble">Loved</span></div>'
    reply = f'<div class="replies"><div class="reply">{message("received", 2, "Ada", "thanks")}</div></div>'
    page = (
        "<html>\n<meta charset='UTF-8'>\n<link rel='stylesheet' href='style.css'>\n"
        + message("received", 0, "Ada", "is the ford<br>passable &amp; dry?", tapped)
        + '<div class="announcement"><p><span class="timestamp">Oct 17, 2021 10:31:03 PM</span> You left</p></div>\n'
        + message(
            "sent", 1, "Me", "go round", f'<div class="message_part"><span class="bubble">knee deep</span></div>{reply}'
        )
        + message("received", 2, "Ada", "thanks")
        + message("sent", 3, "Me", "", '<div class="message_part"><img src="attachments/a.png"></div>')
        + "</html>"
    )
    said, (left_out,) = read(page, assistant=("Me",))
    assert said == [
        [("user", "is the ford\npassable & dry?"), ("assistant", "go round\nknee deep"), ("user", "thanks")],
    ]
    assert "pictures, sounds and files, and the answers to them: 1" in left_out
    assert read(page)[1][0].startswith("a talk of iMessage as a page")


@pytest.mark.parametrize(
    ("rest", "reason"), [("<a \n" * 80_000, "a tag of more than"), ("<div>" * 600, "nested deeper")]
)
@pytest.mark.timeout(60)
def test_a_hostile_page_is_refused_at_once(read: Read, rest: str, reason: str) -> None:
    said, (refused,) = read(f"<html>{message('sent', 1, 'Me', 'a')}{rest}", assistant=("Me",))
    assert (said, reason in refused) == ([], True)
