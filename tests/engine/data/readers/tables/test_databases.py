"""Databases that hold conversations are read by their schema, without being written to; the others are refused."""

import gzip
import io
import json
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.readers.items import Found, Refused
from engine.data.readers.read import read_known
from engine.data.readers.tables import sqlite_file
from engine.data.records.limits import Limits

LLM = """
CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);
CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, prompt_json TEXT, response TEXT,
    conversation_id TEXT REFERENCES conversations(id), datetime_utc TEXT);
CREATE TABLE fragments (id INTEGER PRIMARY KEY, hash TEXT, content TEXT);
CREATE TABLE prompt_fragments (response_id TEXT, fragment_id INTEGER, "order" INTEGER);
CREATE TABLE prompt_attachments (response_id TEXT, attachment_id TEXT, "order" INTEGER);
CREATE VIRTUAL TABLE responses_fts USING fts5(prompt, response);
"""
WEB_UI = (
    "CREATE TABLE user (id TEXT); CREATE TABLE chat (id TEXT, user_id TEXT, title TEXT, chat TEXT, created_at INT);"
)


def database(script, *inserts, mode="DELETE", path=":memory:"):
    connection = sqlite3.connect(path)
    connection.executescript(f"PRAGMA journal_mode = {mode};{script}")
    for statement, *values in inserts:
        connection.execute(statement, values)
    connection.commit()
    return connection


def bytes_of(script, *inserts):
    connection = database(script, *inserts)
    raw = connection.serialize()
    connection.close()
    return raw


def read(stream, limits=None):
    items = list(read_known(stream, limits or Limits()))
    found = [[(m.role, m.content) for m in item.sample.messages] for item in items if isinstance(item, Found)]
    return found, [item.reason for item in items if isinstance(item, Refused)]


def response(id_, conversation, number, at, system=None):
    statement = "INSERT INTO responses VALUES (?, 'm', ?, ?, NULL, ?, ?, ?)"
    return statement, id_, f"q{number}", system, f"a{number}", conversation, at


def said(*numbers):
    return [pair for n in numbers for pair in (("user", f"q{n}"), ("assistant", f"a{n}"))]


def test_the_log_of_llm_is_read_by_conversation_and_time():
    raw = bytes_of(
        LLM,
        response("1", "x", 1, "2026-01-01T10:00:00", "Be brief."),
        response("2", "y", 9, "2026-01-01T10:01:00"),
        response("3", "x", 3, "2026-01-01T12:00:00"),
        response("4", "x", 2, "2026-01-01T11:00:00"),
        response("5", None, 5, "2026-01-01T11:00:00"),
    )
    found, refused = read(io.BytesIO(raw))
    assert sorted(found) == sorted([[("system", "Be brief."), *said(1, 2, 3)], said(9), said(5)])
    assert refused == []


def test_fragments_of_llm_stand_before_the_prompt_and_attachments_are_refused():
    raw = bytes_of(
        LLM,
        response("1", "x", 1, "2026-01-01"),
        response("2", "y", 2, "2026-01-01"),
        response("3", "y", 3, "2026-01-02"),
        ("INSERT INTO fragments VALUES (7, 'h', 'a page')",),
        ("INSERT INTO prompt_fragments VALUES ('1', 7, 0)",),
        ("INSERT INTO prompt_attachments VALUES ('3', 'image', 0)",),
    )
    found, refused = read(io.BytesIO(raw))
    assert found == [[("user", "a page\nq1"), ("assistant", "a1")]]
    assert refused
    assert all("conversation y of llm has attachments" in reason for reason in refused)


def test_open_web_ui_is_read_with_the_branch_that_was_shown():
    def chat(record):
        return "INSERT INTO chat VALUES ('1', 'u', 't', ?, 0)", record

    messages = [{"role": role, "content": text} for role, text in said(1)]
    tree = {
        "a": {"id": "a", "parentId": None, **messages[0]},
        "b": {"id": "b", "parentId": "a", "role": "assistant", "content": "not shown"},
        "c": {"id": "c", "parentId": "a", **messages[1]},
        "d": {"id": "d", "parentId": "a", "role": "assistant", "content": "not shown either"},
    }
    raw = bytes_of(
        WEB_UI,
        chat(json.dumps({"title": "t", "messages": messages, "history": {"messages": tree, "currentId": "c"}})),
        chat(json.dumps({"history": {"messages": tree, "currentId": "c"}})),
        chat("{not json"),
        chat(b"\0\1"),
    )
    found, refused = read(io.BytesIO(raw))
    assert found == [said(1), said(1)]
    assert len(refused) == 2


@pytest.mark.parametrize(
    ("create", "row"),
    [
        ("CREATE TABLE msgs (id INTEGER, thread_id TEXT, role TEXT, content TEXT, created_at TEXT)", (0, 1)),
        ("CREATE TABLE msgs (id INTEGER, thread_id TEXT, sender TEXT, text TEXT, created_at TEXT)", (0, 1)),
    ],
)
def test_one_table_of_messages_is_enough(create, row):
    rows = [
        ("INSERT INTO msgs VALUES (?, ?, ?, ?, ?)", n, thread, *said(thread)[n], f"2026-01-0{n + 1}")
        for n in row
        for thread in "xy"
    ]
    raw = bytes_of(f"CREATE TABLE threads (id TEXT, title TEXT); {create}", *rows)
    assert read(io.BytesIO(raw)) == ([said("x"), said("y")], [])


def test_a_table_of_dialogues_written_as_json_is_read():
    messages = json.dumps([{"role": role, "content": text} for role, text in said(1)])
    raw = bytes_of("CREATE TABLE saved (id INT, messages TEXT)", ("INSERT INTO saved VALUES (1, ?)", messages))
    assert read(io.BytesIO(raw)) == ([said(1)], [])


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("CREATE TABLE places (url TEXT); CREATE TABLE visits (id INT)", "its tables are places, visits"),
        ("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('hello')", "its tables are notes"),
        (
            "CREATE TABLE a (role TEXT, content TEXT); INSERT INTO a VALUES ('user', 'x');"
            "CREATE TABLE b (role TEXT, content TEXT); INSERT INTO b VALUES ('user', 'x')",
            "in several tables (a, b)",
        ),
        ("CREATE TABLE t (role TEXT, content TEXT); INSERT INTO t VALUES ('editor', 'x')", "its tables are t"),
    ],
)
def test_any_other_database_is_refused_with_its_tables(script, words):
    found, refused = read(io.BytesIO(bytes_of(script)))
    assert found == []
    assert len(refused) == 1
    assert words in refused[0]


def test_a_large_file_is_read_from_disk_and_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_file, "_IN_MEMORY", 0)
    path = tmp_path / "my logs?#%.db"
    database(LLM, response("1", "x", 1, "2026-01-01"), path=path).close()
    before = path.read_bytes()
    path.chmod(0o400)
    with path.open("rb") as stream:
        assert read(stream) == ([said(1)], [])
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("in_memory", [0, 1 << 30])
def test_what_is_still_in_the_write_ahead_log_is_said(tmp_path, monkeypatch, in_memory):
    monkeypatch.setattr(sqlite_file, "_IN_MEMORY", in_memory)
    path = tmp_path / "logs.db"
    connection = database(LLM, response("1", "x", 1, "2026-01-01"), mode="WAL", path=path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    statement, *values = response("2", "y", 2, "2026-01-01")
    connection.execute(statement, values)
    connection.commit()
    with path.open("rb") as stream:
        found, refused = read(stream)
    connection.close()
    assert found == [said(1)]
    assert len(refused) == 1
    assert "last checkpoint" in refused[0]


def test_a_packed_database_is_read():
    raw = gzip.compress(bytes_of(LLM, response("1", "x", 1, "2026-01-01")))
    assert read(io.BytesIO(raw)) == ([said(1)], [])


def test_a_large_row_is_refused():
    raw = bytes_of(LLM, response("1", "x", "1" * 3000, "2026-01-01"), response("2", "y", 2, "2026-01-01"))
    found, refused = read(io.BytesIO(raw), Limits(record_bytes=2000))
    assert found == [said(2)]
    assert "max_record_megabytes" in refused[0]


def test_a_row_that_cannot_be_read_ends_its_conversation_there():
    raw = bytes_of(
        LLM,
        response("1", "x", 1, "2026-01-01"),
        response("2", "x", "2" * 3000, "2026-01-02"),
        response("3", "x", 3, "2026-01-03"),
        response("4", "y", 4, "2026-01-03"),
    )
    found, refused = read(io.BytesIO(raw), Limits(record_bytes=2000))
    assert found == [said(1), said(4)]
    assert len(refused) == 1
    assert "turns of this conversation are left out" in refused[0]


WHOLE = bytes_of(LLM, response("1", "x", 1, "2026-01-01"))


@st.composite
def _mangled(draw):
    raw = bytearray(draw(st.sampled_from([WHOLE, b"SQLite format 3\0"])) + draw(st.binary(max_size=40)))
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, min(len(raw), 5000)))
        new = draw(st.binary(max_size=5))
        raw[at : at + len(new)] = new
    return bytes(raw)


@settings(max_examples=150, deadline=None)
@given(_mangled())
def test_any_bytes_after_the_mark_are_learned_or_refused(raw):
    for item in read_known(io.BytesIO(raw), Limits()):
        assert 0 <= item.start <= item.end
