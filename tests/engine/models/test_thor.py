"""thor against transformers' Llama on the same weights, and against itself: packed, cached, counted."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.config.model import ModelSettings
from engine.families.table import FAMILIES
from engine.models import registry

VOCABULARY = 101
SETTINGS = ModelSettings(
    preset="tiny", hidden=48, layers=3, heads=6, kv_heads=2, feed_forward=80, context=64, rope_theta=5000.0
)


@pytest.fixture(scope="module")
def thor():
    model = registry.build(SETTINGS, VOCABULARY, seed=1)
    with torch.no_grad():
        for weight in model.parameters():  # far from the initial values, so that every norm and head matters
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())) * 0.1)
    return model.eval()


@pytest.fixture(scope="module")
def llama(thor):
    shape = SETTINGS.shape
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=shape.context,
        rms_norm_eps=SETTINGS.shape.norm_epsilon,
        rope_parameters={"rope_type": "default", "rope_theta": SETTINGS.shape.rope_theta},
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).eval()
    missing = model.load_state_dict(thor.state_dict(), strict=False)
    assert missing.unexpected_keys == []
    assert missing.missing_keys in ([], ["lm_head.weight"])
    return model


def tokens(*shape, seed=0):
    return torch.randint(0, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def one_document(tokens_BT):
    positions_BT = torch.arange(tokens_BT.shape[1]).expand_as(tokens_BT)
    return tokens_BT, positions_BT, torch.zeros_like(tokens_BT)


@torch.no_grad()
def test_logits_equal_those_of_llama(thor, llama) -> None:
    tokens_BT = tokens(3, 64)
    ours = thor.logits(thor.hidden(*one_document(tokens_BT)))
    torch.testing.assert_close(ours, llama(tokens_BT).logits, atol=1e-4, rtol=0)


@torch.no_grad()
def test_packed_documents_do_not_see_each_other(thor, llama) -> None:
    """A row of three documents gives each the logits that Llama gives it alone."""
    documents = [tokens(1, length, seed=length) for length in (7, 20, 13)]
    tokens_BT = torch.cat(documents, dim=1)
    positions_BT = torch.cat([torch.arange(d.shape[1]) for d in documents])[None]
    documents_BT = torch.cat([torch.full((d.shape[1],), n) for n, d in enumerate(documents)])[None]
    packed = thor.logits(thor.hidden(tokens_BT, positions_BT, documents_BT))
    alone = torch.cat([llama(document).logits for document in documents], dim=1)
    torch.testing.assert_close(packed, alone, atol=1e-4, rtol=0)

    changed_BT = tokens_BT.clone()
    changed_BT[0, :7] = (changed_BT[0, :7] + 1) % VOCABULARY
    again = thor.logits(thor.hidden(changed_BT, positions_BT, documents_BT))
    assert torch.equal(again[0, 7:], packed[0, 7:])
    assert not torch.equal(again[0, :7], packed[0, :7])


@torch.no_grad()
def test_a_future_token_changes_nothing_before_it(thor) -> None:
    tokens_BT = tokens(1, 40)
    before = thor.hidden(*one_document(tokens_BT))
    tokens_BT[0, 25] = (tokens_BT[0, 25] + 1) % VOCABULARY
    after = thor.hidden(*one_document(tokens_BT))
    assert torch.equal(before[0, :25], after[0, :25])
    assert not torch.equal(before[0, 25:], after[0, 25:])


@torch.no_grad()
def test_steps_through_the_cache_equal_one_pass(thor) -> None:
    """Rows in any order, of any age, one token or many at a time, in a cache that others used before."""
    tokens_BT = tokens(3, 30)
    whole = thor.hidden(*one_document(tokens_BT))
    cache = thor.make_cache(rows=5, length=40)
    cache.pool.memory.normal_(generator=torch.Generator().manual_seed(0))
    places = torch.tensor([4, 0, 2])
    first = thor.step(tokens_BT[:, :11], cache, places, torch.zeros(3, dtype=torch.long))
    torch.testing.assert_close(first, whole[:, :11], atol=1e-5, rtol=0)
    ages = torch.tensor([11, 11, 11])
    for moved in ([0, 1, 2], [0, 2], [2], [1, 2, 0]):
        ids = torch.stack([tokens_BT[row, ages[row]] for row in moved])[:, None]
        out = thor.step(ids, cache, places[moved], ages[moved])
        expected = torch.stack([whole[row, ages[row]] for row in moved])[:, None]
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
        ages[moved] += 1


@torch.no_grad()
def test_a_cache_is_never_outgrown(thor) -> None:
    with pytest.raises(ValueError, match="65"):
        thor.make_cache(rows=1, length=65)
    cache = thor.make_cache(rows=1, length=8)
    with pytest.raises(ValueError, match="9 positions"):
        thor.step(tokens(1, 3), cache, torch.tensor([0]), torch.tensor([6]))


def test_weights_depend_on_the_seed_only() -> None:
    one, same, other = (registry.build(SETTINGS, VOCABULARY, seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


@pytest.mark.parametrize("preset", FAMILIES["thor"].presets)
def test_parameter_counts_are_those_of_llama(preset) -> None:
    settings = ModelSettings.model_validate({"preset": preset})
    shape = settings.shape
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.feed_forward,
        tie_word_embeddings=shape.tied,
    )
    with torch.device("meta"):
        theirs = sum(weight.numel() for weight in LlamaForCausalLM(config).parameters())
    assert registry.parameter_count(settings, 8192) == theirs


@pytest.mark.parametrize(
    ("preset", "low", "high"),
    [
        ("tiny", 2e6, 5e6),
        ("base", 40e6, 60e6),
        ("800m", 0.75e9, 0.85e9),
        ("atlas-1.1b", 1.0e9, 1.1e9),
        ("1.5b", 1.45e9, 1.55e9),
    ],
)
def test_presets_are_of_the_size_their_name_says(preset: str, low: float, high: float) -> None:
    assert low < registry.parameter_count(ModelSettings.model_validate({"preset": preset}), 16_384) < high
