"""The kernels that tests of this folder run with."""

import functools
from collections.abc import Iterator

import pytest

from engine.native import library
from tests.engine import kernels


# The fastest and the slowest: the others are made of the same parts, which tests/engine/native tests by themselves.
@pytest.fixture(scope="module", params=list(dict.fromkeys(kernels.BUILT[:1] + kernels.BUILT[-1:])) or [None], ids=str)
def kernel(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param is None:
        pytest.skip(kernels.NONE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "kernel", functools.cache(lambda: kernels.of(request.param)))
        yield
