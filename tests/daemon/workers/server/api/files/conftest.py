"""The API with uploaded files, around no model: as clients with keys see it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.settings.sections import Tables
from daemon.workers.reading import limits_of
from daemon.workers.server.access.policy import AccessPolicy
from daemon.workers.server.chats.database import ChatDatabase
from daemon.workers.server.files.checker import FileChecker
from daemon.workers.server.files.checking import found_in
from daemon.workers.server.files.file_store import FileStore
from daemon.workers.server.files.findings import Findings
from daemon.workers.server.metrics import Metrics
from daemon.workers.server.service import InferenceService
from engine.data.readers import loaders
from engine.inference.versions.slots import WeightSlots
from tests.daemon.workers.server.api.conftest import InProcess

KEYS = "alice:generate,train\nbob:train\nreader:read,generate\n"
CHAT = '{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me %d."}]}\n'


class NoEngine:
    """Nothing is asked of the model."""

    max_queue = 1


def check_here(file: Path, settings: Tables) -> Findings:
    """As the process that checks, but in this one."""
    with file.open("rb") as stream:
        return found_in(loaders.read(file, stream, limits_of(settings.data, settings.all_tasks)))


MakeApi = Callable[..., InProcess]


@pytest.fixture
def make_api(tmp_path: Path) -> MakeApi:
    def make(
        supervisor: object = None, check: Callable[[Path, Tables], Findings] = check_here, **files: int
    ) -> InProcess:
        (tmp_path / "keys").write_text(KEYS)
        settings = Tables.model_validate({"api": {"keys_file": str(tmp_path / "keys")}, "files": files})
        chats = ChatDatabase(tmp_path / "chats.db")
        access = AccessPolicy(settings.api)
        slots = WeightSlots(60.0)
        service = InferenceService(settings, slots, NoEngine(), Metrics(), chats, tmp_path / "served", access)
        service.decided = asyncio.Event()
        service.decided.set()
        store = FileStore(tmp_path / "files", lambda: service.settings.files)
        return InProcess(service, supervisor, FileChecker(store, lambda: service.settings, check))

    return make
