"""The whole API around an engine in this process: as a client sees it, without a process to wait for."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import openai
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from control.paths import at_home
from daemon.settings.sections import Tables
from daemon.workers.server.access.policy import AccessPolicy
from daemon.workers.server.answers import Dispatcher
from daemon.workers.server.api import app
from daemon.workers.server.api.fine_tuning.jobs import FineTuningJobs
from daemon.workers.server.api.runs.runs import Runs
from daemon.workers.server.chats.database import ChatDatabase
from daemon.workers.server.files.checker import FileChecker
from daemon.workers.server.metrics import Metrics
from daemon.workers.server.service import InferenceService
from daemon.workers.server.work_port import WorkPort
from engine.config.model import ModelSettings
from engine.inference.engine import Engine
from engine.inference.versions.slots import WeightSlots
from engine.tokenizers.base import Tokenizer
from tests.daemon.workers.server.runs.fake_jobs import FakeJobs
from tests.engine.inference.conftest import make_loaded

NOBODY = WorkPort(at_home(Path("/nowhere")))
MODEL = ModelSettings(hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=64, context=1024)


class NoSupervisor:
    """What the dispatcher tells the supervisor, and the answer to whoever asks it."""

    async def status(self) -> dict:
        """As the port to a supervisor that does nothing."""
        return {"workers": {}}

    def advance(self, activity: str) -> None:
        """As the channel of a worker."""

    def idle(self) -> None:
        """As the channel of a worker."""


class InProcess:
    """A service, and clients of it: over the Unix socket, or, with a key, over TCP."""

    def __init__(
        self,
        service: InferenceService,
        uploads: FileChecker | None = None,
        tuning: FineTuningJobs | None = None,
        runs: Runs | None = None,
    ) -> None:
        self.service = service
        self.uploads = uploads or FileChecker(None, lambda: service.settings)
        self.runs = runs or Runs(service, FakeJobs(), None, self.uploads.store, at_home(Path("/nowhere")))
        tuned = tuning or FineTuningJobs(None, None, None)
        self._made = app.make(service, NoSupervisor(), self.uploads, tuned, NOBODY, self.runs)
        self.app = arriving(self._made, is_local=False)
        self.over_tcp = self._made

    def http(self, key: str | None = None) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(arriving(self._made, is_local=key is None))
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers, timeout=60)

    def openai(self, key: str | None = None) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url="http://localhost/v1", api_key=key or "none", max_retries=0, http_client=self.http(key)
        )


def arriving(inner: ASGIApp, *, is_local: bool) -> ASGIApp:
    """As a request comes in over a socket."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await inner({**scope, "state": {"local": is_local, "connection": 1}}, receive, send)

    return answer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def in_process(tmp_path: Path, tokenizer: Tokenizer) -> AsyncIterator[InProcess]:
    """A random model with a context of 1024 tokens, version 1."""
    loop = asyncio.get_running_loop()
    settings = Tables()
    slots = WeightSlots(60.0)
    engine = Engine(slots, Dispatcher(loop, NoSupervisor()), 64)
    loaded = make_loaded(1, MODEL, tokenizer)
    assert slots.admit(1, wait_seconds=30)
    slots.install(loaded)
    slots.commit(1)
    chats = ChatDatabase(tmp_path / "chats.db")
    service = InferenceService(
        settings,
        slots,
        engine,
        Metrics(),
        chats,
        tmp_path / "served",
        AccessPolicy(settings.api, tmp_path / "api.keys"),
    )
    service.decided.set()
    thread = threading.Thread(target=engine.run, daemon=True)
    thread.start()
    yield InProcess(service)
    engine.stop()
    await asyncio.to_thread(thread.join, 30)


@pytest.fixture
def make_api(tmp_path: Path) -> Callable[..., InProcess]:
    """Makes the API around no model: see `tests.daemon.workers.server.api.without_model.MakeApi`."""
    from tests.daemon.workers.server.api.without_model import MakeApi

    return MakeApi(tmp_path)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small models on a busy machine: threads would mostly wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
