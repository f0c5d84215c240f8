"""kill -9 at any moment: the same weights, the same ledger, one promoted version, no orphan."""

import contextlib
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from control.client import Thord
from demo.text import Dialogue
from tests.e2e.service import Service, running

pytestmark = pytest.mark.timeout(360)  # several runs, one after the other, also beside other tests


def published_sha(service: Service, version: str) -> str:
    found = service.json("version", version)
    assert isinstance(found, dict)
    return str(found["sha256"])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, library: list[Dialogue]) -> dict[str, object]:
    """What the run gives when nobody disturbs it."""
    with running(tmp_path_factory.mktemp("undisturbed") / "home", "training.checkpoint_every=3") as service:
        service.ingest("library", library)
        cycle = service.train()
        assert cycle["state"] == "promoted"
        return {"sha256": published_sha(service, "1"), "data": service.data()}


@pytest.mark.parametrize("times", [3, pytest.param(6, marks=pytest.mark.soak)])
def test_a_trainer_killed_again_and_again_ends_with_the_same_weights(
    tmp_path: Path, library: list[Dialogue], undisturbed: dict[str, object], times: int
) -> None:
    moments = random.Random(1)
    with running(tmp_path / "home", "training.checkpoint_every=3") as service:
        service.ingest("library", library)
        over = threading.Event()
        kills: list[int] = []

        def kill_now_and_then() -> None:
            """Once before its first step, as far as one can see from here; then ever later."""
            steps = iter([0, *sorted(moments.randint(3, 60) for _ in range(times - 1))])
            while len(kills) < times and not over.is_set():
                step = next(steps)
                while not over.wait(moments.uniform(0.01, 0.1)):
                    pid = service.worker_pid("trainer")
                    if pid not in {None, *kills} and service.progress("step") >= step:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                            kills.append(pid)
                            break

        killer = threading.Thread(target=kill_now_and_then)
        killer.start()
        try:
            cycle = service.train()
        finally:
            over.set()
            killer.join()
        assert kills, "the run was over before the first kill"
        assert cycle["state"] == "promoted", cycle
        assert 1 <= int(str(cycle["attempt"])) - 1 <= len(set(kills)), "a kill may come when the work is done already"
        assert published_sha(service, "1") == undisturbed["sha256"]


@pytest.mark.parametrize("times", [2, pytest.param(6, marks=pytest.mark.soak)])
def test_a_supervisor_killed_at_random_moments_goes_on_by_itself(
    tmp_path: Path, library: list[Dialogue], undisturbed: dict[str, object], times: int
) -> None:
    moments = random.Random(2)
    with running(tmp_path / "home", "training.checkpoint_every=3") as service:
        service.ingest("library", library)
        service.ctl("train")
        for _ in range(times):
            threading.Event().wait(moments.uniform(0.3, 3.0))  # the moment is the point: anywhere in the cycle
            service.kill()  # asserts that no worker is alive after one second
            service.start("training.checkpoint_every=3")

        def ended() -> bool:
            return Thord(service.home).cycle(1)["state"] in {"promoted", "failed", "rejected", "skipped", "cancelled"}

        service.until(ended, seconds=120)
        cycles = service.json("cycles")
        assert isinstance(cycles, list)
        assert [cycle["state"] for cycle in cycles] == ["promoted"], cycles
        service.until(lambda: service.data() == undisturbed["data"], seconds=20)
        assert published_sha(service, "1") == undisturbed["sha256"]


def test_a_killed_permanent_worker_comes_back_and_nothing_else_notices(
    service: Service, library: list[Dialogue]
) -> None:
    service.ingest("library", library[:40])
    counts = service.data()
    others = {name: service.worker_pid(name) for name in ("server", "monitor")}
    old = service.worker_pid("intake")
    assert old
    os.kill(old, signal.SIGKILL)
    service.until(lambda: service.worker_pid("intake") not in {old, None})
    service.until(lambda: service.status()["state"] == "ready")
    assert {name: service.worker_pid(name) for name in others} == others
    assert service.ingest("again", library[:40])["added"] == 0
    assert service.data() == counts
