"""An adapter merged into its base while loading: exactly, each time from the same base, whatever went before."""

import json
from pathlib import Path

import pytest
import torch

from engine import version
from engine.adapters import adapter as adapters
from engine.adapters.adapter import A, B
from engine.adapters.config import AdapterConfig
from engine.artifacts import ArtifactError, sha256_of
from engine.config.model import ModelSettings
from engine.device import Placement
from engine.manifest import Base, Lineage, read_manifest, verify, version_name
from engine.models import registry
from engine.tokenizers import bpe

FLOAT32, BFLOAT16 = (Placement(torch.device("cpu"), dtype) for dtype in (torch.float32, torch.bfloat16))
FAMILIES = {
    "thor": ModelSettings(preset="tiny", hidden=32, layers=2, heads=2, kv_heads=1, feed_forward=64, context=32),
    "gpt2": ModelSettings(family="gpt2", preset="tiny", hidden=32, layers=2, heads=2, context=32),
}


class Home:
    """Versions of one small model: 1 is whole and in bf16, others are adapters for it."""

    def __init__(self, folder: Path, family: str) -> None:
        self.settings = FAMILIES[family]
        self.folder = folder
        self.tokenizer = bpe.train(["to be or not to be"], 300, 1 << 20)
        self.model = registry.build(self.settings, self.tokenizer.vocabulary, seed=5)
        weights = {name: weight.bfloat16() for name, weight in registry.module(self.model).state_dict().items()}
        self.publish(1, weights, None)
        self.base = Base(version=1, sha256=read_manifest(self.at(1)).sha256)
        self.new = adapters.new(self.model, AdapterConfig(rank=4, alpha=8.0), seed=1)

    def at(self, number: int) -> Path:
        return self.folder / version_name(number)

    def publish(self, number, weights, base):
        lineage = Lineage(number, None, None, "", 0, {}, 0.0, {})
        version.publish(self.at(number), weights, self.settings, self.tokenizer, lineage, base=base)

    def moved(self, size: float):
        draw = torch.Generator().manual_seed(3)
        return self.new.with_factors(
            {
                name: torch.randn(factor.shape, generator=draw) * size if name.endswith(B) else factor
                for name, factor in self.new.factors.items()
            }
        )


@pytest.fixture(params=sorted(FAMILIES))
def home(tmp_path: Path, request) -> Home:
    return Home(tmp_path / "versions", request.param)


def logits(folder: Path, placement: Placement):
    model = version.load(folder, placement, check_finite=True).model
    ids_BT = torch.arange(20)[None]
    with torch.no_grad():
        return model.logits(model.hidden(ids_BT, ids_BT, torch.zeros_like(ids_BT))).float()


@pytest.mark.parametrize("placement", [FLOAT32, BFLOAT16])
def test_an_adapter_that_changes_nothing_gives_the_bits_of_its_base(home: Home, placement: Placement) -> None:
    home.publish(2, home.new, home.base)
    assert torch.equal(logits(home.at(2), placement), logits(home.at(1), placement))


def test_what_is_merged_is_the_sum_in_float32_rounded_once(home: Home) -> None:
    adapter = home.moved(0.02)
    home.publish(2, adapter, home.base)
    exact, low = (registry.module(version.load(home.at(2), place).model).state_dict() for place in (FLOAT32, BFLOAT16))
    before = registry.module(version.load(home.at(1), FLOAT32).model).state_dict()
    maps = registry.linear_maps(home.model)
    for name, weight in exact.items():
        linear = name.removesuffix(".weight")
        expected = before[name].double()
        if linear in maps:
            a_RK, b_NR = (adapter.factors[linear + part].double() for part in (A, B))
            change_NK = 2.0 * b_NR @ a_RK
            expected = expected + (change_NK.t() if maps[linear].across else change_NK)
            assert not torch.equal(weight, before[name])
        torch.testing.assert_close(weight.double(), expected, atol=1e-6, rtol=1e-6)
        assert torch.equal(low[name], weight.bfloat16())
    assert not torch.equal(logits(home.at(2), FLOAT32), logits(home.at(1), FLOAT32))


def test_fifty_small_steps_arrive_whole(tmp_path: Path) -> None:
    """Each is a thousandth of the weights, which bf16 would lose half of each time that it was merged and stored."""
    home = Home(tmp_path / "versions", "thor")
    name = "model.layers.0.mlp.up_proj"
    draw, adapter = torch.Generator().manual_seed(9), home.new
    step = torch.randn(adapter.factors[name + B].shape, generator=draw) * 1e-4
    first = version.weights_to_train_on(home.at(1), trunk=False)[name + ".weight"]
    for number in range(2, 52):
        adapter = adapter.with_factors({**adapter.factors, name + B: adapter.factors[name + B] + step})
        home.publish(number, adapter, home.base)
        adapter = version.weights_of(home.at(number)).adapter or adapter
    found = version.weights_to_train_on(home.at(51), trunk=False)[name + ".weight"] - first
    wanted = 50 * 2.0 * step @ home.new.factors[name + A]
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-3)
    served = registry.module(version.load(home.at(51), BFLOAT16).model).state_dict()[name + ".weight"].float() - first
    assert 0.95 < (served * wanted).sum() / wanted.square().sum() < 1.05
    assert sha256_of(home.at(1) / "model.safetensors") == home.base.sha256


def test_a_version_says_what_it_is_and_its_base_is_verified_with_it(home: Home) -> None:
    home.publish(2, home.moved(0.02), home.base)
    manifest = verify(home.at(2))
    assert (manifest.method, manifest.base, manifest.parameters) == ("lora", home.base, verify(home.at(1)).parameters)
    assert manifest.sha256 == sha256_of(home.at(2) / "adapter_model.safetensors")
    weights = home.at(1) / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(ArtifactError, match=r"000001/model\.safetensors: sha256"):
        verify(home.at(2))


def test_another_base_is_refused_with_both_sums(home: Home) -> None:
    other = Base(version=1, sha256="f" * 64)
    home.publish(2, home.moved(0.02), other)
    for refused in (verify, version.check, lambda folder: version.load(folder, FLOAT32)):
        with pytest.raises(ArtifactError, match=f"{'f' * 64}.*{home.base.sha256}"):
            refused(home.at(2))


def test_a_missing_base_is_named(home: Home) -> None:
    home.publish(2, home.moved(0.02), Base(version=7, sha256=home.base.sha256))
    with pytest.raises(ArtifactError, match=r"its base cannot be read.*000007"):
        version.load(home.at(2), FLOAT32)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda name, factors: {**factors, name + A: factors[name + A] * float("nan")}, "NaN"),
        (lambda name, factors: {n: f for n, f in factors.items() if n != name + A}, "lora_A"),
        (lambda name, factors: {**factors, name + B: factors[name + B][:-1]}, "do not fit"),
        (
            lambda name, factors: {**factors, "lm_head" + A: torch.ones(1, 32), "lm_head" + B: torch.ones(9, 1)},
            "lm_head",
        ),
        (lambda name, factors: {}, "no tensors"),
    ],
)
def test_factors_that_do_not_fit_are_refused_by_name(tmp_path: Path, change, named: str) -> None:
    home = Home(tmp_path / "versions", "thor")
    home.publish(2, home.moved(0.02), home.base)
    file, name = home.at(2) / "adapter_model.safetensors", home.new.maps[0]
    file.unlink()
    adapters.write_factors(file, change(name, dict(home.new.factors)), home.base.sha256)
    with pytest.raises(ArtifactError, match=named):
        version.load(home.at(2), FLOAT32)


def test_equal_factors_give_equal_bytes(tmp_path: Path) -> None:
    """Safetensors by itself writes several keys of metadata in another order in another process."""
    home = Home(tmp_path / "versions", "thor")
    home.publish(2, home.new, home.base)
    with (home.at(2) / "adapter_model.safetensors").open("rb") as file:
        head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    assert list(head["__metadata__"].items()) == [("format", "pt"), ("base_sha256", home.base.sha256)]


def test_peft_finds_its_own_fields(home: Home) -> None:
    home.publish(2, home.new, home.base)
    said = json.loads((home.at(2) / "adapter_config.json").read_text())
    assert (said["peft_type"], said["r"], said["lora_alpha"]) == ("LORA", 4, 8.0)
    assert said["fan_in_fan_out"] is (home.settings.family == "gpt2")
    ends = {"thor": {"q_proj", "gate_proj"}, "gpt2": {"c_attn", "c_fc"}}[home.settings.family]
    assert ends < set(said["target_modules"])
