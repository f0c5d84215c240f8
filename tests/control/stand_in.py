"""A stand-in for thord: a real HTTP server on real Unix sockets that answers as the control API is agreed to."""

import contextlib
import http.server
import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

REPOSITORY = Path(__file__).parents[2]

COUNTS = {
    "new": 3, "assigned": 0, "learned": 40, "held_out": 5, "set_aside": 0, "held": 4, "quarantined": 1,
    "by_kind": {"dialogue": 40, "text": 8, "preference": 3, "labelled": 1},
}  # fmt: skip
SOURCES = {"by_format": {"lines": 48, "plain": 4}, "by_source": {"/srv/talk.jsonl": 48, "/srv/book": 4}}
CYCLE = {
    "id": 7,
    "state": "promoted",
    "reason": "manual by uid 0",
    "outcome": "version 000012 serves",
    "attempt": 1,
    "conversations": 40,
    "base_version": "000011",
    "version": "000012",
    "gate": {
        "passed": True,
        "reason": "better by 0.31 bits",
        "loss": {"candidate": 2.5, "incumbent": 3.0},
        "draws": [1, 2],
    },
    "replayed": 10,
    "metrics": {"earlier_bits_per_byte": 2.0, "forgetting_bits_per_byte": -0.03125},
    "started_at": "2026-01-02T03:04:05.000Z",
    "ended_at": "2026-01-02T03:05:05.000Z",
}
VERSION = {
    "version": "000012",
    "parent": "000011",
    "cycle": 7,
    "state": "serving",
    "created_at": "2026-01-02T03:05:00.000Z",
    "sha256": "ab" * 32,
    "parameters": 1234567,
    "metrics": {"loss": 2.5, "perplexity": 12.2},
    "settings": {"training": {"learning_rate": 0.001, "epochs": 3}},
}
OLDER = VERSION | {
    "version": "000011",
    "parent": None,
    "state": "available",
    "metrics": {"loss": 3.0, "perplexity": 12.2},
    "settings": {"training": {"learning_rate": 0.002, "epochs": 3}},
}
STATUS = {
    "state": "ready",
    "home": "/srv/thord",
    "pid": 1,
    "uptime_seconds": 200.0,
    "version": "000012",
    "api": {"url": "http://127.0.0.1:8000"},
    "workers": {
        "intake": {"state": "running", "pid": 11, "restarts": 0, "uptime_seconds": 199.0},
        "server": {"state": "running", "pid": 12, "restarts": 2, "uptime_seconds": 9.0},
        "trainer": {"state": "stopped", "pid": None, "restarts": 0, "uptime_seconds": None},
    },
    "reasons": ["the disk is almost full"],
    "cycle": CYCLE | {"state": "training", "progress": {"state": "training", "step": 3, "steps": 9, "loss": 2.0}},
    "next_cycle_at": "2026-01-02T03:30:00.000Z",
    "conversations": COUNTS,
}
CLEANING = {
    "bytes": 517_000_000,
    "kept_bytes": 3_100_000_000,
    "removed": [{"kind": "version", "number": 3, "bytes": 517_000_000, "why": "older than the newest 4"}],
    "kept": [{"kind": "version", "number": 12, "bytes": 517_000_000, "why": "it serves"}],
    "failed": [],
}
REFUSAL = {"file": "chats/\x1b[31mbad.json", "line": 3, "reason": "not JSON", "at": "2026-01-02T03:04:05.000Z"}
CONFIGURATION = {
    "settings": {"profile": "tiny", "training": {"epochs": 3.0, "max_steps": None}},
    "profile": "tiny",
    "why": "chosen by --profile",
    "origins": {"training.epochs": "profile tiny"},
}
PREDICTION = {"task": "chat", "generated_text": "A small model.", "finish_reason": "stop", "version": "000012"}
EVENTS = [
    {"id": 1, "at": "2026-01-02T03:04:05.000Z", "type": "cycle.collecting", "cycle": 7},
    {"id": 2, "at": "2026-01-02T03:05:05.000Z", "type": "version.promoted", "version": "000012"},
]
PROGRESS = [
    {"state": "collecting"},
    {"state": "training", "activity": "tokenising", "done": 300, "total": 1200, "eta_seconds": 4.0},
    {"state": "training", "step": 5, "steps": 10, "loss": 3.25, "learning_rate": 0.001, "tokens_per_second": 8123.4,
     "eta_seconds": 12.0, "validation_loss": None},
    {"state": "evaluating", "activity": "fitting the baseline", "done": 0, "total": None, "eta_seconds": None},
]  # fmt: skip


class StandIn:
    """What it was asked, and what it answers; tests change the answers."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.broken_stream = False
        self.asked: list[tuple[str, str, object]] = []
        self.answers: dict[tuple[str, str], tuple[int, object]] = {
            ("GET", "/v1/status"): (200, STATUS),
            ("GET", "/v1/config"): (200, CONFIGURATION),
            ("POST", "/v1/stop"): (202, {"state": "stopping"}),
            ("POST", "/v1/reload"): (200, {"applied": ["schedule.interval_minutes"], "needs_restart": ["api.port"]}),
            ("POST", "/v1/workers/server/restart"): (200, {}),
            ("POST", "/v1/workers/server/stop"): (200, {}),
            ("POST", "/v1/workers/server/start"): (200, {}),
            ("POST", "/v1/cycles"): (202, CYCLE | {"state": "queued", "outcome": None}),
            ("GET", "/v1/cycles"): (200, [CYCLE, CYCLE | {"id": 6, "state": "rejected"}]),
            ("GET", "/v1/cycles/7"): (200, CYCLE),
            ("POST", "/v1/cycles/7/cancel"): (200, CYCLE | {"state": "cancelled"}),
            ("POST", "/v1/pause"): (
                200,
                {"paused": {"since": "2026-01-02T03:04:05Z", "by": "uid 0"}, "next_cycle_at": None},
            ),
            ("POST", "/v1/resume"): (200, {"paused": None, "next_cycle_at": "2026-01-02T03:30:00Z"}),
            ("GET", "/v1/cycles/7/follow"): (200, [*({"progress": line} for line in PROGRESS), {"cycle": CYCLE}]),
            ("GET", "/v1/versions"): (200, [VERSION, OLDER]),
            ("GET", "/v1/versions/12"): (200, VERSION),
            ("GET", "/v1/versions/11"): (200, OLDER),
            ("POST", "/v1/versions/12/promote"): (200, VERSION),
            ("POST", "/v1/versions/12/fold"): (200, VERSION | {"state": "available"}),
            ("POST", "/v1/versions/12/pin"): (200, VERSION | {"pinned": True}),
            ("POST", "/v1/versions/12/unpin"): (200, VERSION | {"pinned": False}),
            ("GET", "/v1/retention"): (200, CLEANING),
            ("POST", "/v1/clean"): (200, CLEANING | {"failed": ["/a/file: Permission denied"]}),
            ("POST", "/v1/rollback"): (200, OLDER | {"state": "serving"}),
            ("POST", "/v1/evaluations"): (200, {"version": "000012", "passed": True, "metrics": {"loss": 2.5}}),
            ("GET", "/v1/data"): (200, COUNTS),
            ("GET", "/v1/data/sources"): (200, SOURCES),
            ("POST", "/v1/scan"): (200, {"added": 2, "duplicates": 1, "quarantined": 0}),
            ("GET", "/v1/quarantine"): (200, [REFUSAL]),
            ("POST", "/v1/quarantine/retry"): (200, {"added": 1, "duplicates": 0, "quarantined": 0}),
            ("GET", "/v1/events"): (200, EVENTS[::-1]),
            ("POST", "/predict"): (200, PREDICTION),
            ("POST", "/v1/score"): (200, {"loss": 1.5, "perplexity": 4.5}),
        }

    def fail(self, method: str, path: str, status: int, code: str, message: str) -> None:
        error = {"error": {"code": code, "message": message, "request_id": "r1"}}
        self.answers[method, path] = (status, error)

    def bodies(self, path: str) -> list[object]:
        return [body for _, asked, body in self.asked if asked == path]


def _completion(body: dict[str, object], chat: bool) -> list[dict[str, object]]:
    """Three pieces of an answer, as a streaming OpenAI server sends them."""

    def piece(text: str | None, finish: str | None) -> dict[str, object]:
        choice = {"delta": {"content": text} if text else {}} if chat else {"text": text or ""}
        return {"choices": [choice | {"index": 0, "finish_reason": finish}], "system_fingerprint": "000012"}

    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    last = {"choices": [], "usage": usage, "system_fingerprint": "000012"}
    return [piece("Hello", None), piece(" world", None), piece(None, "stop"), last]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: StandIn

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass

    def address_string(self) -> str:
        return "unix"

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(body)

    def _answer(self, body: object) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.stand_in.asked.append((self.command, parts.path, query if body is None else body))
        if parts.path in {"/v1/completions", "/v1/chat/completions"} and isinstance(body, dict):
            self._complete(body, chat="chat" in parts.path)
            return
        missing = (404, {"error": {"code": "not_found", "message": f"no {parts.path}", "request_id": "r0"}})
        status, value = self.stand_in.answers.get((self.command, parts.path), missing)
        if parts.path.endswith("/follow") or query.get("follow") == "true":
            assert isinstance(value, list)
            value = value if parts.path.endswith("/follow") else value[::-1]
            self._chunks([json.dumps(line).encode() + b"\n" for line in value])
        else:
            self._whole(status, value)

    def _complete(self, body: dict[str, object], chat: bool) -> None:
        forced = self.stand_in.answers.get(("POST", urlsplit(self.path).path))
        if forced:
            self._whole(*forced)
        elif body.get("stream"):
            pieces = [b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in _completion(body, chat)]
            if self.stand_in.broken_stream:
                pieces[1:] = [b'data: {"error": {"message": "the engine broke", "type": "server_error"}}\n\n']
            self._chunks([*pieces, b"data: [DONE]\n\n"])
        else:
            choice = {"message": {"role": "assistant", "content": "Hello world"}} if chat else {"text": "Hello world"}
            usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
            answer = {
                "choices": [choice | {"finish_reason": "stop"}],
                "system_fingerprint": "000012",
                "usage": usage,
            }
            self._whole(200, answer)

    def _whole(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _chunks(self, chunks: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in [*chunks, b""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.flush()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextlib.contextmanager
def serving(home: Path, sockets: tuple[str, ...] = ("control.sock", "server.sock")) -> Iterator[StandIn]:
    """A home whose sockets answer."""
    (home / "run").mkdir(parents=True, exist_ok=True)
    stand_in = StandIn(home)
    handler = type("Handler", (_Handler,), {"stand_in": stand_in})
    servers = [_Server(str(home / "run" / name), handler) for name in sockets]
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield stand_in
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()


class Ctl:
    """Runs the real thorctl on one home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *words: str, stdin: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "control.cli.main", "-H", str(self.home), *words]
        options = {"text": True, "errors": "surrogateescape", "capture_output": True, "check": False}
        return subprocess.run(command, cwd=REPOSITORY, input=stdin, timeout=timeout, **options)

    def json(self, *words: str, stdin: str = "") -> object:
        done = self(*words, "--json", stdin=stdin)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)
