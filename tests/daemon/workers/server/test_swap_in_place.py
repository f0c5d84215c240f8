"""Memory that holds one version: the new one takes the place of the old behind a pause, and no answer suffers."""

import json
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from daemon.messages import UNASKED, Commit, Prepare, Prepared, Refused, Serving
from engine.config.model import ModelSettings
from tests.daemon.workers.server.harness import SLOW, Server, StartServer, server_settings
from tests.daemon.workers.server.load import Load, expected_answers
from tests.daemon.workers.server.spoilt import BAD, overflow

ROOMY = ModelSettings(hidden=256, layers=4, heads=4, kv_heads=4, feed_forward=1024, context=192)
"""A version of this shape takes 17 MiB of weights and, with all rows full, 12 of cache."""

StartAlone = Callable[..., Server]


@pytest.fixture
def start_alone(start_server: StartServer) -> StartAlone:
    """A server of version 1 with two more of the same shape published, and memory for one of them."""

    def start(shape: ModelSettings, megabytes: int, **inference: object) -> Server:
        settings = server_settings(inference={"memory_megabytes": megabytes, **inference})
        server = start_server(versions=0, settings=settings)
        for number in (1, 2, 3):
            server.publish(number, shape)
        server.promote(1)
        return server

    return start


def test_swaps_in_place_under_streaming_load(start_alone: StartAlone) -> None:
    """Every answer is whole, of one version and the one that version gives; nobody is refused."""
    server = start_alone(ROOMY, 36)
    expected = expected_answers(server, range(1, 4), tokens=12)
    with Load(server, clients=12, tokens=12) as load:
        load.wait_for("000001")
        for number in (2, 1, 3, 2):
            assert server.worker.ask(Prepare(version=number), Prepared).in_place
            server.promote(number)
            load.wait_for(f"{number:06d}")
    load.check(expected)
    assert server.worker.received(Refused) == []


def test_a_bad_version_is_refused_before_anything_pauses(start_alone: StartAlone) -> None:
    server = start_alone(ROOMY, 36)
    with Load(server, clients=2, tokens=12) as load:
        load.wait_for("000001")
        for number, (spoil, reason) in enumerate(BAD.items(), start=4):
            if spoil is overflow:
                continue  # its weights are numbers: only computing shows the fault
            spoil(server.publish(number, ROOMY))
            refused = server.worker.ask(Prepare(version=number), Refused)
            assert reason in refused.reason, spoil.__name__
            assert refused.unfit
    assert load.faults == []
    assert "answers pause" not in server.worker.log


def test_what_shows_its_fault_after_the_pause_brings_the_old_version_back(start_alone: StartAlone) -> None:
    server = start_alone(ROOMY, 36)
    expected = expected_answers(server, range(1, 2), tokens=12)
    overflow(server.paths.version(2))
    with Load(server, clients=4, tokens=12) as load:
        load.wait_for("000001")
        assert server.worker.ask(Prepare(version=2), Prepared).in_place
        refused = server.worker.ask(Commit(version=2), Refused)
        assert refused.unfit
        assert "NaN or infinite" in refused.reason
        load.answers.clear()
        load.wait_for("000001")
        server.worker.forget()
        assert server.worker.ask(Commit(version=1), Serving) == Serving(
            to=UNASKED, version=1, resident=(1,), forms={1: "whole"}
        )
        server.promote(3)
        load.wait_for("000003")
    assert load.faults == []
    assert {each[0] for each in load.answers} == {"000001", "000003"}
    for made_by, prompt, text in load.answers:
        if made_by == "000001":
            assert text == expected[made_by, prompt]


def test_a_version_too_large_even_alone_is_refused_for_now(start_server: StartServer) -> None:
    server = start_server(versions=1, settings=server_settings(inference={"memory_megabytes": 8}))
    server.publish(2, ROOMY)
    refused = server.worker.ask(Prepare(version=2), Refused)
    assert not refused.unfit
    assert "inference.memory_megabytes" in refused.reason
    with server.http() as client:
        assert client.get("/readyz").json()["version"] == "000001"


def test_the_pause_has_a_deadline_a_bounded_queue_and_is_said(start_server: StartServer) -> None:
    """Memory holds the slow version or the one after it, which is soon done with what begins anew."""
    inference = {"memory_megabytes": 60, "drain_seconds": 2.0, "max_queue": 8, "max_batch": 2}
    server = start_server(versions=0, settings=server_settings(inference=inference))
    server.publish(1, SLOW)
    server.publish(2, ROOMY)
    server.promote(1)
    long = {"prompt": "a", "max_tokens": SLOW.shape.context - 100, "ignore_eos": True, "temperature": 0}
    answers: dict[str, httpx.Response] = {}

    def ask(name: str, body: dict[str, object]) -> threading.Thread:
        def wait() -> None:
            with server.http() as client:
                answers[name] = client.post("/v1/completions", json=body)

        thread = threading.Thread(target=wait)
        thread.start()
        return thread

    with server.http() as client, client.stream("POST", "/v1/completions", json=long | {"stream": True}) as stream:
        lines = stream.iter_lines()
        next(lines)
        whole = ask("whole", long)
        wait_until(lambda: "running_sequences 2" in client.get("/metrics").text)
        assert server.worker.ask(Prepare(version=2), Prepared).in_place
        server.worker.forget()
        server.worker.send(Commit(version=2))
        wait_until(lambda: client.get("/readyz").json()["status"] == "swapping")
        assert "version 000002 takes the place of 000001" in client.get("/readyz").json()["reason"]
        assert client.get("/healthz").status_code == 200
        late = ask("late", {"prompt": ["a", "b"], "max_tokens": 1})
        wait_until(lambda: "waiting_sequences 2" in client.get("/metrics").text)
        full = client.post("/v1/completions", json={"prompt": ["a"] * 7, "max_tokens": 1})
        assert (full.status_code, full.headers["retry-after"]) == (429, "1")
        events = [line for line in lines if line]
        server.worker.expect(Serving, lambda message: message.version == 2)
    late.join()
    whole.join()
    assert "version 000001 was replaced" in json.loads(events[-1][6:])["error"]["message"]
    assert {name: answer.status_code for name, answer in answers.items()} == {"whole": 200, "late": 200}
    assert {answer.headers["x-thord-version"] for answer in answers.values()} == {"000002"}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
