"""The API of runs around an engine in this process and jobs without a supervisor."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from control.paths import Paths, at_home
from daemon.workers.server.api.runs.runs import Runs
from daemon.workers.server.files.file_store import FileStore
from engine.tokenizers.base import Tokenizer
from tests.daemon.workers.server.api.conftest import InProcess
from tests.daemon.workers.server.runs.fake_jobs import FakeJobs


class FakeGuests:
    """Versions in memory, of which some have to be asked for: `daemon.workers.server.guests.Guests`."""

    def __init__(self) -> None:
        self.serving = {1}
        self.loaded: set[int] = set()
        self.full = False
        self.unloaded: list[int] = []

    def holds(self, version: int) -> bool:
        return version in self.serving | self.loaded

    def serves(self, version: int) -> bool:
        return version in self.serving

    async def ready(self, version: int) -> bool:
        if not self.full:
            self.loaded.add(version)
        return not self.full

    def idle(self, version: int) -> None:
        self.unloaded.append(version)


class Api:
    """Clients of the API, and what stands behind it."""

    def __init__(self, made: InProcess, jobs: FakeJobs, guests: FakeGuests, paths: Paths) -> None:
        self.made = made
        self.jobs = jobs
        self.guests = guests
        self.paths = paths
        self.client = made.http()

    async def get(self, path: str, **more: object) -> httpx.Response:
        return await self.client.get(path, **more)

    async def post(self, path: str, body: object = None, **more: object) -> httpx.Response:
        return await self.client.post(path, json=body, **more)

    def publish(self, version: int) -> None:
        folder = self.paths.version(version)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")


@pytest.fixture
async def api(in_process: InProcess, tmp_path: Path, tokenizer: Tokenizer) -> AsyncIterator[Api]:
    """Run ``first`` has made version 1, which serves; files may be named below ``corpus``."""
    service, paths = in_process.service, at_home(tmp_path)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    settings = service.settings
    api = settings.api.model_copy(update={"file_roots": (str(corpus),)})
    service.settings = settings.model_copy(update={"api": api})
    jobs, guests = FakeJobs(), FakeGuests()
    store = FileStore(tmp_path / "files", lambda: service.settings.files)
    runs = Runs(service, jobs, guests, store, paths)
    found = Api(InProcess(service, runs=runs), jobs, guests, paths)
    found.publish(1)
    jobs.trained("first")
    working = asyncio.create_task(runs.runner.run())
    async with found.client:
        yield found
    working.cancel()
    runs.logs.close()
