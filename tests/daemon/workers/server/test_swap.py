"""Swaps as the supervisor commands them, under load, and versions that must never serve."""

import json
import threading
import time
from pathlib import Path

import httpx

from daemon.messages import UNASKED, Abandon, Commit, Prepare, Prepared, Ready, Refused, Serving
from engine import artifacts
from engine.config.model import ModelSettings
from tests.daemon.workers.server.harness import SLOW, Server, StartServer, server_settings
from tests.daemon.workers.server.load import Load, expected_answers
from tests.daemon.workers.server.spoilt import BAD, flip_a_bit


def test_swaps_under_streaming_load(start_server: StartServer) -> None:
    server = start_server(versions=3)
    expected = expected_answers(server, range(1, 4))
    with Load(server, clients=12) as load:
        load.wait_for("000003")
        for number in (1, 2, 3, 2, 1, 3, 2):
            server.promote(number)
            began = time.time()
            load.wait_for(f"{number:06d}")
            assert time.time() - began < 20
    load.check(expected)


def test_pins_and_previous(start_server: StartServer) -> None:
    server = start_server(versions=3)
    with server.http() as client:

        def version_of(model: str) -> str:
            answer = client.post("/v1/completions", json={"model": model, "prompt": "a", "max_tokens": 1})
            return answer.headers.get("x-thord-version") or answer.json()["error"]["code"]

        assert version_of("thor@previous") == "model_not_found"
        server.promote(2)
        assert version_of("thor") == "000002"
        assert version_of("thor@000003") == version_of("thor@3") == version_of("thor@previous") == "000003"
        assert version_of("thord@previous") == "000003"
        assert version_of("thor@000001") == "000001", "it is kept: it is loaded as a guest"
        assert version_of("thor@000009") == "model_not_found"
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == [
            "thor",
            "thor@000003",
            "thor@000002",
        ]
        server.promote(1)
        assert version_of("thor@000002") == "000002"
        assert version_of("thor@000003") == "000003", "two versions are in memory, and a guest"
        server.worker.ask(Prepare(version=2), Prepared)
        assert version_of("thor@previous") == "000002", "it is about to serve again, and can be asked for meanwhile"
        for number in (2, 3, 2, 1):
            server.promote(number)
            assert version_of("thor") == f"{number:06d}", "after the commit nothing new goes to the version before"


def test_commands_may_be_repeated_and_a_commit_may_come_unprepared(start_server: StartServer) -> None:
    """As after a crash of the server between prepare and commit."""
    server = start_server(versions=2)
    assert server.worker.expect(Serving).version == 2

    def serving(version: int) -> Serving:
        return Serving(to=UNASKED, version=version, resident=(1, 2), forms={1: "whole", 2: "whole"})

    assert server.worker.ask(Commit(version=1), Serving) == serving(1)
    for _ in range(2):
        assert server.worker.ask(Prepare(version=2), Prepared).version == 2
    for _ in range(2):
        assert server.worker.ask(Commit(version=2), Serving) == serving(2)
    assert server.worker.ask(Prepare(version=2), Prepared).version == 2
    for _ in range(2):
        server.worker.send(Abandon(version=2))
    assert server.worker.ask(Commit(version=2), Serving).version == 2


def test_a_new_server_takes_up_what_is_current(start_server: StartServer) -> None:
    server = start_server(versions=2)
    artifacts.point(server.paths.current, server.paths.version(1))
    server.worker.kill()
    again = start_server(versions=2)
    assert again.worker.expect(Serving).version == 1


def test_before_the_first_version(start_server: StartServer) -> None:
    server = start_server(versions=0)
    assert server.worker.expect(Serving) == Serving(to=UNASKED, version=None, resident=())
    with server.http() as client:
        for path in ("/v1/completions", "/v1/chat/completions", "/v1/score"):
            body = {"prompt": "a", "text": "a", "messages": [{"role": "user", "content": "a"}]}
            answer = client.post(path, json=body)
            assert answer.status_code == 503
            assert "no version exists yet" in answer.json()["error"]["message"]
            assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
        assert "no version exists yet" in client.get("/readyz").json()["reason"]
        assert client.get("/v1/models").json() == {"object": "list", "data": []}
        server.publish(1)
        server.promote(1)
        assert client.get("/readyz").json()["version"] == "000001"
        assert client.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}).status_code == 200


# Bad versions --------------------------------------------------------------------------------------------------------


def test_bad_versions_are_refused_while_answers_go_on(server: Server) -> None:
    expected = expected_answers(server, range(1, 2))
    with Load(server, clients=4) as load:
        load.wait_for("000001")
        for number, (spoil, reason) in enumerate(BAD.items(), start=2):
            folder = server.publish(number)
            spoil(folder)
            for command in (Prepare(version=number), Commit(version=number)):
                refused = server.worker.ask(command, Refused)
                assert refused.version == number
                assert reason in refused.reason, spoil.__name__
            load.answers.clear()
            load.wait_for("000001")
        good = len(BAD) + 2
        server.publish(good)
        server.promote(good)
        load.wait_for(f"{good:06d}")
    assert load.faults == []
    for made_by, prompt, text in load.answers:
        if made_by == "000001":
            assert text == expected[made_by, prompt]
    with server.http() as client:
        assert client.get("/readyz").json()["version"] == f"{good:06d}"


def test_a_damaged_current_is_said_and_a_good_version_mends_it(start_server: StartServer) -> None:
    server = start_server(versions=1)
    server.worker.kill()
    flip_a_bit(server.paths.version(1))
    again = start_server(ready=False)
    assert "sha256" in again.worker.expect(Refused).reason
    again.worker.expect(Ready)
    with again.http() as client:
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "sha256" in ready.json()["reason"]
        assert client.post("/v1/completions", json={"prompt": "a"}).status_code == 503
        again.publish(2)
        again.promote(2)
        assert client.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}).status_code == 200


def test_versions_may_differ_in_size(server: Server) -> None:
    """A prompt is judged by the context of the version it runs on."""
    server.publish(2, ModelSettings(hidden=32, layers=1, heads=2, kv_heads=2, feed_forward=64, context=32))
    with server.http() as client:
        body = {"prompt": "fox " * 60, "max_tokens": 1}
        assert client.post("/v1/completions", json=body).status_code == 200
        server.promote(2)
        refused = client.post("/v1/completions", json=body)
        assert refused.status_code == 400
        assert "context length is 32" in refused.json()["error"]["message"]
        assert client.post("/v1/completions", json=body | {"model": "thor@previous"}).status_code == 200


def test_the_memory_of_versions_comes_back(start_server: StartServer) -> None:
    server = start_server(versions=3)
    for number in (1, 2, 3):
        server.promote(number)
    before = resident_megabytes(server)
    for number in [1, 2, 3] * 8:
        server.promote(number)
    assert resident_megabytes(server) < 1.05 * before


def resident_megabytes(server: Server) -> float:
    status = Path(f"/proc/{server.worker.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def test_the_drain_deadline_over_http(start_server: StartServer) -> None:
    """Two slots are full of answers, a third version comes: streams get an error event, whole answers begin anew."""
    server = start_server(versions=0, settings=server_settings(inference={"drain_seconds": 0.3, "max_batch": 2}))
    server.publish(1, SLOW)
    for number in (2, 3):
        server.publish(number)
    server.promote(1)
    body = {"prompt": "a", "max_tokens": SLOW.shape.context - 100, "ignore_eos": True, "temperature": 0}
    answers: dict[str, httpx.Response] = {}

    def whole() -> None:
        with server.http() as client:
            answers["whole"] = client.post("/v1/completions", json=body)

    thread = threading.Thread(target=whole)
    with server.http() as client, client.stream("POST", "/v1/completions", json=body | {"stream": True}) as stream:
        lines = stream.iter_lines()
        next(lines)
        thread.start()
        deadline = time.monotonic() + 30
        while "running_sequences 2" not in client.get("/metrics").text:
            assert time.monotonic() < deadline
        server.promote(2)
        server.promote(3)
        events = [line for line in lines if line]
    thread.join()
    assert "version 000001 was replaced" in json.loads(events[-1][6:])["error"]["message"]
    assert "[DONE]" not in events[-1]
    assert answers["whole"].status_code == 200
    assert answers["whole"].headers["x-thord-version"] in ("000002", "000003")
