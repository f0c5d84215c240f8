"""The supervisor's looks at runs, of a real process and a machine whose load is made up."""

import asyncio
import subprocess
from collections.abc import Iterator

import pytest

from daemon.messages import WorkerName
from daemon.supervisor.fair_share import governor, ladder
from daemon.supervisor.fair_share.governor import Governor
from daemon.supervisor.fair_share.ladder import Look, Standing


@pytest.fixture
def process() -> Iterator[int]:
    started = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield started.pid
    started.kill()
    started.wait()


@pytest.mark.anyio
async def test_a_run_is_said_to_be_slowed_as_long_as_it_lives(process: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(look: Look, standing: Standing, minimum: float) -> Standing:
        return Standing(level=2)

    monkeypatch.setattr(ladder, "after", starved)
    monkeypatch.setattr(ladder, "is_held_up", lambda look, minimum: True)
    monkeypatch.setattr(governor.os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    runs: dict[WorkerName, int] = {"trainer": process}
    watching = Governor(lambda: runs, lambda: [process], lambda: 0.5, pause_seconds=0.01)
    watching.begin()
    assert watching.slowed_to("trainer") is None
    async with asyncio.timeout(20):
        while watching.slowed_to("trainer") is None:
            await asyncio.sleep(0.01)
    assert watching.slowed_to("trainer") == pytest.approx(0.0, abs=0.2)
    assert watching.slowed_to("evaluator") is None
    runs.clear()
    assert watching.slowed_to("trainer") is None
    assert watching.level == 2, "and the next run begins where this one was"
    watching.end()
