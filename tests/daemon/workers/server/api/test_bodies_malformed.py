"""Whatever a client sends ends as a 4xx or a closed connection, and the next one is answered."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from control.errors import ThordError
from control.http import Endpoint
from daemon.bounded_http import HEAD_BYTES
from daemon.workers.server.api import bodies
from daemon.workers.server.api.chat_schemas import ChatBody, TokenizeBody
from daemon.workers.server.api.schemas import CompletionBody, DetokenizeBody, EmbeddingBody
from daemon.workers.server.errors import ApiError
from daemon.workers.server.http_server import ApiServer, HttpProtocol
from tests.daemon.workers.server.harness import Server, StartServer, server_settings

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
POST = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
COMPLETIONS, CHAT, SCORE, PREDICT = "/v1/completions", "/v1/chat/completions", "/v1/score", "/predict"

BODIES: list[tuple[str, bytes]] = [
    (COMPLETIONS, b""),
    (COMPLETIONS, b"{"),
    (COMPLETIONS, b"null"),
    (COMPLETIONS, b"[]"),
    (COMPLETIONS, b"\xff\xfe"),
    (COMPLETIONS, b"[" * 100_000),
    (COMPLETIONS, b'{"a":' * 50_000),
    (COMPLETIONS, b'{"prompt": "\\ud800"}'),
    (COMPLETIONS, b'{"prompt": 3}'),
    (COMPLETIONS, b'{"prompt": []}'),
    (COMPLETIONS, b'{"prompt": [[]]}'),
    (COMPLETIONS, b'{"prompt": [[1], "a"]}'),
    (COMPLETIONS, b'{"prompt": [-1]}'),
    (COMPLETIONS, b'{"prompt": [1.5]}'),
    (COMPLETIONS, b'{"prompt": [99999999999999999999999999]}'),
    ("/v1/embeddings", b'{"input": [[9, 99999]]}'),
    (COMPLETIONS, b'{"prompt": "a", "max_tokens": -2}'),
    (COMPLETIONS, b'{"prompt": "a", "max_tokens": "5"}'),
    (COMPLETIONS, b'{"prompt": "a", "max_tokens": ' + b"9" * 5000 + b"}"),
    (COMPLETIONS, b'{"prompt": "a", "temperature": NaN}'),
    (COMPLETIONS, b'{"prompt": "a", "temperature": Infinity}'),
    (COMPLETIONS, b'{"prompt": "a", "temperature": 1e999}'),
    (COMPLETIONS, b'{"prompt": "a", "top_p": -0.1}'),
    (COMPLETIONS, b'{"prompt": "a", "n": 0}'),
    (COMPLETIONS, b'{"prompt": "a", "n": 1000000}'),
    (COMPLETIONS, b'{"prompt": ["a", "a", "a"], "n": 128}'),
    (COMPLETIONS, b'{"prompt": "a", "stop": [1]}'),
    (COMPLETIONS, b'{"prompt": "a", "logit_bias": {"x": 1}}'),
    (COMPLETIONS, b'{"prompt": "a", "logit_bias": {"-1": 1}}'),
    (COMPLETIONS, b'{"prompt": "a", "logit_bias": {"99999": 1}}'),
    (COMPLETIONS, b'{"prompt": "a", "logit_bias": {"\xc2\xb2": 1}}'),
    (COMPLETIONS, b'{"prompt": "a", "logprobs": 1000}'),
    (COMPLETIONS, b'{"prompt": "a", "seed": 1e400}'),
    (COMPLETIONS, b'{"prompt": "a", "stream": "yes"}'),
    (COMPLETIONS, b'{"prompt": "a", "model": 7}'),
    (COMPLETIONS, b'{"prompt": "a", "model": "thor@"}'),
    (COMPLETIONS, b'{"prompt": "a", "model": "thor@99999999999999999999"}'),
    (COMPLETIONS, b'{"prompt": "a", "model": "\\u0000"}'),
    (CHAT, b"{}"),
    (CHAT, b'{"messages": []}'),
    (CHAT, b'{"messages": {}}'),
    (CHAT, b'{"messages": [{"role": "nobody", "content": "a"}]}'),
    (CHAT, b'{"messages": [{"role": "user", "content": 5}]}'),
    (CHAT, b'{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}'),
    (CHAT, b'{"messages": [{"content": "a"}]}'),
    (SCORE, b'{"text": ""}'),
    (SCORE, b'{"text": "a", "top_k": 0}'),
    (PREDICT, b'{"task": "nothing", "input": "a"}'),
    (PREDICT, b'{"input": "a"}'),
]

RAW = [
    b"\x00\xff\xfe garbage\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET \xff\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n",
    POST + b"Content-Length: -5\r\n\r\n",
    POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    POST + b"Content-Length: 99999999999\r\n\r\n{}",
    POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    POST + b"Content-Length: 50\r\n\r\n{",
    b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 300_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 300_000,
    b"CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n" * 2000,
    b"CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


def still_answers(server: Server) -> None:
    with server.http() as client:
        answer = client.post(COMPLETIONS, json={"prompt": "a", "max_tokens": 2})
        assert answer.status_code == 200, answer.text
        counted = client.get("/metrics").text
    assert 'status="500"' not in counted


def assert_is_an_error(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]


def test_malformed_bodies_are_4xx_and_say_why(steady: Server) -> None:
    with steady.http() as client:
        for path, body in BODIES:
            answer = client.post(path, content=body)
            assert 400 <= answer.status_code < 500, (path, body[:80], answer.text)
            assert_is_an_error(answer)
        for method, path in (("GET", COMPLETIONS), ("DELETE", "/v1/models"), ("GET", "/nothing"), ("PUT", "/")):
            assert_is_an_error(client.request(method, path))
    still_answers(steady)


def test_any_bytes_end_as_a_4xx_or_a_closed_connection(steady: Server) -> None:
    port = int(steady.url.rpartition(":")[2])
    for sent in RAW:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            with contextlib.suppress(OSError):  # it was refused before it was sent
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                answer = client.recv(65_536)
        assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200")), (sent[:60], answer[:200])
    still_answers(steady)


MANY = 2000
LISTS: list[tuple[type[BaseModel], bytes]] = [
    (CompletionBody, b'{"prompt": [%s]}' % b",".join([b"null"] * MANY)),
    (CompletionBody, b'{"prompt": [[%s]]}' % b",".join([b'"a"'] * MANY)),
    (CompletionBody, b'{"prompt": "a", "stop": [%s]}' % b",".join([b"1"] * MANY)),
    (CompletionBody, b'{"prompt": "a", "logit_bias": {%s}}' % b",".join(b'"%d": "x"' % n for n in range(MANY))),
    (ChatBody, b'{"messages": [%s]}' % b",".join([b"{}"] * MANY)),
    (ChatBody, b'{"messages": [{"role": "user", "content": [%s]}]}' % b",".join([b"{}"] * MANY)),
    (EmbeddingBody, b'{"input": [%s]}' % b",".join([b"null"] * MANY)),
    (TokenizeBody, b'{"messages": [%s]}' % b",".join([b"{}"] * MANY)),
    (DetokenizeBody, b'{"tokens": [%s]}' % b",".join([b"null"] * MANY)),
]


@pytest.mark.parametrize(("schema", "body"), LISTS)
def test_a_list_is_given_up_at_its_first_fault(schema: type[BaseModel], body: bytes) -> None:
    """A report of each would take a thousand times the memory of the body, and minutes."""
    with pytest.raises(ValidationError) as found:
        schema.model_validate_json(body)
    assert found.value.error_count() < 10


@pytest.mark.parametrize(
    ("path", "body", "param", "says"),
    [
        (COMPLETIONS, {"prompt": [1, 2, "a"]}, "prompt.2", "integer"),
        (COMPLETIONS, {"prompt": ["a", 2]}, "prompt.1", "string"),
        (COMPLETIONS, {"prompt": ["a"] * 3000}, "prompt", "2048"),
        (COMPLETIONS, {"prompt": 5}, "prompt", "string"),
        (CHAT, {"messages": [{"role": "user", "content": [IMAGE]}]}, "messages.0.content", "reads text only"),
        (CHAT, {"messages": [{"role": "user", "content": 5}]}, "messages.0.content", "string"),
    ],
)
def test_of_several_forms_the_one_that_was_meant_is_named(
    steady: Server, path: str, body: dict[str, object], param: str, says: str
) -> None:
    with steady.http() as client:
        error = client.post(path, json=body).json()["error"]
    assert error["param"] == param
    assert error["message"].startswith(f"{param}: ")
    assert says in error["message"]


def exchanged(server: Server, *pieces: bytes) -> bytes:
    """What comes back until the server closes, for bytes that arrive in these pieces."""
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
            time.sleep(0.05)
        return b"".join(iter(lambda: client.recv(65_536), b""))


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"


@pytest.mark.parametrize("cut", [0, 60, -30, -1])
def test_who_would_rather_speak_http2_is_answered_in_http1(steady: Server, cut: int) -> None:
    """As Java's clients ask, of every server without TLS."""
    body = b'{"prompt": "a", "max_tokens": 2}'
    head = POST + b"%sContent-Length: %d\r\n\r\n" % (UPGRADE, len(body))
    last = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    asked = head + body
    answer = exchanged(steady, asked[:cut], asked[cut:], last)
    assert answer.count(b"HTTP/1.1 200 OK") == 2, answer
    assert b"text_completion" in answer


def test_a_head_that_ends_between_two_pieces_is_no_large_one(steady: Server) -> None:
    body = b'{"prompt": "%s"}' % (b"a" * 2 * HEAD_BYTES)
    head = POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer = exchanged(steady, head[:-1], head[-1:] + body)
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert b"context_length_exceeded" in answer


@pytest.mark.parametrize(("begins", "goes_on"), [(b"0\r\n", b"X: b\r\n"), (b"0\r\nX: ", b"b"), (b"5;", b"b")])
def test_what_stands_around_chunks_is_bounded(steady: Server, begins: bytes, goes_on: bytes) -> None:
    """Trailers without end filled the memory: 2 GB in twelve seconds."""
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    address = ("127.0.0.1", int(steady.url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=10) as client, contextlib.suppress(ConnectionError):
        client.sendall(head + b"2\r\n{}\r\n" + begins)
        for _ in range(100):
            client.sendall(goes_on * (HEAD_BYTES // len(goes_on)))
        pytest.fail("6 MB were taken that are neither head nor body")
    still_answers(steady)


def test_trailers_are_no_headers(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("key\n")
    server = start_server(settings=server_settings(api={"keys_file": str(tmp_path / "keys")}))
    head = b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    body = b'\r\nf\r\n{"prompt": "a"}\r\n0\r\n'
    key = b"Authorization: Bearer key\r\n"
    assert exchanged(server, head + key + body + b"\r\n").startswith(b"HTTP/1.1 200")
    assert exchanged(server, head + key + body + b"Expires: 0\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert exchanged(server, head + body + key + b"\r\n").startswith(b"HTTP/1.1 401")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    "model prompt messages max_tokens temperature top_p top_k min_p n stop stream stream_options seed echo logprobs "
    "logit_bias presence_penalty frequency_penalty suffix user tools ignore_eos".split()
)


def test_random_fields_never_break_the_server(steady: Server) -> None:
    with steady.http() as client:

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from((COMPLETIONS, CHAT)), st.dictionaries(FIELDS, VALUES, max_size=4))
        def send(path: str, body: dict[str, object]) -> None:
            text = json.dumps(body | {"max_tokens": 1} if "max_tokens" not in body else body)
            answer = client.post(path, content=text.encode(errors="surrogatepass"))
            assert answer.status_code < 500, (body, answer.text)

        send()
    still_answers(steady)


@pytest.mark.parametrize("stated", [True, False])
def test_a_body_over_the_limit_is_refused_while_it_comes(start_server: StartServer, stated: bool) -> None:
    server = start_server(settings=server_settings(api={"max_body_megabytes": 1}))
    megabyte = b" " * (1 << 20)
    sent = 0

    def endless() -> object:
        nonlocal sent
        for _ in range(64):
            sent += 1
            yield megabyte

    with pytest.raises(ThordError, match="max_body_megabytes"):
        Endpoint(server.paths.server_socket).post(COMPLETIONS, dict[str, object], {"prompt": "a" * (8 << 20)})
    with server.http() as client:
        if stated:
            answer = client.post(COMPLETIONS, content=megabyte * 2)
            assert answer.status_code == 413
            assert "max_body_megabytes" in answer.json()["error"]["message"]
        else:
            with contextlib.suppress(httpx.WriteError):
                assert client.post(COMPLETIONS, content=endless()).status_code == 413
            assert sent < 64
    still_answers(server)


def test_a_full_queue_is_429_and_clients_that_come_again_are_answered(start_server: StartServer) -> None:
    server = start_server(settings=server_settings(inference={"max_batch": 1, "max_queue": 1}))
    answers: list[httpx.Response] = []
    together = threading.Barrier(6)

    def ask() -> None:
        with server.http() as client:
            together.wait()
            answers.append(client.post(COMPLETIONS, json={"prompt": "a", "max_tokens": 180, "ignore_eos": True}))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert len(refused) + sum(answer.status_code == 200 for answer in answers) == 6
    for answer in refused:
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["error"]["code"] == "queue_full"
    server.openai(retries=5).completions.create(model="thor", prompt="a", max_tokens=1)
    still_answers(server)


def test_what_no_queue_could_ever_hold_is_not_told_to_come_again(start_server: StartServer) -> None:
    server = start_server(settings=server_settings(inference={"max_batch": 1, "max_queue": 2}))
    asked = [{"role": "user", "content": "hello"}]
    with server.http() as client:
        for path, body in (
            (COMPLETIONS, {"prompt": "a", "n": 4}),
            (COMPLETIONS, {"prompt": ["a", "b", "c", "d"]}),
            (CHAT, {"messages": asked, "n": 4}),
        ):
            answer = client.post(path, json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "too_many_texts"), path
        assert client.post(CHAT, json={"messages": asked, "n": 3, "max_tokens": 1}).status_code == 200


# What comes too slowly ------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_body_that_does_not_come_is_given_up() -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def read() -> None:
        scope = {"type": "http", "method": "POST", "path": COMPLETIONS, "headers": [(b"content-length", b"9")]}
        await bodies.read(Request(scope, receive), CompletionBody, limit=100, seconds=0.05)

    with pytest.raises(ApiError) as refused:
        await read()
    assert (refused.value.status, refused.value.code) == (408, "body_timeout")
    assert refused.value.headers["connection"] == "close"


@pytest.mark.anyio
async def test_a_head_that_does_not_come_is_given_up() -> None:
    class Impatient(HttpProtocol):
        head_seconds = 0.05

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("there is no request")

    async def scenario() -> bytes:
        server = ApiServer(app, Impatient)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(b"POST /v1/completions HTTP/1.1\r\nHost")
            answer = await reader.read()
            writer.close()
            server.stop(1.0)
            await serving
        return answer

    answer = await scenario()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "too_slow"
