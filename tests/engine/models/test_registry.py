"""What every family promises: causal, blind across documents, the same through its cache, alone or among neighbours."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import device
from engine.config.model import ModelSettings
from engine.families.table import FAMILIES
from engine.models import registry
from engine.models.base import LanguageModel

VOCABULARY = 71
DECODER = {"hidden": 32, "layers": 2, "heads": 4, "context": 96}
THOR = {**DECODER, "kv_heads": 2, "feed_forward": 48}
OTHER = {
    "head_width": 12,
    "tied": False,
    "qkv_bias": True,
    "qk_norm": True,
    "rope_scaling": "linear",
    "rope_factor": 2.0,
}
GEMMA = {
    "window": 9,
    "global_interval": 2,
    "rope_local_theta": 50.0,
    "norm_kind": "rms_offset",
    "norm_placement": "sandwich",
    "mlp": "geglu",
    "attention_multiplier": 0.4,
    "attention_softcap": 5.0,
    "embedding_multiplier": 3.0,
    "logits_softcap": 8.0,
}
NEOX = {
    "kv_heads": 4,
    "partial_rotary": 0.5,
    "norm_kind": "layer",
    "linear_bias": True,
    "projections": "fused_by_head",
    "mlp": "gelu",
    "parallel_residual": True,
    "logits_divisor": 2.0,
}
MODELS = {
    "thor": THOR,
    "thor-window": {**THOR, "window": 9},
    "thor-other": {**THOR, **OTHER},
    "thor-gemma": {**THOR, **GEMMA},
    "thor-fused": {**THOR, "projections": "fused", "nope_interval": 2, "residual_multiplier": 0.5},
    "thor-post": {**THOR, "norm_placement": "post", "qk_norm": True, "qk_norm_scope": "projection"},
    "thor-neox": {**THOR, **NEOX},
    "gpt2": DECODER,
    "char_lstm": {"hidden": 24, "layers": 2, "context": 96},
    "char_lstm-free": {"hidden": 24, "layers": 1, "context": 96, "tied": False},
    "agiformer": {**DECODER, "feed_forward": 48, "window": 5},
    "agiformer-thoughtless": {**DECODER, "feed_forward": 48, "thinking_steps": 0},
}


def settings_of(name, **more):
    return ModelSettings.model_validate({"family": name.split("-")[0], **MODELS[name], **more})


@pytest.fixture(scope="module", params=MODELS)
def name(request: pytest.FixtureRequest):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    made = registry.build(settings_of(name), VOCABULARY, seed=1)
    with torch.no_grad():
        for weight in made.parameters():  # far from the initial values, so that every part matters
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())) * 0.2)
    return registry.module(made).eval().requires_grad_(requires_grad=False)


def tokens(*shape, seed=0):
    return torch.randint(0, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def hidden(model, tokens_BT):
    return model.hidden(tokens_BT, torch.arange(tokens_BT.shape[1]).expand_as(tokens_BT), torch.zeros_like(tokens_BT))


@pytest.mark.parametrize("changed", range(17, 26))
def test_a_later_token_changes_nothing_before_it(model: LanguageModel, changed: int) -> None:
    """For every place in a patch, and bit for bit."""
    tokens_BT = tokens(2, 40)
    before = hidden(model, tokens_BT)
    tokens_BT[0, changed] = (tokens_BT[0, changed] + 1) % VOCABULARY
    after = hidden(model, tokens_BT)
    assert torch.equal(before[0, :changed], after[0, :changed])
    assert torch.equal(before[1], after[1])
    assert not torch.equal(before[0, changed], after[0, changed])


@given(st.lists(st.lists(st.integers(1, 13), min_size=1, max_size=5), min_size=1, max_size=3))
@settings(max_examples=12, deadline=None)
def test_a_packed_document_is_as_if_alone(name, model: LanguageModel, rows: int) -> None:
    width = max(sum(lengths) for lengths in rows) + 2
    tokens_BT, positions_BT, documents_BT = tokens(len(rows), width), *(torch.zeros(2, len(rows), width).long())
    for row, lengths in enumerate(rows):
        at = 0
        for number, length in enumerate(lengths):
            positions_BT[row, at:] = torch.arange(width - at)
            documents_BT[row, at:] = number
            at += length
    together = model.hidden(tokens_BT, positions_BT, documents_BT)
    for row, lengths in enumerate(rows):
        at = 0
        for length in lengths:
            alone = hidden(model, tokens_BT[row : row + 1, at : at + length])[0]
            torch.testing.assert_close(together[row, at : at + length], alone, atol=2e-5, rtol=1e-4)
            at += length


@given(st.lists(st.integers(1, 14), min_size=1, max_size=12), st.integers(0, 3))
@settings(max_examples=12, deadline=None)
def test_steps_of_any_length_equal_one_pass(name, model: LanguageModel, pieces: list[int], row: int) -> None:
    tokens_BT = tokens(4, min(sum(pieces), 96), seed=len(pieces))
    whole = hidden(model, tokens_BT)
    cache = model.make_cache(rows=5, length=96)
    model.step(tokens(4, 9), cache, torch.tensor([3, 0, 4, 1]), torch.zeros(4).long())  # used before
    at = 0
    for piece in pieces:
        piece = min(piece, tokens_BT.shape[1] - at)
        if piece:
            ids = tokens_BT[row : row + 1, at : at + piece]
            out = model.step(ids, cache, torch.tensor([row]), torch.tensor([at]))
            torch.testing.assert_close(out, whole[row : row + 1, at : at + piece], atol=2e-5, rtol=1e-4)
            at += piece


@pytest.mark.parametrize("length", [1, 6])
def test_rows_do_not_depend_on_their_neighbours(model: LanguageModel, length: int) -> None:
    """Four rows of different ages: what comes out for the first is the same, whatever the other three are."""
    outs = []
    for seed, ages in ((1, [7, 0, 30, 12]), (2, [7, 2, 5, 50]), (3, [7, 7, 7, 7])):
        cache = model.make_cache(rows=4, length=96)
        for row, age in enumerate(ages):
            if age:
                ids = tokens(1, age, seed=0 if row == 0 else seed * 10 + row)
                model.step(ids, cache, torch.tensor([row]), torch.tensor([0]))
        now = torch.cat([tokens(1, length, seed=5), tokens(3, length, seed=seed)])
        outs.append(model.step(now, cache, torch.arange(4), torch.tensor(ages))[0])
    assert torch.equal(outs[0], outs[1])
    assert torch.equal(outs[0], outs[2])


@pytest.mark.parametrize("length", [1, 4, 30, 41])
def test_a_copied_row_goes_on_as_its_source_would(model: LanguageModel, length: int) -> None:
    ids, more = tokens(1, 41), tokens(1, 9, seed=2)
    cache, alone = model.make_cache(rows=4, length=96), model.make_cache(rows=1, length=96)
    model.step(tokens(4, 60, seed=3), cache, torch.arange(4), torch.zeros(4).long())  # used before
    if not cache.rewinds:
        length = 41
        with pytest.raises(ValueError, match="60 positions to 41"):
            cache.copy(2, 1, 41)
    model.step(ids, cache, torch.tensor([2]), torch.tensor([0]))
    cache.copy(2, 1, length)
    model.step(ids[:, :length], alone, torch.tensor([0]), torch.tensor([0]))
    expected = model.step(more, alone, torch.tensor([0]), torch.tensor([length]))
    found = model.step(more, cache, torch.tensor([1]), torch.tensor([length]))
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_a_cache_is_never_outgrown(model: LanguageModel) -> None:
    with pytest.raises(ValueError, match="97"):
        model.make_cache(rows=1, length=97)
    cache = model.make_cache(rows=1, length=8)
    model.step(tokens(1, 6), cache, torch.tensor([0]), torch.tensor([0]))
    with pytest.raises(ValueError, match="9 positions"):
        model.step(tokens(1, 3), cache, torch.tensor([0]), torch.tensor([6]))


def test_another_familys_cache_is_refused(model: LanguageModel) -> None:
    with pytest.raises(TypeError):
        model.step(tokens(1, 1), object(), torch.tensor([0]), torch.tensor([0]))


def test_weights_depend_on_the_seed_only(name) -> None:
    one, same, other = (registry.build(settings_of(name), VOCABULARY, seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_a_skeleton_filled_with_the_weights_is_the_model(name, model: LanguageModel) -> None:
    again = registry.skeleton(settings_of(name), VOCABULARY)
    registry.fill(again, model.state_dict())
    tokens_BT = tokens(2, 30)
    assert torch.equal(hidden(registry.module(again).eval(), tokens_BT), hidden(model, tokens_BT))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_learns_a_sequence_by_heart(name, dtype: torch.dtype) -> None:
    if dtype == torch.bfloat16 and name.startswith("char_lstm") and not device.capabilities("cpu").trains_lstm_bf16:
        pytest.skip("this processor has no LSTM in bf16, and training one so is refused")
    made = registry.build(settings_of(name, dropout=0.1 if name == "thor" else 0.0), VOCABULARY, seed=2)
    module = registry.module(made).train()
    tokens_BT = tokens(2, 25, seed=3)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            scores = made.logits(hidden(made, tokens_BT[:, :-1]).flatten(0, 1)).float()
        loss = torch.nn.functional.cross_entropy(scores, tokens_BT[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_it_computes_in_bfloat16(name, model: LanguageModel) -> None:
    low = registry.skeleton(settings_of(name), VOCABULARY)
    registry.fill(low, {key: weight.bfloat16() for key, weight in model.state_dict().items()})
    registry.module(low).eval()
    cache = low.make_cache(rows=2, length=40)
    tokens_BT = tokens(1, 20)
    out = low.step(tokens_BT, cache, torch.tensor([1]), torch.tensor([0]))
    assert out.dtype == low.logits(out[0]).dtype == torch.bfloat16
    exact = hidden(model, tokens_BT)
    assert (out - exact).abs().mean() < 0.1 * exact.abs().mean()


@pytest.mark.parametrize(
    ("family", "preset", "vocabulary", "low", "high"),
    [
        ("gpt2", "124m", 50257, 124_439_808, 124_439_808),
        ("gpt2", "355m", 50257, 354_823_168, 354_823_168),
        ("gpt2", "774m", 50257, 774_030_080, 774_030_080),
        ("char_lstm", "small", 264, 4e6, 5e6),
        ("agiformer", "base", 264, 25e6, 35e6),
        ("thor", "atlas-1.1b", 32_000, 1_100_048_384, 1_100_048_384),
        ("thor", "1.5b", 32_000, 1.45e9, 1.6e9),
    ],
)
def test_presets_have_the_size_their_name_says(
    family: str, preset: str, vocabulary: int, low: float, high: float
) -> None:
    """Those of GPT-2 and of TinyLlama's shape are the published counts."""
    settings = ModelSettings(family=family, preset=preset)
    assert low <= registry.parameter_count(settings, vocabulary) <= high


@pytest.mark.parametrize("preset", FAMILIES["thor"].presets)
def test_a_thor_of_every_size_is_built_without_memory_and_counts_as_its_shape_says(preset) -> None:
    """Closed form: embedding, head if it is another, and for each block two norms, q, k, v, o and three of SwiGLU."""
    settings, vocabulary = ModelSettings(preset=preset), 32_000
    shape = settings.shape
    hidden, keys = shape.hidden, shape.hidden // shape.heads * shape.kv_heads
    block = 2 * hidden + 2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * shape.feed_forward
    tables = vocabulary * hidden * (1 if shape.tied else 2)
    weights = list(registry.skeleton(settings, vocabulary).parameters())
    assert {weight.device.type for weight in weights} == {"meta"}
    assert sum(weight.numel() for weight in weights) == tables + shape.layers * block + hidden


def test_every_preset_can_be_built() -> None:
    for family, facts in FAMILIES.items():
        settings = [ModelSettings(family=family, preset=preset) for preset in facts.presets]
        counts = [registry.parameter_count(each, 8192) for each in settings]
        assert counts == sorted(counts)


def test_written_out_settings_make_the_same_model(name) -> None:
    settings = settings_of(name)
    assert settings.resolved.shape == settings.shape
    assert ModelSettings.model_validate_json(settings.resolved.model_dump_json()).shape == settings.shape


def test_weights_of_an_lstm_are_put_side_by_side_once_they_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """As cuDNN wants them; from elsewhere it copies them in every call."""
    settings, found = ModelSettings(family="char_lstm", preset="tiny", hidden=16), []

    def note(lstm):
        found.append({weight.device.type for weight in lstm.parameters()})

    weights = registry.module(registry.build(settings, 300, seed=1)).state_dict()
    model = registry.skeleton(settings, 300)
    monkeypatch.setattr(torch.nn.LSTM, "flatten_parameters", note)
    registry.fill(model, weights)
    assert found == [{"cpu"}]
