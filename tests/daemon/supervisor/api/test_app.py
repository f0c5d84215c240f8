"""The control API over a real Unix socket: what it answers, to whom, and that nothing a client sends stops it."""

import contextlib
import json
import os
import random
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.bounded_http import HEAD_BYTES
from daemon.supervisor.api.app import OPERATIONS
from daemon.supervisor.api.operations import MAX_BODY
from tests.daemon.supervisor.api.running import Running
from tests.daemon.supervisor.stand_ins import STEPS


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """For tests that only look."""
    it = Running(tmp_path_factory.mktemp("api"))
    yield it
    it.close()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Running]:
    it = Running(tmp_path / "home")
    yield it
    it.close()


def test_status_has_what_the_design_promises(shared: Running) -> None:
    status = shared.client.get("/v1/status").json()
    assert {"state", "home", "pid", "version", "workers", "cycle", "next_cycle_at", "conversations"} <= status.keys()
    assert status["version"] is None
    assert status["cycle"] is None
    assert set(status["conversations"]) == {
        "new", "assigned", "learned", "held_out", "set_aside", "held", "quarantined", "by_kind"
    }  # fmt: skip
    assert status["next_cycle_at"].endswith("Z")
    assert shared.client.get("/v1/health").json() == {"state": "ready", "reasons": []}
    assert "date" not in shared.client.get("/v1/status").headers


def test_a_cycle_from_its_request_to_its_end(api: Running) -> None:
    api.workers.ledger.add(5)
    begun = api.client.post("/v1/cycles", json={"overrides": {"epochs": 1}})
    assert begun.status_code == 202
    number = begun.json()["id"]
    with api.client.stream("GET", f"/v1/cycles/{number}/follow") as answer:
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert lines[-1]["cycle"]["state"] == "promoted"
    assert all(line["progress"]["cycle"] == number for line in lines[:-1])
    cycle = api.client.get(f"/v1/cycles/{number}").json()
    assert (cycle["version"], cycle["base_version"], cycle["gate"]["passed"]) == ("000003", None, True)
    assert cycle["reason"] == f"manual by uid {os.geteuid()}"
    assert cycle.pop("samples") == [], "no evaluation wrote any"
    assert cycle.pop("training") is None, "no run wrote what it decided"
    assert cycle.pop("epochs") is None, "no run ended an epoch"
    assert api.client.get("/v1/cycles?limit=1").json() == [cycle]
    assert api.client.get("/v1/status").json()["version"] == "000003"
    assert max(line["progress"].get("step", 0) for line in lines[:-1]) == STEPS


def test_a_cycle_goes_on_from_the_version_it_was_asked_to(api: Running) -> None:
    api.workers.ledger.add(5)
    assert api.client.post("/v1/versions/2/promote").json()["state"] == "serving"
    begun = api.client.post("/v1/cycles", json={"base": 1})
    assert begun.status_code == 202
    with api.client.stream("GET", f"/v1/cycles/{begun.json()['id']}/follow") as answer:
        cycle = [json.loads(line) for line in answer.iter_lines()][-1]["cycle"]
    assert (cycle["state"], cycle["version"], cycle["base_version"]) == ("promoted", "000003", "000001")
    assert cycle["incumbent"] == "000002", "it is judged against what serves nevertheless"
    assert api.client.get("/v1/versions/3").json()["parent"] == "000001"


@pytest.mark.parametrize("damage", ["another tokenizer", "no manifest"])
def test_no_cycle_goes_on_from_what_could_not_serve(api: Running, damage: str) -> None:
    assert api.client.post("/v1/versions/2/promote").json()["state"] == "serving"
    manifest = api.paths.version(1) / "manifest.json"
    other = manifest.read_text().replace('"tokenizer_sha256":"0', '"tokenizer_sha256":"1')
    manifest.write_text(other if damage == "another tokenizer" else "{")
    refused = api.client.post("/v1/cycles", json={"base": 1})
    code = "foreign_tokenizer" if damage == "another tokenizer" else "damaged"
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, code)
    assert "version 000001" in refused.json()["error"]["message"]
    assert not api.client.get("/v1/cycles").json()


def test_a_second_cycle_is_refused_with_the_number_of_the_first(api: Running) -> None:
    api.workers.ledger.add(5)
    api.workers.hold("trainer")
    first = api.client.post("/v1/cycles").json()
    refused = api.client.post("/v1/cycles")
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "cycle_under_way"
    assert refused.json()["error"]["cycle"] == first["id"]
    cancelled = api.client.post(f"/v1/cycles/{first['id']}/cancel")
    assert cancelled.json()["state"] == "cancelled"
    assert api.client.post(f"/v1/cycles/{first['id']}/cancel").status_code == 409


def test_versions_promote_and_rollback(api: Running) -> None:
    assert [version["version"] for version in api.client.get("/v1/versions").json()] == ["000002", "000001"]
    assert api.client.post("/v1/versions/1/promote").json()["state"] == "serving"
    assert api.client.post("/v1/versions/000002/promote", json={"force": True}).json()["version"] == "000002"
    assert api.client.post("/v1/rollback").json()["version"] == "000001"
    nothing = api.client.post("/v1/rollback")
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (409, "not_allowed")
    shown = api.client.get("/v1/versions/2").json()
    assert (shown["family"], shown["settings"], shown["evaluation"], shown["previous"]) == ("thor", {}, None, "000001")


def test_evaluation_names_version_and_figures(api: Running) -> None:
    assert api.client.post("/v1/evaluations").status_code == 404  # nothing serves yet
    judged = api.client.post("/v1/evaluations", json={"version": 2}).json()
    assert (judged["version"], judged["metrics"]) == ("000002", {"bits_per_byte": 2.0})


def test_an_intake_that_cannot_scan_says_why(api: Running) -> None:
    api.workers.scan_fails = "the disk cannot be written"
    answer = api.client.post("/v1/scan")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "scan_failed")
    assert answer.json()["error"]["message"] == "the disk cannot be written"


def test_scan_and_quarantine(api: Running) -> None:
    assert api.client.post("/v1/scan").json() == {
        "added": 3,
        "duplicates": 1,
        "held": 0,
        "quarantined": 0,
        "read_as": {},
        "files": [],
    }
    assert api.client.post("/v1/quarantine/retry").json()["quarantined"] == 1
    assert api.client.get("/v1/quarantine").json() == []
    with contextlib.closing(sqlite3.connect(api.paths.ledger)) as ledger, ledger:
        columns = "id INTEGER PRIMARY KEY, at, file, line, reason, copy, sha256, size, trace"
        ledger.execute(f"CREATE TABLE refusals ({columns})")
        rows = [("2026-01-01T00:00:00Z", f"/in/{n}.jsonl", n, "not JSON", None, "ab", 12) for n in (0, 1, 2)]
        ledger.executemany("INSERT INTO refusals VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, '')", rows)
    found = api.client.get("/v1/quarantine?limit=3").json()
    assert [(refusal["file"], refusal["line"], refusal["reason"]) for refusal in found] == [
        ("/in/2.jsonl", 2, "not JSON"),
        ("/in/1.jsonl", 1, "not JSON"),
        ("/in/0.jsonl", None, "not JSON"),
    ]


def test_events_newest_first_and_followed_as_they_come(api: Running) -> None:
    listed = api.client.get("/v1/events").json()
    assert [event["id"] for event in listed] == sorted((event["id"] for event in listed), reverse=True)
    last = listed[0]["id"]
    with api.client.stream("GET", f"/v1/events?after={last}&follow=true") as answer:
        lines = answer.iter_lines()
        httpx.Client(transport=httpx.HTTPTransport(uds=str(api.paths.control_socket))).post(
            "http://thord/v1/versions/1/promote"
        )
        event = json.loads(next(lines))
    assert (event["id"], event["type"], event["version"]) == (last + 1, "version.promoted", "000001")
    assert {"id", "at", "type"} <= event.keys()


def test_service_operations(api: Running) -> None:
    assert api.client.post("/v1/reload").json()["needs_restart"] == ["api.port"]
    api.service.settings_are_wrong = True
    wrong = api.client.post("/v1/reload")
    assert wrong.status_code == 422
    assert "training.epochs" in wrong.json()["error"]["message"]
    assert api.client.post("/v1/workers/server/restart").json()["state"] == "running"
    assert api.client.post("/v1/workers/nobody/restart").status_code == 404
    assert api.client.post("/v1/stop", json={"now": True}).status_code == 202
    assert api.service.asked == ["restart server", "stop True"]


def test_openapi_describes_every_operation(shared: Running) -> None:
    document = shared.client.get("/v1/openapi.json").json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(operation.method, operation.path) for operation in OPERATIONS}
    assert document["paths"]["/v1/cycles"]["post"]["requestBody"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/nothing", None, 404, "not_found"),
        ("GET", "/", None, 404, "not_found"),
        ("GET", "/v1/status/", None, 404, "not_found"),
        ("DELETE", "/v1/status", None, 405, "method_not_allowed"),
        ("GET", "/v1/rollback", None, 405, "method_not_allowed"),
        ("GET", "/v1/cycles/99", None, 404, "not_found"),
        ("GET", "/v1/cycles/99/follow", None, 404, "not_found"),
        ("GET", "/v1/cycles/-1", None, 404, "not_found"),
        ("GET", "/v1/cycles/%00", None, 404, "not_found"),
        ("GET", "/v1/cycles/" + "9" * 400, None, 404, "not_found"),
        ("GET", "/v1/cycles/²", None, 404, "not_found"),
        ("GET", "/v1/cycles?limit=many", None, 400, "bad_request"),
        ("GET", "/v1/events?after=-5", None, 400, "bad_request"),
        ("POST", "/v1/versions/77/promote", b"{}", 404, "not_found"),
        ("POST", "/v1/stop", b"{", 400, "bad_request"),
        ("POST", "/v1/stop", b'{"now": "perhaps"}', 400, "bad_request"),
        ("POST", "/v1/stop", b'{"later": true}', 400, "bad_request"),
        ("POST", "/v1/stop", b"[1]", 400, "bad_request"),
        ("POST", "/v1/stop", b'{"now": "\xff"}', 400, "bad_request"),
        ("POST", "/v1/stop", b"[" * 100_000, 400, "bad_request"),
        ("POST", "/v1/cycles", b'{"overrides": {"epochs": -1}}', 422, "bad_settings"),
        ("POST", "/v1/cycles", b'{"overrides": {"speed": 9}}', 422, "bad_settings"),
        ("POST", "/v1/cycles", b'{"corpus": ["enwik8"]}', 422, "bad_settings"),
        ("POST", "/v1/cycles", b'{"base": 99}', 404, "not_found"),
        ("POST", "/v1/cycles", b'{"base": 0}', 400, "bad_request"),
        ("POST", "/v1/cycles", b'{"base": 99999999999999999999}', 400, "bad_request"),
        ("POST", "/v1/evaluations", b'{"version": 99999999999999999999}', 400, "bad_request"),
        ("POST", "/v1/cycles", b'{"train_files": ["/no/such/file"]}', 422, "no_such_file"),
        ("POST", "/v1/cycles", b'{"train_files": ["/%s"]}' % (b"x" * 300), 422, "no_such_file"),
        ("POST", "/v1/cycles", b'{"train_files": ["relative"]}', 422, "bad_request"),
        ("POST", "/v1/cycles", b'{"train_files": ["/a\\u0000b"]}', 422, "bad_request"),
        ("POST", "/v1/cycles", b"x" * (MAX_BODY + 1), 413, "too_large"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    shared: Running, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    answer = shared.client.request(method, path, content=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error["message"]
    assert {"code", "message", "request_id"} <= error.keys()


def test_headers_without_end_are_cut_off(shared: Running) -> None:
    answer = shared.raw(b"GET /v1/status HTTP/1.1\r\n" + b"x: " + b"y" * (HEAD_BYTES + 600_000) + b"\r\n\r\n")
    assert answer == b"" or b" 431 " in answer.split(b"\r\n")[0]
    assert shared.client.get("/v1/status").status_code == 200


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_refused_or_dropped(shared: Running, content: bytes) -> None:
    answer = shared.raw(content + b"\r\n\r\n")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert shared.client.get("/v1/status").status_code == 200


def test_requests_with_spoiled_bytes_never_bring_it_down(shared: Running) -> None:
    whole = b'POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{"version":  77}'
    chance = random.Random(7)
    for _ in range(200):
        spoiled = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        answer = shared.raw(bytes(spoiled[: chance.randint(1, len(spoiled))]))
        assert answer == b"" or answer[9:10] in (b"2", b"4"), answer
    assert shared.client.get("/v1/status").status_code == 200


def test_more_connections_than_allowed_are_told_so_and_room_returns(shared: Running) -> None:
    crowd = []
    for _ in range(300):
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(str(shared.paths.control_socket))
        crowd.append(stream)
    crowd[-1].settimeout(3)
    assert b" 503 " in crowd[-1].recv(1000)
    for stream in crowd:
        stream.close()
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(shared.paths.control_socket), retries=3)) as client:
        for _ in range(50):
            if client.get("http://thord/v1/status").status_code == 200:
                break
        else:
            pytest.fail("no room returned")


def test_a_client_that_leaves_while_it_follows_is_forgotten(shared: Running) -> None:
    for _ in range(20):
        with shared.client.stream("GET", "/v1/events?follow=1"):
            pass
    assert shared.client.get("/v1/status").status_code == 200
