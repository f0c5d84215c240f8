"""Plans against what training really takes, in a process that does nothing else."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine import forecast, version
from engine.config.inference import InferenceSettings
from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.config.training import TrainingSettings
from engine.families.table import FAMILIES
from engine.manifest import Lineage
from engine.models import registry
from engine.tokenizers.bytes import ByteTokenizer
from engine.training.objectives.base import ReferenceModel
from engine.training.objectives.language import MaskedCrossEntropy

REPOSITORY = Path(__file__).parents[2]
TRAIN = """
import re, sys, tempfile
from pathlib import Path
from engine import memory
memory.keep_freed_memory()
import psutil
from engine.data import snapshot
from engine.data.samples import Text
from engine.forecast import Question
from engine.training import run
from engine.training.spec import RunPaths, RunSpec
from engine.training.reporting.reporter import Silent
asked = Question.model_validate_json(sys.argv[1])
home = Path(tempfile.mkdtemp())
words = "the quick brown fox jumps over the lazy dog and runs away from here to there".split()
texts = [Text(text=" ".join(words[n * k % len(words)] for k in range(400))) for n in range(1, 80)]
snapshot.write(home / "snapshot", [snapshot.Example(text, text.identity, "new") for text in texts], [])
tables = {name: getattr(asked, name) for name in ("model", "tokenizer", "training")}
plan = RunSpec(cycle=1, version=1, base=None, settings={}, **tables)
before = psutil.Process().memory_info().rss
run.learn(plan, RunPaths(home / "run", home / "snapshot", None, home / "version"), Silent())
print((int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10) - before)
"""


ANSWER = """
import gc, sys
from pathlib import Path
from engine import memory
memory.keep_freed_memory()
import psutil, torch
from engine import device
from engine.inference.runner import TokenSpan
from engine.inference.versions import preparing
torch.set_num_threads(1)
placement = device.resolve("cpu", sys.argv[2])
before = psutil.Process().memory_info().rss
loaded = preparing.load(Path(sys.argv[1]), placement, 1, sys.argv[3])
forward = loaded.forward
with torch.inference_mode():
    for length in range(1, 129, 9 if loaded.cache.rewinds else 1):
        forward.hidden([TokenSpan(0, 0, [7] * length)], [])
    for row in range(2):
        for at in range(0, loaded.context, 128):
            states, none = forward.hidden([TokenSpan(row, at, [7] * 128)], [])
            forward.logits([states[0][-1]], none)
    _, newest = forward.hidden([], [TokenSpan(0, 0, [7])])
    forward.logits([], newest)
gc.collect()
memory.return_freed_memory()
print(psutil.Process().memory_info().rss - before)
"""


def question(family="thor", precision="fp32", checkpointing="none", **shape):
    return forecast.Question(
        model=ModelSettings(family=family, preset="tiny", **shape),
        tokenizer=TokenizerSettings(kind="bytes"),
        training=TrainingSettings(
            device="cpu", precision=precision, threads=1, batch_size=4, sequence_length=256, max_steps=4,
            validation_share=0.0, checkpoint_every=100, validate_every=100, activation_checkpointing=checkpointing,
        ),
    )  # fmt: skip


def measured(script, *arguments):
    """What a process that does nothing else prints."""
    command = [sys.executable, "-c", script, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout)


SOME = [
    ("thor", "bf16", "none"),
    ("gpt2", "bf16", "full"),
]
"""Each takes ten seconds or more; `make soak` goes through the rest."""
ALL = [
    (family, precision, checkpointing)
    for family in ("thor", "gpt2", "char_lstm", "agiformer")
    for precision in ("fp32", "bf16")
    for checkpointing in ("none", "selective", "full")
    if family != "char_lstm" or checkpointing == "none"
]


def check_training(family, precision, checkpointing) -> None:
    asked = question(family, precision, checkpointing)
    found = forecast.forecast(asked)
    assert found.training_bytes == pytest.approx(measured(TRAIN, asked.model_dump_json()), rel=0.15)
    assert found.parameters == sum(w.numel() for w in registry.build(asked.model, 264, 0).parameters())
    assert (found.batch_size, found.accumulation) == (4, 1)
    assert found.tokens_per_second > 100


@pytest.mark.parametrize(("family", "precision", "checkpointing"), SOME)
def test_the_memory_of_training_is_within_15_percent(
    family, precision, checkpointing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "_overhead_apart", lambda _: 0)  # what answering takes is no part of it
    check_training(family, precision, checkpointing)


@pytest.mark.soak
@pytest.mark.parametrize(("family", "precision", "checkpointing"), [each for each in ALL if each not in SOME])
def test_the_memory_of_training_is_within_15_percent_however_it_is_trained(family, precision, checkpointing) -> None:
    check_training(family, precision, checkpointing)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("family", "precision", "quantization"),
    [
        *itertools.product(FAMILIES, ("fp32", "bf16"), ("none",)),
        ("thor", "bf16", "int8"),
        ("gpt2", "bf16", "int4"),
    ],
)
def test_the_memory_of_inference_is_within_15_percent(
    family, precision, quantization, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All that it takes while it serves prompts of every length to all of its rows.

    Weights of another precision are mapped from their file while they are converted; that is no part of it.
    """
    monkeypatch.setattr(forecast, "_probe_apart", lambda *_: forecast.Probe(1.0, 1.0, 0.0))
    settings, tokenizer = ModelSettings(family=family, preset=FAMILIES[family].default), ByteTokenizer()
    answering = InferenceSettings(device="cpu", precision=precision, quantization=quantization, max_batch=1)
    asked = question(family, precision).model_copy(update={"inference": answering, "model": settings})
    weights = registry.module(registry.build(settings, tokenizer.vocabulary, 0)).state_dict()
    version.publish(tmp_path / "000001", weights, settings, tokenizer, Lineage(1, None, None, "", 0, {}, 0.0, {}))
    found = forecast.forecast(asked).inference_bytes
    assert found == pytest.approx(measured(ANSWER, str(tmp_path / "000001"), precision, quantization), rel=0.15)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("family", "preset"), [(family, preset) for family in FAMILIES for preset in FAMILIES[family].presets]
)
def test_every_preset_can_be_planned(family, preset) -> None:
    """Trained, a parameter takes 16 bytes: weight, gradient and both moments. To answer, those of its precision."""
    asked = question(family, "bf16")
    answering = InferenceSettings(device="cpu", precision="bf16")
    asked = asked.model_copy(update={"model": ModelSettings(family=family, preset=preset), "inference": answering})
    found = forecast.forecast(asked)
    assert found.parameters == registry.parameter_count(asked.model, asked.vocabulary)
    assert found.training_bytes > 0.95 * 16 * found.parameters
    assert found.inference_bytes > 2 * found.parameters
    assert found.batch_size in (0, 1, 2, 4)
    assert found.tokens_per_second > 1
    assert 0 < found.share_of_gemm < 1


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_step_of_800m_fits_into_24_gib_as_planned() -> None:
    """The plan knows parts of one and two layers; the whole is then trained for a few steps."""
    asked = question("thor", "bf16", "full").model_copy(update={"model": ModelSettings(preset="800m")})
    training = asked.training.model_copy(update={"batch_size": 1, "sequence_length": 512, "threads": 0})
    asked = asked.model_copy(update={"training": training, "tokenizer": TokenizerSettings()})
    found = forecast.forecast(asked)
    assert found.batch_size == 1, f"it needs {found.training_bytes} bytes, {found.available_bytes} are free"
    whole = forecast._probe_apart(asked, 28, 1)
    peak = forecast.with_copies(whole.peak_bytes, whole.saved_bytes, torch.device("cpu"))
    assert peak < 24 << 30
    assert found.training_bytes == pytest.approx(peak, rel=0.15)


def test_a_part_tells_of_the_whole() -> None:
    """By definition: so much at all, so much a layer, so much a row, so much a layer and row."""

    def whole(layers, rows):
        return 7.0 + 3.0 * layers + (2.0 + 0.5 * layers) * rows

    at = {(layers, rows): whole(layers, rows) for layers in (1, 2) for rows in (1, 3)}
    assert forecast.extend(at, 22, 8) == pytest.approx(whole(22, 8))
    assert forecast.extend({(22, 1): whole(22, 1), (22, 8): whole(22, 8)}, 22, 4) == pytest.approx(whole(22, 4))


def test_what_does_not_fit_is_taken_in_smaller_microbatches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        forecast, "_probe_apart", lambda _, layers, rows: forecast.Probe((100 << 20) * (1.0 + rows), 1.0 * rows, 0.0)
    )
    monkeypatch.setattr(forecast, "_overhead_apart", lambda _: 0)
    monkeypatch.setattr(forecast, "_available_bytes", lambda _: 400 << 20)
    found = forecast.forecast(question())
    assert (found.batch_size, found.accumulation) == (2, 2)
    assert 300 << 20 <= found.training_bytes < 320 << 20
    monkeypatch.setattr(forecast, "_available_bytes", lambda _: 200 << 20)
    assert forecast.forecast(question()).batch_size == 0


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_run_on_an_import_is_forecast_with_the_model_that_it_stays_close_to(
    method: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked, tokenizer = question(layers=1), ByteTokenizer()
    weights = registry.module(registry.build(asked.model, tokenizer.vocabulary, 0)).state_dict()
    imported = Lineage.imported(1, tmp_path, {}, {})
    version.publish(tmp_path / "000001", weights, asked.model, tokenizer, imported)
    references: list[ReferenceModel | None] = []

    def objective(*, reference: ReferenceModel | None) -> MaskedCrossEntropy:
        references.append(reference)
        return MaskedCrossEntropy(reference=reference)

    monkeypatch.setattr(forecast, "MaskedCrossEntropy", objective)
    training = asked.training.model_copy(update={"method": method, "kl_weight": None})
    asked = asked.model_copy(update={"training": training})
    forecast.probe(asked, 1, 1)
    forecast.probe(asked.model_copy(update={"version_folder": tmp_path / "000001"}), 1, 1)
    own, held = references
    assert own is None
    assert held is not None
    assert held.weight == 0.3


def test_the_cache_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "_probe_apart", lambda *_: forecast.Probe(1.0, 1.0, 0.0))
    monkeypatch.setattr(forecast, "_overhead_apart", lambda _: 0)
    answering = InferenceSettings(device="cpu", precision="fp32", max_batch=1)
    asked = question(layers=3, kv_heads=2, heads=6, hidden=192, context=100)
    whole_pages = 128  # for a context of 100
    keys_and_values = 2 * 3 * 2 * whole_pages * 32 * 4
    found = forecast.forecast(asked.model_copy(update={"inference": answering}))
    tables = 0.005
    assert found.inference_bytes == pytest.approx(4 * found.parameters + keys_and_values, rel=tables)


def test_the_command_says_what_is_wrong() -> None:
    asked = question("char_lstm")
    asked = asked.model_copy(
        update={"training": asked.training.model_copy(update={"activation_checkpointing": "full"})}
    )
    command = [sys.executable, "-m", "engine.forecast", "-"]
    ended = subprocess.run(
        command, input=asked.model_dump_json(), capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert ended.returncode == 1
    assert "training.activation_checkpointing" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert json.loads(asked.model_dump_json())["training"]["activation_checkpointing"] == "full"
