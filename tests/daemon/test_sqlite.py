"""A database is opened whole and at its newest schema, or refused and left as it was."""

import sqlite3
from pathlib import Path

import pytest

from daemon.sqlite import DamagedError, NewerSchemaError, open_database, open_to_read

STEPS = ("CREATE TABLE colours (name TEXT PRIMARY KEY)", "ALTER TABLE colours ADD COLUMN red INTEGER")


def opened(file: Path, steps: tuple[str, ...] = STEPS) -> sqlite3.Connection:
    return open_database(file, steps, check="quick_check", wait_seconds=0.1)


def test_only_the_steps_that_are_missing_are_applied(tmp_path: Path) -> None:
    before = opened(tmp_path / "a.db", STEPS[:1])
    before.execute("INSERT INTO colours VALUES ('blue')")
    before.close()
    after = opened(tmp_path / "a.db")
    assert after.execute("SELECT name, red FROM colours").fetchall() == [("blue", None)]
    assert after.execute("PRAGMA user_version").fetchone() == (2,)
    after.close()


def test_a_step_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        opened(tmp_path / "a.db", (*STEPS[:1], "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1)"))
    after = opened(tmp_path / "a.db", STEPS[:1])
    assert after.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("colours",)]
    after.close()


def test_a_newer_database_and_one_that_is_none_are_left_as_they_were(tmp_path: Path) -> None:
    opened(tmp_path / "newer.db").close()
    (tmp_path / "text.db").write_text("not a database at all" * 100)
    for name, refusal in (("newer.db", NewerSchemaError), ("text.db", DamagedError)):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(refusal):
            opened(tmp_path / name, STEPS[:1])
        assert (tmp_path / name).read_bytes() == before


def test_a_place_that_does_not_exist_is_not_damage(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        opened(tmp_path / "no such folder" / "a.db")


def test_who_opens_to_read_cannot_write(tmp_path: Path) -> None:
    opened(tmp_path / "a.db").close()
    with open_to_read(tmp_path / "a.db") as database, pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.execute("INSERT INTO colours VALUES ('red', 1)")
