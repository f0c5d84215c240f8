"""No figure without the kernels that it is said to be of."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.native import library, variants
from engine.native.variants import VARIANTS, Variant
from tests.bench.benchmark import REPOSITORY

SLOWER, FASTEST = VARIANTS[1], VARIANTS[-1]


@pytest.fixture
def require_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What benchmarks begin with, on a processor that runs both variants, of which these were built."""
    spec = importlib.util.spec_from_file_location("processor", REPOSITORY / "bench" / "processor.py")
    assert spec
    assert spec.loader
    processor = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(processor)

    def require(*built: Variant) -> None:
        for variant in built:
            (tmp_path / variant.name).touch()
        monkeypatch.setattr(variants, "usable_here", lambda: (FASTEST, SLOWER))
        monkeypatch.setattr(library, "path", lambda variant: tmp_path / variant.name)
        processor.require_kernels()

    return require


@pytest.mark.parametrize("built", [(), (SLOWER,)])
def test_a_benchmark_refuses_kernels_of_other_sources(
    built: tuple[Variant, ...], require_kernels: Callable[..., None]
) -> None:
    with pytest.raises(SystemExit) as refused:
        require_kernels(*built)
    assert f"the kernels for {FASTEST} are not built of these sources" in str(refused.value)
    assert (f"{variants.FORCED}={SLOWER}" in str(refused.value)) == bool(built)


def test_a_benchmark_runs_with_the_fastest_kernels(require_kernels: Callable[..., None]) -> None:
    require_kernels(FASTEST, SLOWER)


def test_every_benchmark_that_computes_asks_for_its_kernels() -> None:
    without = {"bench_intake", "bench_supervisor", "bench_tokenising"}  # they compute no model
    asking = {
        file.stem
        for file in (REPOSITORY / "bench").glob("bench_*.py")
        if "processor.require_kernels()" in file.read_text(encoding="utf-8")
    }
    assert asking | without == {file.stem for file in (REPOSITORY / "bench").glob("bench_*.py")}
