"""Whatever lies in the inbox: nothing hangs, nothing stops, and it is said what was refused and why."""

import contextlib
import io
import os
import pwd
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.settings.data import DataSettings
from daemon.workers.intake.file_reader import FileReader
from daemon.workers.intake.folders import UnreadableError, open_file
from daemon.workers.intake.now_reading import NowReading
from daemon.workers.intake.parsing.parser import Parser
from engine.data.readers.items import Found, Refused
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits


def test_what_is_no_file_is_refused_and_never_waited_for(intake, tmp_path_factory):
    chats = intake.inbox / "chats"
    os.mkfifo(chats / "pipe.json")
    (chats / "loop").symlink_to("loop")
    (chats / "around").symlink_to(".")
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    secret.write_text("Human: what is the key?\nAssistant: 1234\n")
    (chats / "link.txt").symlink_to(secret)
    (chats / "folder.json").mkdir()
    listener = socket.socket(socket.AF_UNIX)
    with contextlib.chdir(chats):  # the path may be longer than the address of a socket
        listener.bind("socket.json")
    (chats / "good.txt").write_text("Human: a\nAssistant: b\n")
    intake.scan()
    refusals = intake.refusals()
    assert set(refusals) == {"pipe.json", "loop", "around", "link.txt", "socket.json"}
    assert refusals["pipe.json"] == "not a file but a named pipe"
    assert "links are not followed" in refusals["link.txt"]
    assert intake.counts()["quarantined"] == 5
    assert sum(intake.counts().values()) == 6
    assert intake.scan().quarantined == 0, "it is said once"
    (chats / "pipe.json").unlink()
    (chats / "pipe.json").write_text("Human: c\nAssistant: d\n")
    intake.scan()
    assert "pipe.json" not in intake.refusals()
    listener.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else for a moment")
def test_a_file_that_may_not_be_read(tmp_path):
    """Asked of a process without root's rights; as root nothing is unreadable."""
    file = tmp_path / "closed.txt"
    file.write_text("x")
    file.chmod(0)
    for folder in [tmp_path, *tmp_path.parents[:-2]]:
        folder.chmod(folder.stat().st_mode | 0o055)
    child = os.fork()
    if child == 0:
        try:
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            open_file(file)
            os._exit(1)
        except UnreadableError as error:
            os._exit(0 if "Permission denied; give thord's user the right" in str(error) else 2)
        except BaseException:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_hostile_content(intake):
    chats = intake.inbox / "chats"
    good = b'{"prompt": "%d", "completion": "c"}\n'
    hostile = {
        "deep.json": b"[" * 200_000 + b"]" * 200_000,
        "deep.jsonl": good % 1 + b'{"messages":' * 1000 + b"\n" + good % 2,
        "digits.json": b'{"n": ' + b"9" * 100_000 + b', "prompt": "3", "completion": "c"}',
        "nul.jsonl": b"\0\0\0" * 100,
        "surrogate.json": b'{"prompt": "\\ud800", "completion": "4"}',
        "not-utf-8.txt": b"gr\xfc\x81 Gott",
        "long.jsonl": good % 5 + b'{"prompt": "' + b"x" * (2 << 20) + b'"}\n' + good % 6,
        "wide.json": b"[" + b"{}," * 100_000 + b"{}]",
        "empty.json": b"",
        "blank.txt": b" \n\n ",
    }
    for name, content in hostile.items():
        (chats / name).write_bytes(content)
    intake.scan()
    refusals = intake.refusals()
    assert set(refusals) == {"deep.json", "deep.jsonl", "nul.jsonl", "not-utf-8.txt", "long.jsonl", "wide.json"}
    assert "nested deeper than 64" in refusals["deep.json"]
    assert "data.max_record_megabytes" in refusals["long.jsonl"]
    assert "not valid UTF-8: byte 0xfc at offset 2" in refusals["not-utf-8.txt"]
    assert "the rest of the file is not read" in refusals["wide.json"]
    counts = intake.counts()
    assert counts.pop("quarantined") < 1010
    assert sum(counts.values()) == 6
    assert {path.name for path in chats.iterdir()} == set(hostile), "what people put there is theirs"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=400))
def test_any_bytes_end_in_the_ledger_or_in_quarantine(intake, content):
    file = intake.inbox / "corpus" / "any"
    file.unlink(missing_ok=True)
    file.write_bytes(content)
    intake.scan()
    items = list(read_known(io.BytesIO(content), Limits(record_bytes=1 << 20), is_corpus=True))
    known = {identity.hex() for (identity,) in intake.query("SELECT identity FROM aliases")}
    assert {item.sample.identity for item in items if isinstance(item, Found)} <= known
    refused = [reason for (reason,) in intake.query("SELECT reason FROM refusals ORDER BY start")]
    assert refused == [item.reason for item in items if isinstance(item, Refused)]
    assert intake.worker.process.poll() is None


def test_a_worker_does_not_start_by_hand():
    command = [sys.executable, "-m", "daemon.workers.intake"]
    done = subprocess.run(command, cwd=Path(__file__).parents[4], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "started by thord, not by hand" in done.stderr


def test_what_lies_too_deep_to_be_reached_is_said_and_forgotten_with_it(intake):
    chats = intake.inbox / "chats"
    with contextlib.chdir(chats):
        for _ in range(20):
            Path("d" * 250).mkdir()
            os.chdir("d" * 250)
        Path("far.txt").write_text("Human: a\nAssistant: b\n")
    os.mkfifo(chats / "pipe")
    intake.scan()
    said = {reason.split(";")[0] for reason in intake.refusals().values()}
    assert said == {"not a file but a named pipe", "cannot be read: File name too long"}
    assert intake.scan().quarantined == 0, "it is said once"
    intake.scan(retry_quarantine=True)
    assert intake.counts() == {"quarantined": 2}
    shutil.rmtree(chats)
    intake.scan(retry_quarantine=True)
    assert intake.counts() == {}, "nothing is there, and nothing was kept of it"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else for a moment")
def test_a_folder_that_may_not_be_entered_is_said_until_it_may(shelf):
    closed = shelf.folder / "closed"
    closed.mkdir(mode=0o700)
    note = NowReading(shelf.folder / "note", "")
    reader = FileReader(
        shelf.ledger, DataSettings(max_record_megabytes=1, max_file_megabytes=1), note, Parser(), lambda: None
    )
    for path in (closed, closed / "file.txt"):
        with shelf.ledger.transaction():
            os.seteuid(65534)
            try:
                assert reader.read(path).quarantined == 1
                assert reader.read(path).quarantined == 0
            finally:
                os.seteuid(0)
    assert shelf.ledger.counts().quarantined == 2
    with shelf.ledger.transaction():
        assert reader.read(closed).quarantined == 0
    assert shelf.ledger.counts().quarantined == 1
