"""Every family trains, answers and is judged on a GPU that is pretended: all tensors where they belong, as on a CPU.

What a GPU does with its own kernels, streams and memory cannot be seen here.
"""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.engine.cuda.scenarios import DTYPES, FAMILIES, MICROBATCHES, STEPS

COMPILER = shutil.which("g++")
pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="no g++ to pretend a GPU with"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a process with a pretended GPU found."""
    library, torch_folder = tmp_path_factory.mktemp("cuda") / "device.so", Path(torch.__file__).parent
    libraries = torch_folder / "lib"
    subprocess.run(
        [
            *(COMPILER, "-shared", "-fPIC", "-std=c++20", f"-I{torch_folder / 'include'}"),
            *(Path(__file__).with_name("device.cpp"), "-o", library),
            *(f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-lc10", "-ltorch_cpu"),
        ],
        check=True,
    )
    ended = subprocess.run(
        [sys.executable, "-m", "tests.engine.cuda.scenarios", library],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-5000:]
    return json.loads(ended.stdout)


def numbers(found: list) -> list[float]:
    """All of them, however deep."""
    return [number for each in found for number in (numbers(each) if isinstance(each, list) else [each])]


@pytest.mark.parametrize("dtype", [*DTYPES, "everything"])
@pytest.mark.parametrize("family", FAMILIES)
def test_training_comes_to_what_it_does_on_a_processor(family: str, dtype: str, found: dict) -> None:
    run = found[f"train {family} {dtype}"]
    *steps, weights = run["there"]
    assert len(steps) == STEPS
    assert all(math.isfinite(number) for number in numbers(steps))
    if "here" in run:
        *here, weights_here = run["here"]
        off = 1e-5 if dtype in ("fp32", "everything") else 5e-3
        assert numbers(steps) == pytest.approx(numbers(here), off)
        assert weights == pytest.approx(weights_here, off)


@pytest.mark.parametrize("how", ["resumed", "resumed adamw8bit"])
def test_a_stopped_run_ends_with_the_weights_of_one_that_was_not(how: str, found: dict) -> None:
    undisturbed, stopped = found[how]
    assert undisturbed == stopped


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_those_of_a_processor(family: str, found: dict) -> None:
    answered = found[f"serve {family}"]
    assert all(answered["here"])
    assert numbers(answered["there"]) == pytest.approx(numbers(answered["here"]), abs=0.02)


@pytest.mark.parametrize("family", FAMILIES)
def test_judgements_are_those_of_a_processor(family: str, found: dict) -> None:
    judged = found[f"judge {family}"]
    here = {name: value for name, value in judged["here"].items() if "quantiz" not in name}
    assert judged["there"] == pytest.approx(here, rel=1e-5), "and nothing of weights quantized, as none are there"


def test_no_attention_holds_all_scores(found: dict) -> None:
    whole = {name: run["whole"] for name, run in found.items() if isinstance(run, dict) and run["whole"]}
    assert whole == {}


def test_what_may_be_seen_is_kept_once_for_all_layers(found: dict) -> None:
    assert [name for name, run in found.items() if isinstance(run, dict) and run["truths"]] == []


@pytest.mark.parametrize("family", ["thor", "gpt2"])
def test_a_step_waits_for_the_gpu_only_a_few_times(family: str, found: dict) -> None:
    """For its loss and norm; each microbatch for which positions are learned from, and whether documents share rows."""
    noticed = found[f"train {family} bf16"]["looks"]
    looks = [look for look in noticed if "checkpoint.py" not in look and "elsewhere" not in look]
    per_validation = 1 + 3 * 4  # four batches
    assert len(looks) <= STEPS * (2 + 3 * MICROBATCHES) + 2 * per_validation, looks


def test_an_lstm_keeps_to_float32_where_products_are_in_bf16(found: dict) -> None:
    assert found["lstm in bf16"] == [True, True]


def test_a_gpu_is_given_much_to_do_at_once(found: dict) -> None:
    assert found["softmaxes"] == 1
    assert found["products between waits"] >= 16
