"""With a quantized base the evaluator judges what the server answers with: the adapter beside it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine import version
from engine.config.inference import AdapterForm, InferenceSettings, Quantization
from engine.inference.runners import decoders
from engine.inference.versions import as_served, preparing
from engine.inference.versions.slots import WeightSlots
from engine.models.base import LanguageModel
from engine.native import library
from tests.engine.test_stored_weights import FLOAT32, Home

IDS = torch.arange(20)[None]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    if library.kernel() is None:
        pytest.skip("no kernel is built")
    made = Home(tmp_path / "versions", "thor")
    made.publish(2, made.moved(0.5), made.base)
    return made


def settings(quantization: Quantization, adapters: AdapterForm = "auto") -> InferenceSettings:
    return InferenceSettings(quantization=quantization, adapters=adapters, max_batch=1)


def judged(home: Home, given: InferenceSettings) -> Tensor:
    return likelihoods(as_served.load(home.at(2), FLOAT32, given).model)


def likelihoods(model: LanguageModel) -> Tensor:
    with torch.no_grad():
        hidden_BTD = model.hidden(IDS, IDS, torch.zeros_like(IDS))
        return of_next(model.logits(hidden_BTD[0]).float())


def served(home: Home, given: InferenceSettings) -> Tensor:
    chosen = preparing.form_of(home.at(2), FLOAT32, WeightSlots(0.0), given)
    model = preparing.load(home.at(2), FLOAT32, 1, given.quantization, chosen=chosen).model
    zero = torch.zeros(1, dtype=torch.long)
    with torch.inference_mode():
        return of_next(model.logits(model.step(IDS, model.make_cache(1, 32), zero, zero)[0]))


def of_next(logits_TV: Tensor) -> Tensor:
    return logits_TV[:-1].log_softmax(-1).gather(1, IDS[0, 1:, None])


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_beside_a_quantized_base_both_give_the_same_likelihoods(home: Home, quantization: Quantization) -> None:
    given = settings(quantization)
    torch.testing.assert_close(served(home, given), judged(home, given), atol=3e-4, rtol=0)
    merged = version.load(home.at(2), FLOAT32).model
    assert decoders.round_weights(merged, quantization)
    assert (likelihoods(merged) - judged(home, given)).abs().max() > 3e-3


@pytest.mark.parametrize("given", [settings("none"), settings("int8", "merged")])
def test_else_the_merged_weights_are_judged(home: Home, given: InferenceSettings) -> None:
    assert torch.equal(judged(home, given), likelihoods(version.load(home.at(2), FLOAT32).model))


def test_of_an_adapter_beside_its_base_nothing_more_is_rounded(home: Home) -> None:
    model = as_served.load(home.at(2), FLOAT32, settings("int8")).model
    assert not decoders.round_weights(model, "int8")
