"""What a reload changes of a server that runs, and what it leaves to the next one."""

import time

from tests.daemon.workers.server.harness import Server, StartServer, server_settings


def code(server: Server, texts: int) -> str:
    """What a request of so many texts is refused with; empty where it is answered."""
    with server.http() as client:
        answer = client.post("/v1/completions", json={"prompt": "a", "n": texts, "max_tokens": 1})
    return "" if answer.status_code == 200 else str(answer.json()["error"]["code"])


def wait_until(server: Server, texts: int, expected: str) -> None:
    deadline = time.monotonic() + 10
    while code(server, texts) != expected:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_request_may_have_what_queue_and_rows_in_memory_hold(start_server: StartServer) -> None:
    """A longer queue holds at once. More rows there are in the next server: until then they are as many as before."""
    server = start_server(settings=server_settings(inference={"max_batch": 1, "max_queue": 2}))
    server.worker.reload(server_settings(inference={"max_batch": 8, "max_queue": 3}))
    wait_until(server, 4, "")
    assert code(server, 5) == "too_many_texts", "not told to come again: it would be refused every time"
    server.worker.reload(server_settings(inference={"max_batch": 8, "max_queue": 1}))
    wait_until(server, 3, "too_many_texts")
    assert code(server, 2) == ""
