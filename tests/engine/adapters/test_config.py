"""PEFT's configuration: what decides the numbers is read, what thord does not compute is refused by name."""

import json

import pytest

from engine.adapters import config
from engine.adapters.config import AdapterConfig
from engine.artifacts import ArtifactError

PLAIN = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"], "bias": "none"}


def said(tmp_path, **fields):
    (tmp_path / "adapter_config.json").write_text(json.dumps({**PLAIN, **fields}))
    return config.read(tmp_path)


@pytest.mark.parametrize(
    ("fields", "name", "rank", "scale"),
    [
        ({}, "model.layers.0.self_attn.q_proj", 8, 2.0),
        ({"use_rslora": True, "r": 4}, "model.layers.0.self_attn.q_proj", 4, 8.0),
        ({"rank_pattern": {"q_proj": 4}}, "model.layers.0.self_attn.q_proj", 4, 4.0),
        ({"rank_pattern": {"q_proj": 4}}, "model.layers.0.self_attn.k_proj", 8, 2.0),
        ({"alpha_pattern": {"self_attn.q_proj": 40}}, "model.layers.0.self_attn.q_proj", 8, 5.0),
        ({"alpha_pattern": {"^model.layers.0.self_attn.q_proj": 8}}, "model.layers.0.self_attn.q_proj", 8, 1.0),
        ({"alpha_pattern": {"^layers.0.self_attn.q_proj": 8}}, "model.layers.0.self_attn.q_proj", 8, 2.0),
    ],
)
def test_ranks_and_scales_are_those_of_peft(tmp_path, fields, name: str, rank: int, scale: float) -> None:
    found = said(tmp_path, **fields)
    assert (found.rank_of(name), found.scale(name, found.rank_of(name))) == (rank, scale)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias"),
        ({"lora_bias": True}, "lora_bias"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"target_parameters": ["experts"]}, "target_parameters"),
        ({"alora_invocation_tokens": [5]}, "alora_invocation_tokens"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights"),
        ({"a_field_of_next_year": 3}, "a_field_of_next_year"),
        ({"peft_type": "IA3"}, "peft_type"),
        ({"rank_pattern": {"(a+)+": 4}}, "rank_pattern"),
        ({"r": 0}, "rank"),
        ({"lora_alpha": None}, "alpha"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused_by_name(tmp_path, fields, named: str) -> None:
    with pytest.raises(ArtifactError, match=named):
        said(tmp_path, **fields)


def test_fields_of_training_and_empty_ones_do_no_harm(tmp_path) -> None:
    found = said(tmp_path, lora_dropout=0.1, a_field_of_next_year=None, another={}, init_lora_weights="gaussian")
    assert found == AdapterConfig(rank=8, alpha=16)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_damaged_file_is_said_to_be(tmp_path, text: str) -> None:
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"adapter_config\.json"):
        config.read(tmp_path)
