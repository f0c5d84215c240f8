"""Chats that were forgotten are in no file of the server any more; what others said stays."""

import asyncio
import json
import re
import sqlite3
from pathlib import Path

import pytest

from daemon import sqlite
from daemon.messages import ForgetChats
from daemon.settings.sections import ConversationLogSettings, SessionSettings
from daemon.workers.forgotten import Forgotten
from daemon.workers.server.chats import forgetting
from daemon.workers.server.chats.conversation_log import ConversationLog
from daemon.workers.server.chats.database import ChatDatabase
from daemon.workers.server.chats.responses import Responses
from daemon.workers.server.chats.sessions import Sessions
from daemon.workers.server.errors import ApiError
from daemon.workers.server.metrics import Metrics
from engine.data.samples import Dialogue, Message

pytestmark = pytest.mark.anyio
SECRET = "the key lies under the third stone"
TABLE = "CREATE TABLE forgotten (identity BLOB PRIMARY KEY, whole INTEGER NOT NULL, at TEXT NOT NULL)"


def dialogue(*words: str) -> Dialogue:
    roles = ("user", "assistant")
    return Dialogue(tuple(Message(roles[turn % 2], word) for turn, word in enumerate(words)))


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """One that was told to forget where the key lies."""
    file = tmp_path / "conversations.db"
    database = sqlite3.connect(file, isolation_level=None)
    database.execute(TABLE)
    Forgotten(database).add([dialogue("The key?", SECRET).identity], whole=True)
    database.close()
    return file


async def filled(file: Path) -> ChatDatabase:
    """A session that grew from the forgotten dialogue, one of bob's, and an answer of each kind."""
    chats = ChatDatabase(file)

    def fill(database: sqlite3.Connection) -> None:
        said = {1: ("ann", ("The key?", SECRET, "Thanks", "Yes")), 2: ("bob", ("Hello", "Hi")), 3: ("eve", ("a", "b"))}
        for number, (owner, words) in said.items():
            database.execute("INSERT INTO sessions VALUES (?, ?, 'x', 0, 0, 0)", (number, owner))
            for position, message in enumerate(dialogue(*words).messages):
                row = (number, position, message.role, message.content, None)
                database.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, NULL)", row)
        for number, (answer, edit) in enumerate([(SECRET, None), ("no", SECRET), ("no", None)]):
            database.execute(
                "INSERT INTO answers (id, owner, at, whole, messages, answer, edit) VALUES (?, 'eve', 0, 1, ?, ?, ?)",
                (str(number), json.dumps([{"role": "user", "content": "The key?"}]), answer, edit),
            )

    await chats.run(fill)
    return chats


async def test_what_was_forgotten_and_what_an_owner_said_is_erased(tmp_path: Path, ledger: Path) -> None:
    file = tmp_path / "chats.db"
    chats = await filled(file)
    damaged = tmp_path / "chats.db.damaged-20260101T000000"
    damaged.write_text(SECRET)
    done = await forgetting.forget(ForgetChats(id=7, owner="bob"), chats, ledger)
    assert (done.to, done.sessions, done.answers) == (7, 2, 2)
    assert [each.name for each in tmp_path.iterdir() if SECRET.encode() in each.read_bytes()] == []
    assert not damaged.exists()
    with sqlite.open_to_read(file) as database:
        assert database.execute("SELECT owner FROM sessions").fetchall() == [("eve",)]
        assert database.execute("SELECT id FROM answers").fetchall() == [("2",)]
        assert database.execute("SELECT count(*) FROM turns").fetchone() == (2,)
    again = await forgetting.forget(ForgetChats(id=8), chats, ledger)
    assert (again.sessions, again.answers) == (0, 0)


async def test_responses_are_recognised_with_their_instructions(tmp_path: Path, ledger: Path) -> None:
    """They are learned with them, and stand apart from what was said."""
    chats = ChatDatabase(tmp_path / "chats.db")
    responses = Responses(Sessions(chats, SessionSettings()))
    database = sqlite3.connect(ledger, isolation_level=None)
    brief = Dialogue((Message("system", "Be brief."), Message("user", "Hello"), Message("assistant", "Hi")))
    Forgotten(database).add([brief.identity], whole=True)
    database.close()
    for name, instructions in (("resp_1", "Be brief."), ("resp_2", None)):
        await responses.add("", name, None, dialogue("Hello", "Hi").messages, 1, {"instructions": instructions})
    done = await forgetting.forget(ForgetChats(id=7), chats, ledger)
    assert done.sessions == 1
    with pytest.raises(ApiError, match="no response 'resp_1'"):
        await responses.get("", "resp_1")
    assert await responses.get("", "resp_2") == {"instructions": None}


async def test_chats_are_written_by_owner_so_that_they_can_be_forgotten_by_owner(tmp_path: Path) -> None:
    settings = ConversationLogSettings(enabled=True, feedback_seconds=0.001)
    served = tmp_path / "served"
    log = ConversationLog(ChatDatabase(tmp_path / "chats.db"), served, settings, Metrics())
    for number, owner in enumerate(("ann", "bob", "ann", "")):
        await log.add(f"answer-{number}", owner, [Message("user", f"q{number}")], f"a{number}", whole=True)
    writing = asyncio.create_task(log.run())
    questions: dict[str, list[str]] = {}
    while sum(map(len, questions.values())) < 4:
        await asyncio.sleep(0.002)
        questions = {}
        for file in sorted(served.rglob("[!.]*.jsonl")):
            questions.setdefault(file.parent.name, []).extend(re.findall(r"q\d", file.read_text()))
    writing.cancel()
    assert questions == {"ann": ["q0", "q2"], "bob": ["q1"], "served": ["q3"]}
