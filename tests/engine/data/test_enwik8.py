"""Fetched from a real server that behaves, and from some that do not."""

import errno
import hashlib
import http.server
import io
import os
import threading
import zipfile
from collections import namedtuple

import pytest

from engine.data import enwik8

CONTENT = bytes(range(256)) * 12_000  # 3 MB
SUM = hashlib.sha256(CONTENT).hexdigest()


def packed(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, CONTENT)
    return buffer.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """Gives ``body``; breaks off ``after`` so many bytes of each answer; remembers what was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.after, self.ranges, self.asked = CONTENT, None, True, []
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append((self.path, wanted))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/enwik8")
            self.end_headers()
            return
        if self.path != "/enwik8":
            self.send_error(404)
            return
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        rest = server.body[begin:]
        if begin and not rest:
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: server.after])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def fetch(server, folder, path="/enwik8", sha256=SUM):
    return enwik8.fetch(server.address + path, folder, sha256)


@pytest.mark.parametrize("path", ["/enwik8", "/moved"])
@pytest.mark.parametrize("body", [CONTENT, packed("enwik8")], ids=["plain", "zip"])
def test_it_is_fetched_once(server, tmp_path, body, path):
    server.body = body
    file = fetch(server, tmp_path / "corpora", path)
    assert file.read_bytes() == CONTENT
    asked = len(server.asked)
    assert fetch(server, tmp_path / "corpora", path) == file
    assert len(server.asked) == asked
    assert {one.name for one in file.parent.iterdir()} == {"enwik8", ".enwik8.used"}


def test_a_connection_that_breaks_is_taken_up_where_it_ended(server, tmp_path):
    server.after = 1_000_000
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=1000000-", "bytes=2000000-", "bytes=3000000-"]


def test_one_that_gives_no_more_is_said_and_gone_on_with_later(server, tmp_path):
    server.after = 1_000_000
    server.ranges = False
    with pytest.raises(enwik8.FetchError, match="ended too early"):
        fetch(server, tmp_path)
    assert not (tmp_path / "enwik8").exists()
    server.after, server.ranges = None, True
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1][1] == "bytes=1000000-"


def test_one_that_was_killed_at_its_end_asks_for_nothing_more(server, tmp_path):
    (tmp_path / ".tmp-enwik8.part").write_bytes(CONTENT)
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/enwik8", f"bytes={len(CONTENT)}-")]


def test_asked_to_stop_it_keeps_what_it_has(server, tmp_path):
    class StoppingError(Exception):
        pass

    def stop():
        raise StoppingError

    with pytest.raises(StoppingError):
        enwik8.fetch(f"{server.address}/enwik8", tmp_path, SUM, stop)
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1][1] is not None


@pytest.mark.parametrize("body", [CONTENT[:-1] + b"x", packed("a", "b"), packed("enwik8")[:-40_00] + b"x" * 4000])
def test_what_is_not_it_never_gets_its_name(server, tmp_path, body):
    server.body = body
    with pytest.raises(enwik8.FetchError, match=r"sha256|damaged zip"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_left_as_it_was(server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: namedtuple("Usage", "free")(1000))
    with pytest.raises(enwik8.FetchError, match=f"{os.strerror(errno.ENOSPC)}; enwik8 needs 140 MB"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "set data.enwik8_address"),
        ("file:///etc/passwd", "its http or https URL"),
        ("http://127.0.0.1:1/enwik8", "enwik8 from http://127.0.0.1:1/enwik8: .*refused"),
        ("{server}/nothing", "404"),
    ],
)
def test_an_address_that_gives_nothing_is_said(server, tmp_path, address, message):
    with pytest.raises(enwik8.FetchError, match=message):
        enwik8.fetch(address.format(server=server.address), tmp_path, SUM)
    assert not (tmp_path / "enwik8").exists()
