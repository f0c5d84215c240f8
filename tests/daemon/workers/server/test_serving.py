"""Starting, stopping, who may come in, who goes away, what is measured."""

import contextlib
import json
import re
import resource
import socket
import stat
import threading
import time
from hashlib import sha256
from pathlib import Path

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.daemon.workers.server.harness import SLOW, SMALL, Server, StartServer, server_settings

LONG = {"prompt": "a", "max_tokens": 185, "temperature": 0, "ignore_eos": True, "stream": True}

POST = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"


def events_of(answer: httpx.Response) -> list[str]:
    return [line[6:] for line in answer.iter_lines() if line]


def metric(server: Server, name: str) -> float:
    with server.local() as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def wait_for_metric(server: Server, name: str, value: float) -> None:
    deadline = time.monotonic() + 20
    while metric(server, name) != value:
        assert time.monotonic() < deadline, name
        time.sleep(0.01)


# Stopping ------------------------------------------------------------------------------------------------------------


def test_an_idle_server_stops_at_once(server: Server) -> None:
    with server.http() as client:
        client.get("/healthz")  # a connection that is kept open
        began = time.monotonic()
        assert server.worker.stop() == 0
        assert time.monotonic() - began < 1.0


def test_streams_are_finished_before_it_stops(server: Server) -> None:
    with server.http() as client, client.stream("POST", "/v1/completions", json=LONG) as answer:
        status: list[int] = []
        stopper = threading.Thread(target=lambda: status.append(server.worker.stop(grace_seconds=20)))
        stopper.start()
        events = events_of(answer)
    stopper.join()
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["choices"][0]["finish_reason"] == "length"
    assert status == [0]


def test_what_is_half_sent_when_it_stops_is_refused_while_streams_are_finished(server: Server) -> None:
    port = int(server.url.rpartition(":")[2])
    body = json.dumps({"prompt": "a", "max_tokens": 1}).encode()
    head = POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
    with (
        socket.create_connection(("127.0.0.1", port)) as half,
        socket.create_connection(("127.0.0.1", port)) as idle,
        server.http() as client,
        client.stream("POST", "/v1/completions", json=LONG) as answer,
    ):
        half.sendall(head)
        assert b"100 Continue" in half.recv(1000)
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        healthy = b""
        while not healthy.endswith(b'{"status":"ok"}'):  # head and body may come apart
            more = idle.recv(1000)
            assert more, healthy
            healthy += more
        stopper = threading.Thread(target=lambda: server.worker.stop(grace_seconds=20))
        stopper.start()
        assert idle.recv(1) == b""  # closed at once: from here on it stops
        half.sendall(body)
        refused = half.makefile("rb").read()
        assert events_of(answer)[-1] == "[DONE]"
    stopper.join()
    assert refused.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 2" in refused
    assert json.loads(refused.partition(b"\r\n\r\n")[2])["error"]["code"] == "stopping"


def test_what_comes_while_it_stops_waits_for_the_next_server(start_server: StartServer) -> None:
    """The supervisor holds the listening sockets: a connection made in between is answered by the next server."""
    server = start_server()
    server.worker.stop()
    answers = []
    with server.http() as client:
        asker = threading.Thread(
            target=lambda: answers.append(client.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}))
        )
        asker.start()
        start_server()
        asker.join()
    assert answers[0].status_code == 200


def test_the_grace_ends_a_stream_that_takes_longer(start_server: StartServer) -> None:
    server = start_server(versions=0)
    server.publish(1, SMALL.model_copy(update={"context": 4096}))
    server.promote(1)
    endless = LONG | {"max_tokens": 4000, "n": 8}
    with server.http() as client, client.stream("POST", "/v1/completions", json=endless) as answer:
        began = time.monotonic()
        assert server.worker.stop(grace_seconds=0.01) == 0
        assert time.monotonic() - began < 3
        with pytest.raises(httpx.RemoteProtocolError):
            events_of(answer)


def test_a_request_at_the_start_waits_until_the_version_is_loaded(start_server: StartServer) -> None:
    server = start_server(ready=False)
    with server.http() as client:
        assert client.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}).status_code == 200


# Clients that go away ------------------------------------------------------------------------------------------------


def test_a_client_that_goes_away_frees_its_row(steady: Server) -> None:
    for streamed in (True, False):
        for _ in range(3):
            port = int(steady.url.rpartition(":")[2])
            body = json.dumps(LONG | {"stream": streamed, "n": 8}).encode()
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(POST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
                if streamed:
                    client.recv(100)
    for figure in ("running", "waiting", "running"):  # those that come last may still be on their way in
        wait_for_metric(steady, f"thord_server_{figure}_sequences", 0)
    with steady.http() as client:
        assert client.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}).status_code == 200


def test_a_request_with_another_behind_it_ends_with_its_client_too(start_server: StartServer) -> None:
    """Sent ahead on one connection, the second waits for the first, which takes longer than this test."""
    server = start_server(versions=0)
    server.publish(1, SLOW)
    server.promote(1)
    body = json.dumps(LONG | {"max_tokens": SLOW.shape.context - 100}).encode()
    request = POST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client:
        client.sendall(request * 2)
        client.recv(100)
    wait_for_metric(server, "thord_server_disconnects_total", 1)
    wait_for_metric(server, "thord_server_running_sequences", 0)


def test_clients_that_say_nothing_keep_nobody_out(start_server: StartServer) -> None:
    """More of them than the process may have files at first: that limit is 1024 in most shells."""
    few, (before, most) = 200, resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))
    try:
        server = start_server()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with contextlib.ExitStack() as silent:
        for _ in range(few + 50):
            silent.enter_context(socket.create_connection(address, timeout=10))
        with server.http() as client:
            assert client.get("/healthz", timeout=10).status_code == 200
        server.publish(2)
        server.promote(2)


# Keys ----------------------------------------------------------------------------------------------------------------


def test_keys_guard_tcp_and_not_the_unix_socket(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(
        f"# people\nplain-key\n{sha256(b'hashed-key').hexdigest()}\nsha256:{sha256(b'third').hexdigest()}\n"
    )
    file.chmod(stat.S_IRUSR)
    server = start_server(settings=server_settings(api={"keys_file": str(file)}))
    ask = {"model": "thor", "prompt": "a", "max_tokens": 1}
    for key in ("plain-key", "hashed-key", "third"):
        server.openai(key).completions.create(**ask)
    for key in ("not-a-key", "# people", sha256(b"hashed-key").hexdigest(), "plain-ke"):
        with pytest.raises(openai.AuthenticationError) as refused:
            server.openai(key).completions.create(**ask)
        assert refused.value.code == "invalid_api_key"
        assert key not in refused.value.message
    with server.http() as client:
        assert client.get("/v1/models").status_code == 401
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
        for header in (b"Bearer wrong\xe9", b"Bearer", b"Basic cGxhaW4ta2V5", b"Bearer " + b"k" * 10_000):
            assert client.get("/v1/models", headers={"authorization": header}).status_code == 401
    with server.local() as client:
        assert client.post("/v1/completions", json=ask).status_code == 200
    for secret in ("plain-key", "hashed-key"):
        assert secret not in server.worker.log


def test_a_key_of_any_characters_works_and_one_that_looks_like_a_sum_is_told_so(
    start_server: StartServer, tmp_path: Path
) -> None:
    """``openssl rand -hex 32`` makes such keys."""
    looks_like_a_sum = "0123456789abcdef" * 4
    (tmp_path / "keys").write_text(f"Schlüssel à\n{looks_like_a_sum}\n", encoding="utf-8")
    server = start_server(settings=server_settings(api={"keys_file": str(tmp_path / "keys")}))
    with server.http() as client:
        assert client.get("/v1/models", headers={"authorization": "Bearer Schlüssel à".encode()}).status_code == 200
        for written in (looks_like_a_sum, looks_like_a_sum.upper()):
            refused = client.get("/v1/models", headers={"authorization": f"Bearer {written}"})
            assert refused.status_code == 401
            assert "SHA-256" in refused.json()["error"]["message"]
        assert "SHA-256" not in client.get("/v1/models", headers={"authorization": "Bearer " + "0" * 64}).text


def test_keys_may_come_as_a_credential_of_systemd(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").write_text(sha256(b"from systemd").hexdigest())
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    server = start_server()
    for key, status in (("from systemd", 200), ("another", 401)):
        with server.http(key) as client:
            assert client.get("/v1/models").status_code == status


def test_pages_of_chosen_origins_may_ask_and_others_may_not(start_server: StartServer, tmp_path: Path) -> None:
    """As a browser does it: first without the key, whether it may; then with it."""
    (tmp_path / "keys").write_text("key\n")
    api = {"allow_origins": ("https://chat.example.org",), "keys_file": str(tmp_path / "keys")}
    server = start_server(settings=server_settings(api=api))
    wish = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    with server.http() as client:
        for origin, status in (("https://chat.example.org", 200), ("https://evil.example.org", 403)):
            asked = client.options("/v1/chat/completions", headers={"origin": origin, **wish})
            assert asked.status_code == status
            assert asked.headers.get("access-control-allow-origin") == (origin if status == 200 else None)
        found = client.get("/v1/models", headers={"origin": "https://chat.example.org"})
        assert found.status_code == 401
        assert found.headers["access-control-allow-origin"] == "https://chat.example.org"


def test_a_page_of_another_site_cannot_have_a_browser_send_chats(start_server: StartServer) -> None:
    """As `fetch` sends them with ``mode: "no-cors"``: no browser asks first, and they would be learned."""
    api, learning = {"allow_origins": ("https://chat.example.org",)}, {"enabled": True}
    server = start_server(settings=server_settings(api=api, conversation_log=learning))
    body = json.dumps({"messages": [{"role": "user", "content": "Berlin is in France."}], "max_tokens": 3})

    def status(origin: str, site: str) -> int:
        headers = {"origin": origin, "sec-fetch-site": site, "content-type": "text/plain;charset=UTF-8"}
        with server.http() as client:
            return client.post("/v1/chat/completions", content=body, headers=headers).status_code

    assert status("https://evil.example.org", "cross-site") == 403
    assert status("http://127.0.0.1:3000", "same-site") == 403
    assert status("https://chat.example.org", "cross-site") == 200
    assert status(server.url, "same-origin") == 200


def test_keys_can_change_while_it_runs_and_a_file_that_is_gone_lets_nobody_in(
    start_server: StartServer, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text("old\n")
    chosen = server_settings(api={"keys_file": str(file)})
    server = start_server(settings=chosen)

    def status(key: str) -> int:
        with server.http(key) as client:
            return client.get("/v1/models").status_code

    def wait_until(key: str, expected: int) -> None:
        deadline = time.monotonic() + 10
        while status(key) != expected:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    assert (status("old"), status("new")) == (200, 401)
    file.write_text("new\n")
    server.worker.reload(chosen)
    wait_until("new", 200)
    assert status("old") == 401
    file.unlink()
    server.worker.reload(chosen)
    wait_until("new", 503)


# Figures -------------------------------------------------------------------------------------------------------------


def figures(text: str) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_can_be_read_by_prometheus(server: Server) -> None:
    with server.http() as client:
        client.post("/v1/completions", json={"prompt": "a", "max_tokens": 7, "ignore_eos": True})
        client.post("/v1/completions", json={"prompt": 7})
        long = {"prompt": [9] * 150, "max_tokens": 1, "temperature": 0}  # drawn, it might end at once, without any text
        details = [client.post("/v1/completions", json=long).json()["usage"] for _ in range(2)]
        text = client.get("/metrics").text
    samples = figures(text)
    assert samples["thord_server_generated_tokens_total", "000001"] == 9
    assert samples["thord_server_requests_total", "/v1/completions", "200"] == 3
    assert samples["thord_server_requests_total", "/v1/completions", "400"] == 1
    assert samples["thord_server_serving_version",] == 1
    assert samples["thord_server_first_token_seconds_count",] == 3
    assert [each["prompt_tokens_details"] for each in details] == [{"cached_tokens": 0}, {"cached_tokens": 128}]
    families = {family.name: family for family in text_string_to_metric_families(text)}
    ours = {name: family for name, family in families.items() if name.startswith("thord_")}
    assert {name for name in families if not name.startswith(("thord_server_", "process_"))} == set()
    for name, family in ours.items():
        assert family.documentation, name
        assert re.fullmatch(r"[a-z][a-z_]*[a-z]", name)
        ends = {"counter": ("_total", "_created"), "histogram": ("_bucket", "_count", "_sum", "_created")}
        assert all(sample.name.endswith(ends.get(family.type, ("",))) for sample in family.samples)
        assert family.type != "histogram" or name.endswith("_seconds")
    assert samples["thord_server_cache_rows",] == 8
    assert samples["thord_server_weight_bytes",] > 4 * 64 * 256  # of the embedding alone
    assert samples["thord_server_cache_bytes",] == 128 * 2 * 2 * 2 * 16 * 4  # what another prompt may begin with
    assert samples["thord_server_cached_prompt_tokens_total",] == 128


def test_a_swap_is_counted_once_and_so_is_its_load(server: Server) -> None:
    server.publish(2)
    server.promote(2)
    server.promote(1)  # in memory still: a flip, without a load
    with server.http() as client:
        found = figures(client.get("/metrics").text)
    assert found["thord_server_swaps_total", "prepare", "prepared"] == 2
    assert found["thord_server_swaps_total", "commit", "served"] == 3, "the first one when the server started"
    assert found["thord_server_load_seconds_count",] == 2


def test_an_idle_server_sleeps(steady: Server) -> None:
    """No timer ticks in the event loop or the engine; what wakes is the heartbeat."""
    with steady.http() as client:
        client.post("/v1/completions", json={"prompt": "a", "max_tokens": 3})
    time.sleep(0.5)
    before = switches(steady.worker.pid)
    time.sleep(2.0)
    assert switches(steady.worker.pid) - before <= 4


def switches(pid: int) -> int:
    """Voluntary context switches of all threads."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "status").read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return total


def test_what_can_be_got_has_a_head(steady: Server) -> None:
    with steady.http() as client:
        for path in ("/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/thor"):
            found, got = client.head(path), client.get(path)
            assert (found.status_code, found.content, found.headers.keys()) == (200, b"", got.headers.keys())
        assert client.head("/v1/completions").status_code == 405
