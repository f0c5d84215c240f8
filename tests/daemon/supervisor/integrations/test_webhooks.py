"""The end of a run is posted, signed, a few times at most, and not forgotten by a restart."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError

from control.paths import Paths
from daemon.settings.integrations import IntegrationSettings, WebhookSettings
from daemon.supervisor.integrations.integrations import Integrations
from daemon.supervisor.integrations.webhooks import headers
from daemon.supervisor.learning.learning import Learning
from tests.daemon.supervisor.stand_ins import Script, StandIns, ended, learning, with_conversations

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # that of the examples of Standard Webhooks


class Receiver(ThreadingHTTPServer):
    """Answers with the statuses in ``answers`` in turn, then with 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[int] = []
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook?a=b"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.path, dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    return file


def told(workers: StandIns, it: Learning, paths: Paths, receiver: Receiver, secret: Path) -> Integrations:
    settings = IntegrationSettings(webhooks=WebhookSettings(urls=(receiver.url,), secret_file=str(secret)))
    made = Integrations(settings, it.store, it.jobs, workers, paths, it.degradations, webhook_pauses=(0.0, 0.01, 0.01))
    made.start()
    return made


async def until(integrations: Integrations, **counts: int) -> None:
    while integrations.status() != {"webhooks": counts}:
        await asyncio.sleep(0.005)


def test_a_signature_is_that_of_the_standard() -> None:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    made = headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', 1614265330)
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.anyio
async def test_the_end_of_a_run_is_posted_and_signed(paths: Paths, receiver: Receiver, secret: Path) -> None:
    workers = with_conversations(paths)
    async with learning(workers) as it:
        integrations = told(workers, it, paths, receiver, secret)
        receiver.answers = [500, 302]
        await ended(it, (await it.cycles.trigger("api")).id)
        await until(integrations, delivered=1, given_up=0)
        await integrations.close()
    assert [path for path, _, _ in receiver.posted] == ["/hook?a=b"] * 3  # no redirect was followed
    _, sent, body = receiver.posted[-1]
    event = json.loads(body)
    assert (event["type"], event["job_id"]) == ("trainer.job.completed.v1", "cycle-000001")
    assert event["id"] == sent["webhook-id"]
    signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert sent["webhook-signature"] == f"v1,{expected}"


@pytest.mark.anyio
async def test_three_tries_and_then_the_next_event(paths: Paths, receiver: Receiver, secret: Path) -> None:
    workers = with_conversations(paths, Script(trainer=lambda _run, _step: "no such key"))
    async with learning(workers) as it:
        integrations = told(workers, it, paths, receiver, secret)
        receiver.answers = [503] * 3
        await ended(it, (await it.cycles.trigger("api")).id)
        await until(integrations, delivered=0, given_up=1)
        await integrations.close()
    assert [json.loads(body)["type"] for _, _, body in receiver.posted] == ["trainer.job.failed.v1"] * 3


@pytest.mark.anyio
async def test_a_restart_forgets_none_and_a_secret_that_is_missing_is_said(
    paths: Paths, receiver: Receiver, secret: Path
) -> None:
    workers = with_conversations(paths)
    secret.rename(secret.with_suffix(".away"))
    async with learning(workers) as it:
        integrations = told(workers, it, paths, receiver, secret)
        await ended(it, (await it.cycles.trigger("api")).id)
        while not (reasons := it.degradations.reasons()):
            await asyncio.sleep(0.005)
        await integrations.close()
        assert f"integrations.webhooks.secret_file: {secret}: No such file" in reasons[0]
        assert not receiver.posted
        secret.with_suffix(".away").rename(secret)
        integrations = told(workers, it, paths, receiver, secret)
        await until(integrations, delivered=1, given_up=0)
        assert not it.degradations.reasons()
        await integrations.close()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"urls": ("https://a.example",)}, "urls needs secret_file"),
        ({"urls": ("ftp://a.example",), "secret_file": "x"}, "must begin with http"),
        ({"urls": ("https://ann:hunter2@a.example",), "secret_file": "x"}, "leave user and password out"),
    ],
)
def test_wrong_settings_are_explained(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        WebhookSettings.model_validate(given)
