"""Versions as folders: what is published is loaded unchanged, what is damaged is refused with its reason."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from control import paths
from engine import version
from engine.artifacts import ArtifactError
from engine.config.model import ModelSettings
from engine.device import Placement
from engine.manifest import Lineage, verify, version_name
from engine.models import registry
from engine.tokenizers import bpe

CPU = Placement(torch.device("cpu"), torch.float32)
SETTINGS = ModelSettings(preset="tiny", hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=24, context=32)
LINEAGE = Lineage(3, 2, 7, "0" * 64, 5, {"training": {"seed": 5}}, 1.5, {"final_loss": 2.0})


@pytest.fixture
def published(tmp_path: Path):
    tokenizer = bpe.train(["to be or not to be"], 300, 1 << 20)
    model = registry.build(SETTINGS, tokenizer.vocabulary, seed=5)
    folder = tmp_path / "versions" / "000003"
    manifest = version.publish(folder, model.state_dict(), SETTINGS, tokenizer, LINEAGE)
    return folder, model, manifest


def test_what_was_published_is_loaded(published) -> None:
    folder, model, manifest = published
    loaded = version.load(folder, CPU, check_finite=True)
    assert loaded.manifest == manifest == verify(folder)
    assert (manifest.version, manifest.parent, manifest.cycle, manifest.metrics) == (3, 2, 7, {"final_loss": 2.0})
    assert manifest.parameters == sum(weight.numel() for weight in loaded.model.parameters())
    assert loaded.tokenizer.encode("to be") == bpe.load(folder).encode("to be")
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], weight)
    assert not loaded.model.training
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "manifest.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_it_computes_in_the_dtype_asked_for(published) -> None:
    folder, _, _ = published
    model = version.load(folder, Placement(torch.device("cpu"), torch.bfloat16)).model
    ids = torch.tensor([[1, 9, 10]])
    hidden = model.hidden(ids, torch.arange(3)[None], torch.zeros_like(ids))
    assert model.logits(hidden[0]).dtype == torch.bfloat16


def test_publishing_again_keeps_the_first(published) -> None:
    folder, model, manifest = published
    other = {name: weight + 1 for name, weight in model.state_dict().items()}
    assert version.publish(folder, other, SETTINGS, bpe.load(folder), LINEAGE) == manifest
    assert verify(folder) == manifest


def test_another_cycles_version_is_not_reused(published) -> None:
    folder, model, _ = published
    other = Lineage(3, 2, 8, "0" * 64, 5, {}, 1.5, {})
    with pytest.raises(ArtifactError, match="cycle 7, not of cycle 8"):
        version.publish(folder, model.state_dict(), SETTINGS, bpe.load(folder), other)


def rewrite(folder, change) -> None:
    file = folder / "model.safetensors"
    weights = {name: weight.clone() for name, weight in load_file(file).items()}
    change(weights)
    file.unlink()
    save_file(weights, file)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda w: w.pop("model.norm.weight"), r"missing: \['model.norm.weight'\]"),
        (lambda w: w.update(extra=torch.zeros(1)), r"not expected: \['extra'\]"),
        (lambda w: w.update({"model.norm.weight": torch.ones(15)}), r"model.norm.weight is \[15\]"),
        (lambda w: w.update({"model.norm.weight": torch.ones(16, dtype=torch.int32)}), "int32"),
        (lambda w: w["model.norm.weight"].fill_(torch.nan), "NaN or infinity in model.norm.weight"),
    ],
)
def test_weights_that_do_not_fit_are_refused(published, change, reason: str) -> None:
    folder, _, _ = published
    rewrite(folder, change)
    with pytest.raises(ArtifactError, match=reason):
        version.load(folder, CPU, check_finite=True)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half"])
def test_a_damaged_file_is_named(published, name: str, damage: str) -> None:
    folder, _, _ = published
    file = folder / name
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(content[: len(content) // 2] if damage == "half" else b"")
    with pytest.raises(ArtifactError, match=name):
        version.load(folder, CPU)


def test_a_tokenizer_of_another_size_is_refused(published) -> None:
    folder, _, _ = published
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps({**config, "vocabulary": 999}))
    with pytest.raises(ArtifactError, match="999"):
        version.load(folder, CPU)


def test_engine_and_control_name_a_version_alike() -> None:
    assert version_name(12) == paths.version_name(12) == "000012"
