"""What the supervisor does by itself, where no whole thord is needed to see it."""

from pathlib import Path

import pytest

from daemon.supervisor.processes.lifecycle import WorkerState
from daemon.supervisor.processes.worker import Change
from daemon.supervisor.store.store import Store
from daemon.supervisor.supervisor import note_death

_DEATH = Change("monitor", WorkerState.RUNNING, WorkerState.BACKOFF, None, "was killed by SIGKILL", died=True)


@pytest.mark.anyio
async def test_a_death_is_an_event_and_no_error_while_the_store_cannot_be_written(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "thord.db", tmp_path / "backups")
    await note_death(_DEATH, store)
    (event,) = await store.newest_events(10)
    assert (event.type, event.data["worker"], event.data["reason"]) == (
        "worker.died",
        "monitor",
        "was killed by SIGKILL",
    )
    await store.close()
    await note_death(_DEATH, store)
