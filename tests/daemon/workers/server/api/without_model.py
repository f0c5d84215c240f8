"""The API around no model, with uploaded files and a supervisor that is not there: as clients with keys see it."""

from collections.abc import Callable
from pathlib import Path

from daemon.settings.sections import Tables
from daemon.workers.reading import limits_of
from daemon.workers.server.access.policy import AccessPolicy
from daemon.workers.server.api.fine_tuning.jobs import FineTuningJobs
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
from tests.daemon.workers.server.api.supervisor import Supervisor

KEYS = "alice:generate,train\nbob:train\nreader:read,generate\n"
CHAT = '{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me %d."}]}\n'


class NoEngine:
    """Nothing is asked of the model."""

    max_queue = 1


def check_here(file: Path, settings: Tables) -> Findings:
    """As the process that checks, but in this one."""
    with file.open("rb") as stream:
        return found_in(loaders.read(file, stream, limits_of(settings.data, settings.all_tasks)))


class MakeApi:
    """Makes the API of one home; its parameters are the keys of ``[files]``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.supervisor = Supervisor()

    def __call__(self, check: Callable[[Path, Tables], Findings] = check_here, **files: int) -> InProcess:
        home = self.home
        (home / "keys").write_text(KEYS)
        settings = Tables.model_validate({"api": {"keys_file": str(home / "keys")}, "files": files})
        service = InferenceService(
            settings,
            WeightSlots(60.0),
            NoEngine(),
            Metrics(),
            ChatDatabase(home / "chats.db"),
            home / "served",
            AccessPolicy(settings.api, home / "api.key"),
        )
        service.decided.set()
        store = FileStore(home / "files", lambda: service.settings.files)
        jobs = FineTuningJobs(self.supervisor, store, lambda number: home / f"runs/job-{number:06d}")
        return InProcess(service, FileChecker(store, lambda: service.settings, check), jobs)
