"""What holds for every test."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: how long an example takes says how busy the machine is. In CI the same examples each time: a submission
# is judged by what it changed. Elsewhere new ones are looked for.
settings.register_profile("thord", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("thord")

# As the supervisor has it. Several processes test at once: threads of torch that spin while they wait take each other's
# cores. torch is not loaded yet.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Bytecode is kept even where the environment forbids it: pytest would rewrite the assertions of every file in each of
# its processes, and the hundreds of processes that tests start would compile all they import.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


# Files that take longest, first: else one of them runs on alone, on one of two cores, when all others are done.
LONGEST = (
    "tests/e2e/test_cycle.py",
    "tests/e2e/test_kill.py",
    "tests/e2e/test_swap_under_load.py",
    "tests/engine/cuda/",
    "tests/e2e/test_systemd.py",
    "tests/engine/training/run/test_run_resumed_everything.py",
    "tests/engine/test_forecast.py",
    "tests/e2e/test_import.py",
    "tests/e2e/test_distributed.py",
    "tests/control/commands/setup/test_doctor.py",
    "tests/engine/distributed/",
    "tests/daemon/supervisor/test_main.py",
    "tests/engine/training/test_compiling.py",
    "tests/e2e/",
    "tests/daemon/workers/trainer/",
    "tests/engine/training/test_loop.py",
)
# Most of what these do is waiting for processes. Beside those that compute, both cores have work all the time.
WAITING = ("tests/daemon/", "tests/control/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files: the longest first, then waiting and computing ones mixed. Tests of a file keep their order."""
    for name in (*LONGEST, *WAITING):
        assert (Path(__file__).parents[1] / name).exists(), f"{name} is not there any more: mend LONGEST or WAITING"
    files = list(dict.fromkeys(item.nodeid.split("::")[0] for item in items))
    long = [file for name in LONGEST for file in files if file.startswith(name)]
    waiting = [file for file in files if file not in long and file.startswith(WAITING)]
    computing = [file for file in files if file not in long and not file.startswith(WAITING)]
    places = {file: (at + 0.5) / len(group) for group in (waiting, computing) for at, file in enumerate(group)}
    places |= {file: -at for at, file in enumerate(reversed(dict.fromkeys(long)))}
    items.sort(key=lambda item: places[item.nodeid.split("::")[0]])


def pytest_collection_finish() -> None:
    """Have no collection of garbage look through all that was imported: with torch, each takes a tenth of a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, as thord does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    """A training in this process says how many threads there are, for good: other tests are to have their own."""
    torch, tokenizing = sys.modules.get("torch"), os.environ.get("RAYON_NUM_THREADS")
    computing = torch.get_num_threads() if torch else 0
    yield
    if torch and torch.get_num_threads() != computing:
        torch.set_num_threads(computing)
    if tokenizing is None:
        os.environ.pop("RAYON_NUM_THREADS", None)
    else:
        os.environ["RAYON_NUM_THREADS"] = tokenizing
