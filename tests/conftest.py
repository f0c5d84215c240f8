"""What holds for every test."""

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# No deadline: how long an example takes says how busy the machine is. In CI the same examples each time: a submission
# is judged by what it changed. Elsewhere new ones are looked for.
settings.register_profile("thord", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("thord")

# As the supervisor has it. Several processes test at once: threads of torch that spin while they wait take each other's
# cores. torch is not loaded yet.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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
