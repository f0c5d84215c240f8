"""Which layouts the families read, by their records, and that published models have the sizes that they are said to."""

import json
from pathlib import Path

import pytest

from engine.families.table import FAMILIES
from engine.families.thor import THOR
from engine.huggingface import model_layout
from engine.model_files import MODEL_TYPES
from engine.models import registry

GEMMA_3_1B = {
    "model_type": "gemma3_text",
    "hidden_size": 1152,
    "intermediate_size": 6912,
    "max_position_embeddings": 32768,
    "num_attention_heads": 4,
    "num_hidden_layers": 26,
    "num_key_value_heads": 1,
    "rope_local_base_freq": 10000,
    "rope_scaling": None,
    "rope_theta": 1000000,
    "sliding_window": 512,
    "sliding_window_pattern": 6,
}
GEMMA_2_2B = {
    "model_type": "gemma2",
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "max_position_embeddings": 8192,
    "num_attention_heads": 8,
    "num_hidden_layers": 26,
    "num_key_value_heads": 4,
    "sliding_window": 4096,
}
PHI_3_MINI = {
    "model_type": "phi3",
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "max_position_embeddings": 4096,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 32,
    "rope_scaling": None,
    "sliding_window": 2047,
}
SMOLLM3_3B = {
    "model_type": "smollm3",
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "max_position_embeddings": 65536,
    "num_attention_heads": 16,
    "num_hidden_layers": 36,
    "num_key_value_heads": 4,
    "no_rope_layers": [1, 1, 1, 0] * 9,
    "rope_theta": 5000000.0,
}
GRANITE_2B = {
    "model_type": "granite",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "max_position_embeddings": 131072,
    "num_attention_heads": 32,
    "num_hidden_layers": 40,
    "num_key_value_heads": 8,
    "tie_word_embeddings": True,
    "embedding_multiplier": 12.0,
    "attention_multiplier": 0.015625,
    "residual_multiplier": 0.22,
    "logits_scaling": 8.0,
}
OLMO_2_1B = {
    "model_type": "olmo2",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "max_position_embeddings": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 16,
    "num_key_value_heads": 16,
    "rope_theta": 500000,
}
PYTHIA_70M = {
    "model_type": "gpt_neox",
    "hidden_size": 512,
    "intermediate_size": 2048,
    "max_position_embeddings": 2048,
    "num_attention_heads": 8,
    "num_hidden_layers": 6,
    "rotary_pct": 0.25,
}


def test_what_is_said_at_once_of_a_model_type_is_what_the_families_read() -> None:
    layouts = [layout for family in FAMILIES.values() for layout in model_layout.of(family)]
    assert tuple(name for layout in layouts for name in layout.model_types) == MODEL_TYPES


@pytest.mark.parametrize(
    ("described", "vocabulary", "parameters"),
    [
        (GEMMA_3_1B, 262_144, 999_885_952),
        (GEMMA_2_2B, 256_000, 2_614_341_888),
        (PHI_3_MINI, 32_064, 3_821_079_552),
        (SMOLLM3_3B, 128_256, 3_075_098_624),
        (GRANITE_2B, 49_155, 2_533_531_648),
        (OLMO_2_1B, 100_352, 1_484_916_736),
        (PYTHIA_70M, 50_304, 70_426_624),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_a_published_model_has_its_published_size_and_is_written_in_its_layout(
    described: dict[str, object], vocabulary: int, parameters: int
) -> None:
    layout = next(each for each in model_layout.of(THOR) if described["model_type"] in each.model_types)
    settings = layout.read(json.dumps(described).encode(), Path("config.json"))
    assert registry.parameter_count(settings, vocabulary) == parameters
    taking = [each.write(settings.shape, "huggingface") for each in model_layout.of(THOR)]
    assert [each["model_type"] for each in taking if each] == [described["model_type"]]
