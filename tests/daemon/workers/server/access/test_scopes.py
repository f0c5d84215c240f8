"""What a key may do, asked of a real server: the scope that each route needs, and the answer to a key that lacks it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.workers.server.access.scopes import NEEDED
from tests.control.stand_in import STATUS, serving
from tests.daemon.workers.server.harness import Server, StartServer, server_settings

KEYS = """\
plain
reader:read
writer:generate
trainer:train
boss:admin
"""
HELD = {"plain": {"generate", "read"}, "reader": {"read"}, "writer": {"generate"}, "trainer": {"train"}}
LOCAL = {
    "home": "/srv/secret",
    "warnings": ["/srv/secret"],
    "unwatched": {"/srv/secret": "closed"},
    "paused": {"since": "2026-01-02T03:04:05.000Z", "by": "secret"},
    "workers": {
        "trainer": {
            "state": "running",
            "pid": 4711,
            "restarts": 0,
            "uptime_seconds": 1.0,
            "activity": "importing /secret",
        }
    },
    "cycle": STATUS["cycle"] | {"reason": "secret", "samples": [{"prompt": "secret"}], "corpus": ["/srv/secret"]},
    "host": {"cpu_percent": 3.0, "processes": {"thord": {"pid": 4711}}},
}
OPEN = {"/healthz", "/health", "/ping", "/readyz", "/version", "/metrics"}


@pytest.fixture
def guarded(start_server: StartServer, tmp_path: Path) -> Iterator[Server]:
    """With keys, and a supervisor that answers."""
    (tmp_path / "keys").write_text(KEYS)
    server = start_server(settings=server_settings(api={"keys_file": str(tmp_path / "keys")}))
    with serving(tmp_path, ("control.sock",)) as supervisor:
        supervisor.answers["GET", "/v1/status"] = (200, STATUS | LOCAL)
        yield server


ASKED_OF_RUNS = ("/generate", "/score", "/chat")


def needed_by(method: str, path: str) -> str | None:
    if path in OPEN:
        return None
    if path.startswith(("/v1/files", "/v1/fine_tuning")):
        return "train"
    if path.startswith("/v1/work/"):
        return "work"
    if path.startswith(("/runs", "/tokenizers")) and not any(name in path for name in ASKED_OF_RUNS):
        return "train" if method == "POST" else "read"
    return "read" if path == "/v1/status" else "generate"


def test_every_route_asks_for_its_scope(guarded: Server) -> None:
    with guarded.http() as client:
        described = client.get("/openapi.json").json()["paths"]
    routes = {(verb.upper(), path) for path, verbs in described.items() for verb in verbs}
    assert routes == {(method, path.replace(":path", "")) for method, path in NEEDED}, "each has one line in the table"
    for method, path in sorted(routes):
        needed = needed_by(method, path)
        for key, held in HELD.items():
            with guarded.http(key) as client:
                answer = client.request(method, path.replace("{name}", "nothing"))
            if needed is None or needed in held:
                assert answer.status_code not in {401, 403}, (method, path, key)
                continue
            assert answer.status_code == 403, (method, path, key)
            if path.startswith(("/runs", "/tokenizers")):
                assert answer.json()["code"] == "FORBIDDEN"
                assert repr(needed) in answer.json()["message"]
                continue
            error = answer.json()["error"]
            message = error if path.startswith("/api/") else error["message"]
            assert repr(needed) in message
            assert key not in message
            if not path.startswith("/api/"):
                assert error["type"] == "permission_error"
                assert path.startswith("/v1/messages") or error["code"] == "missing_scope"
        with guarded.http("boss") as client:
            assert client.request(method, path.replace("{name}", "nothing")).status_code not in {401, 403}


def test_the_status_is_that_of_thorctl_without_what_is_local(guarded: Server) -> None:
    with guarded.http("reader") as client:
        found = client.get("/v1/status").json()
    for name in ("state", "uptime_seconds", "version", "next_cycle_at", "conversations", "reasons"):
        assert found[name] == STATUS[name]
    assert found["workers"]["trainer"] == {"state": "running", "restarts": 0, "uptime_seconds": 1.0}
    assert found["paused"] == {"since": "2026-01-02T03:04:05.000Z"}
    assert found["host"] == {"cpu_percent": 3.0}
    assert found["cycle"]["progress"] == {"state": "training", "step": 3, "steps": 9, "loss": 2.0}
    assert not any(local in json.dumps(found) for local in ("secret", "4711", "pid", STATUS["api"]["url"]))


def test_without_keys_everybody_may_read_and_generate(server: Server, tmp_path: Path) -> None:
    with server.http() as client, server.local() as local:
        away = client.get("/v1/status")
        assert away.status_code == 503
        assert away.json()["error"]["code"] == "supervisor_away"
        assert "busy or restarting" in away.json()["error"]["message"]
        with serving(tmp_path, ("control.sock",)):
            assert client.get("/v1/status").json()["state"] == local.get("/v1/status").json()["state"] == "ready"
        assert client.get("/v1/models").status_code == 200
