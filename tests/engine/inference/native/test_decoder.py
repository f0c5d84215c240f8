"""The kernel against the families' own modules in torch, and against itself in other company."""

from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType, quants

from engine.config.inference import Quantization
from engine.config.model import ModelSettings
from engine.inference.native import decoder
from engine.inference.native.decoder import Part
from engine.inference.runners import decoders
from engine.models import registry
from engine.models.quantized import rounded
from engine.native import build, library
from tests.engine.inference.native.models import CPU, MODELS, NEAR, THOR, VOCABULARY, make, native, quantized, tokens

pytestmark = pytest.mark.usefixtures("kernel")


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("name", MODELS)
def test_it_computes_what_torch_does(name: str, dtype: torch.dtype) -> None:
    model = make(name, dtype)
    built, rows, starts = native(model), torch.tensor([3, 0]), torch.zeros(2, dtype=torch.long)
    found_cache, true_cache = built.make_cache(4, 80), model.make_cache(4, 80)
    with torch.inference_mode():
        for part in tokens(2, 60).split((37, 1, 22), dim=1):
            found = built.logits(built.step(part, found_cache, rows, starts).flatten(0, 1))
            true = model.logits(model.step(part, true_cache, rows, starts).flatten(0, 1)).float()
            assert (found - true).norm() < NEAR[dtype] * true.norm()
            starts = starts + part.shape[1]


@pytest.mark.parametrize("quantization", ["int8", "int4"])
@pytest.mark.parametrize("name", ["gpt2", "thor-other"])
def test_quantized_it_computes_what_the_rounded_weights_do(name: str, quantization: Quantization) -> None:
    model = make(name, torch.float32)
    plain, built = quantized(model, quantization), native(model, quantization)
    arguments = tokens(2, 60), torch.tensor([1, 2]), torch.zeros(2, dtype=torch.long)
    with torch.inference_mode():
        found_BTD = built.step(arguments[0], built.make_cache(4, 80), *arguments[1:])
        true_BTD = plain.step(arguments[0], plain.make_cache(4, 80), *arguments[1:])
        found, true = built.logits(found_BTD.flatten(0, 1)), plain.logits(true_BTD.flatten(0, 1))
    assert (found - true).norm() < 1e-3 * true.norm()
    assert torch.equal(found.argmax(-1), true.argmax(-1))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("quantization", ["none", "int8", "int4"])
@pytest.mark.parametrize("name", ["gpt2", "thor-other"])
def test_no_number_depends_on_company_or_on_how_a_text_was_cut(
    name: str, quantization: Quantization, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "_SECONDS_FOR_A_THREAD", 1e-9)  # however small the model
    built = native(make(name, torch.bfloat16), quantization)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        rows, text = torch.arange(11), tokens(11, 40)
        whole = built.step(text, built.make_cache(11, 80), rows, torch.zeros(11, dtype=torch.long))
        for company in (1, 3, 11):
            cache = built.make_cache(11, 80)
            for place in range(40):
                starts = torch.full((company,), place)
                alone = built.step(text[:company, place : place + 1], cache, rows[:company], starts)
                assert torch.equal(alone[:, 0], whole[:company, place])
        lengths = torch.arange(11) * 3  # rows that begin, go on by one, or go on by many, all in one call
        cache = built.make_cache(11, 80)
        for begin, end in ((torch.zeros_like(lengths), lengths), (lengths, lengths.flip(0).clamp(min=lengths + 1))):
            places = [(row, place) for row in range(11) for place in range(int(begin[row]), int(end[row]))]
            rows_M, positions_M = torch.tensor(places).unbind(1)
            mixed = built.read([Part(built, cache, text[rows_M, positions_M], rows_M, positions_M)])
            assert torch.equal(mixed, whole[rows_M, positions_M])
        scores = built.logits(whole[:, -1])
        assert all(torch.equal(built.logits(whole[row : row + 1, -1])[0], scores[row]) for row in range(11))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("quantization", "kind", "ratio"),
    [("int8", GGMLQuantizationType.Q8_0, 1.01), ("int4", GGMLQuantizationType.Q4_0, 1.01)],
)
def test_weights_are_no_farther_off_than_in_the_types_of_gguf(
    quantization: Quantization, kind: GGMLQuantizationType, ratio: float
) -> None:
    weight_NK = torch.randn(48, 96, generator=torch.Generator().manual_seed(0))
    weight_NK[5] = 0.0
    theirs_NK = torch.from_numpy(quants.dequantize(quants.quantize(weight_NK.numpy(), kind), kind))
    found_NK = rounded(weight_NK, quantization)
    assert (found_NK - weight_NK).norm() <= ratio * (theirs_NK - weight_NK).norm()
    assert (found_NK[5] == 0).all()


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_small_weights_are_as_near_as_large_ones(quantization: Quantization) -> None:
    weight_NK = torch.randn(16, 96, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rounded(weight_NK * 2.0**-60, quantization), rounded(weight_NK, quantization) * 2.0**-60)


def test_weights_that_are_no_numbers_are_seen_in_the_scores() -> None:
    for quantization in ("none", "int8", "int4"):
        model = make("thor", torch.bfloat16)
        next(iter(model.parameters()))[7] = float("nan")
        built = native(model, quantization)
        hidden = built.step(torch.tensor([[7]]), built.make_cache(1, 80), torch.tensor([0]), torch.tensor([0]))
        assert not torch.isfinite(built.logits(hidden[0])).all()


def test_what_it_will_hold_is_known_without_weights() -> None:
    settings = ModelSettings.model_validate(MODELS["thor-other"])
    sizes = []
    for quantization in ("none", "int8", "int4"):
        skeleton = registry.skeleton(settings, VOCABULARY)
        registry.module(skeleton).to(torch.bfloat16)
        foretold = decoder.make(skeleton, CPU, quantization)
        real = native(make("thor-other", torch.bfloat16), quantization)
        sizes.append(sum(tensor.nbytes for tensor in real.parameters()))
        assert sum(tensor.nbytes for tensor in foretold.parameters()) == sizes[-1]
    assert sizes[0] > 1.6 * sizes[1] > 2.4 * sizes[2]


def test_it_goes_on_after_its_workspace_was_released() -> None:
    built = native(make("gpt2", torch.float32))
    arguments = tokens(1, 9), torch.tensor([0]), torch.tensor([0])
    before = built.step(arguments[0], built.make_cache(1, 80), *arguments[1:])
    built.release_workspace()
    assert torch.equal(built.step(arguments[0], built.make_cache(1, 80), *arguments[1:]), before)


def test_a_row_cannot_outgrow_its_cache() -> None:
    built = native(make("gpt2", torch.float32))
    with pytest.raises(ValueError, match="81 positions"):
        built.step(tokens(1, 41), built.make_cache(1, 80), torch.tensor([0]), torch.tensor([40]))


def test_without_a_compiler_torch_computes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library, "path", lambda variant: tmp_path / f"kernels-{variant.name}-0.so")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert "no C++ compiler" in build.build()
    monkeypatch.setattr(library, "kernel", lambda: library.chosen())
    assert decoder.make(make("gpt2", torch.float32), CPU, "none") is None


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [
        ({"norm_placement": "post", "mlp": "geglu"}, "norm_placement = post, mlp = geglu"),
        ({"projections": "fused_by_head", "kv_heads": 6}, "projections = fused_by_head"),
        ({"attention_multiplier": 0.1, "nope_interval": 2}, "attention_multiplier = 0.1 in layers without positions"),
        ({"head_width": 12}, "heads of 12 values, which is not a multiple of 16"),
    ],
)
def test_what_it_does_not_compute_is_said_and_left_to_torch(
    changes: dict[str, object], lacking: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ModelSettings.model_validate({**THOR, **changes})
    model = registry.build(settings, VOCABULARY, seed=1)
    with caplog.at_level("INFO"):
        assert decoders.prepare(model, CPU, "int8") is model
    assert f"the kernel does not compute {lacking}: torch computes this version" in caplog.text
    assert f"inference.quantization = 'int8' has no effect: the kernel does not compute {lacking}" in caplog.text
    assert not decoder.serves(settings)
    assert not decoders.round_weights(model, "int8")
