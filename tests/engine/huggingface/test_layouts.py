"""Decoders beyond Llama's kind answer and learn as in transformers, and what thord does not compute is refused.

`test_importing.py` tests that their scores are the same and their tensors come back, as those of all other imports.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Phi3ForCausalLM, PreTrainedModel

from engine import version
from engine.adapters import adapter as adapters
from engine.adapters import network
from engine.adapters.config import AdapterConfig
from engine.device import Placement
from engine.families.thor import THOR
from engine.foreign_model import ForeignModelError
from engine.huggingface import importing, model_layout
from engine.huggingface.model_layout import ModelLayout
from engine.inference.requests import GenerationParams, Sampling
from engine.inference.versions.loaded_model import LoadedModel
from engine.models import registry
from engine.models.base import LanguageModel
from engine.version import LoadedVersion
from tests.engine.huggingface import decoders
from tests.engine.huggingface.conftest import Foreign
from tests.engine.inference.conftest import make_running

__all__ = ["make_running"]  # a fixture
CPU = Placement(torch.device("cpu"), torch.float32)
GREEDY = Sampling(temperature=0.0, top_logprobs=0)
Taken = Callable[[str], tuple[PreTrainedModel, Path, LoadedVersion]]


@pytest.fixture
def taken(foreign: Foreign, tmp_path: Path) -> Taken:
    """A model of transformers, its folder, and the version that was made of it."""

    def take(name: str) -> tuple[PreTrainedModel, Path, LoadedVersion]:
        theirs, folder = foreign(name)
        importing.take(folder, tmp_path / "000001", 1)
        return theirs, folder, version.load(tmp_path / "000001", CPU)

    return take


def ids(rows: int, length: int) -> Tensor:
    return torch.randint(0, 303, (rows, length), generator=torch.Generator().manual_seed(length))


def scores(model: LanguageModel, ids_BT: Tensor) -> Tensor:
    positions_BT = torch.arange(ids_BT.shape[1]).expand_as(ids_BT)
    hidden_BTD = model.hidden(ids_BT, positions_BT, torch.zeros_like(ids_BT))
    return model.logits(hidden_BTD.flatten(0, 1)).view(*ids_BT.shape, -1)


def loss(scores_BTV: Tensor, ids_BT: Tensor) -> Tensor:
    return F.cross_entropy(scores_BTV[:, :-1].flatten(0, 1), ids_BT[:, 1:].flatten())


def layout_of(theirs: PreTrainedModel) -> ModelLayout:
    return next(each for each in model_layout.of(THOR) if theirs.config.model_type in each.model_types)


@pytest.mark.parametrize("name", decoders.MADE)
def test_it_learns_what_it_learns_in_transformers(name: str, taken: Taken) -> None:
    theirs, _, ours = taken(name)
    module, layout, ids_BT = registry.module(ours.model).train().requires_grad_(), layout_of(theirs), ids(2, 40)
    loss(scores(ours.model, ids_BT), ids_BT).backward()
    loss(theirs(ids_BT).logits, ids_BT).backward()
    expected = {layout.ours(key): weight.grad for key, weight in theirs.named_parameters()}
    found = {key: weight.grad for key, weight in module.named_parameters()}
    assert found.keys() == expected.keys()
    for key, gradient in found.items():
        torch.testing.assert_close(gradient, expected[key], atol=1e-4, rtol=1e-4, msg=lambda said, key=key: key + said)


@pytest.mark.parametrize("name", decoders.MADE)
def test_greedy_answers_are_those_of_transformers(name: str, taken: Taken, make_running: Callable) -> None:
    """Through the engine: prompts of several lengths, beyond a window and a page, in one batch, with a cache."""
    theirs, _, ours = taken(name)
    theirs.generation_config.eos_token_id = None
    registry.module(ours.model).requires_grad_(requires_grad=False)
    running = make_running(LoadedModel(ours, 4, ours.model))
    prompts = [ids(1, length)[0].tolist() for length in (3, 20, 45)]
    asked = [running.ask([prompt], GenerationParams(12, GREEDY)) for prompt in prompts]
    for prompt, heard in zip(prompts, asked, strict=True):
        given = torch.tensor([prompt])
        expected = theirs.generate(given, attention_mask=torch.ones_like(given), max_new_tokens=12, do_sample=False)
        assert heard.wait().tokens() == expected[0, len(prompt) :].tolist()


@pytest.mark.parametrize("name", decoders.MADE)
def test_an_adapter_learns_beside_every_linear_map_of_a_block(name: str, taken: Taken) -> None:
    theirs, _, ours = taken(name)
    blocks = {layout_of(theirs).ours(key) for key, part in theirs.named_modules() if isinstance(part, nn.Linear)}
    assert registry.linear_maps(ours.model).keys() == blocks - {"lm_head"}
    ids_BT = ids(2, 40)
    with torch.no_grad():
        before = scores(ours.model, ids_BT)
    network.attach(ours.model, adapters.new(ours.model, AdapterConfig(rank=2, alpha=4.0), seed=0))
    after = scores(ours.model, ids_BT)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    loss(after, ids_BT).backward()
    learning = {key: part for key, part in registry.module(ours.model).named_parameters() if part.requires_grad}
    assert len(learning) == 2 * len(blocks - {"lm_head"})
    assert all(part.grad.abs().sum() > 0 for key, part in learning.items() if "lora_B" in key)


GEMMA_LAYERS = ["full_attention", "sliding_attention", "sliding_attention"]
LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 3, "long_factor": [2.0] * 3}


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("gemma3", {"layer_types": GEMMA_LAYERS}, "windows in layers at no even interval"),
        ("gemma3", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ("gemma3", {"attn_logit_softcapping": 20.0}, "attn_logit_softcapping in a Gemma 3"),
        ("gemma2", {"hidden_activation": "silu"}, "hidden_activation 'silu'"),
        ("gemma2", {"attention_bias": True}, "attention_bias"),
        ("phi3", {"rope_parameters": LONGROPE}, "rope_short has 3 factors; .* needs 4"),
        ("phi3", {"rope_parameters": LONGROPE | {"attention_factor": 3.0}}, "an attention_factor of 3.0"),
        ("phi3", {"rope_parameters": None, "rope_scaling": {"type": "su"}}, "'su' without short_factor"),
        ("smollm3", {"no_rope_layers": [0, 1, 1]}, "no_rope_layers at no even interval"),
        ("smollm3", {"use_sliding_window": True, "sliding_window": 5}, "a window in layers without positions"),
        ("granite", {"mlp_bias": True}, "mlp_bias"),
        ("olmo2", {"attention_bias": True}, "attention_bias"),
        ("gpt_neox", {"hidden_act": "relu"}, "hidden_act 'relu'"),
        ("gpt_neox", {"attention_bias": False}, "attention_bias false"),
        ("gemma3", {"model_type": "gemma3"}, "model_type 'gemma3' is not known; known are llama, .*, gpt_neox, gpt2"),
    ],
)
def test_what_a_layout_may_have_and_thord_has_not_is_refused(
    name: str, changes: dict[str, object], said: str, foreign: Foreign, tmp_path: Path
) -> None:
    _, folder = foreign(name)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(ForeignModelError, match=said):
        importing.take(folder, tmp_path / "000001", 1)


@pytest.mark.parametrize(
    ("name", "old"),
    [
        (
            "gemma3",
            {
                "rope_parameters": None,
                "rope_theta": 5000.0,
                "rope_local_base_freq": 50.0,
                "rope_scaling": {"rope_type": "linear", "factor": 2.0},
                "layer_types": None,
                "sliding_window_pattern": 3,
            },
        ),
        ("phi3", {"rope_parameters": None, "rope_theta": 50.0, "partial_rotary_factor": 0.5}),
        (
            "phi3-long",
            {
                "rope_parameters": None,
                "rope_theta": 50.0,
                "rope_scaling": {key: decoders.LONG[key] for key in ("short_factor", "long_factor")} | {"type": "su"},
                "original_max_position_embeddings": 2,
            },
        ),
        ("gpt_neox", {"rope_parameters": None, "rotary_emb_base": 10000, "rotary_pct": 0.5}),
        ("smollm3", {"rope_parameters": None, "rope_theta": 2e6, "no_rope_layers": None}),
    ],
)
@torch.no_grad()
def test_settings_as_before_transformers_5_are_understood(
    name: str, old: dict[str, object], foreign: Foreign, tmp_path: Path
) -> None:
    theirs, folder = foreign(name)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | old))
    importing.take(folder, tmp_path / "000001", 1)
    ours = version.load(tmp_path / "000001", CPU).model
    torch.testing.assert_close(scores(ours, ids(2, 40)), theirs(ids(2, 40)).logits, atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_phi3_whose_context_is_what_it_was_trained_on_takes_its_short_factors(
    foreign: Foreign, tmp_path: Path
) -> None:
    _, folder = foreign("phi3-long")
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"original_max_position_embeddings": 64}))
    theirs = Phi3ForCausalLM.from_pretrained(folder).eval()
    importing.take(folder, tmp_path / "000001", 1)
    ours = version.load(tmp_path / "000001", CPU).model
    torch.testing.assert_close(scores(ours, ids(2, 40)), theirs(ids(2, 40)).logits, atol=1e-4, rtol=0)
