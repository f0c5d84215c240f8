import copy
import math
import random
import weakref
from collections.abc import Callable, Iterator

import pytest

from engine.config.evaluation import EvaluationSettings, GateSettings
from engine.config.inference import Quantization
from engine.config.model import ModelSettings
from engine.data.held_out import is_sealed
from engine.data.samples import Conversation, Dialogue, Message, Text
from engine.data.snapshot import Example
from engine.evaluation import evaluate
from engine.evaluation.measures.bits_per_byte import BITS_PER_BYTE
from engine.evaluation.results import Results
from engine.manifest import VersionManifest
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers.base import Tokenizer
from engine.version import LoadedVersion, VersionConfig

SETTINGS, GATE = EvaluationSettings(sample_tokens=12), GateSettings(bootstrap_resamples=1000)
Version = Callable[[LanguageModel, int], LoadedVersion]


Dialogues = Callable[[int, int], list[Conversation]]
Training = Callable[[], Iterator[Example]]


@pytest.fixture
def held_out(dialogues: Dialogues) -> list[Conversation]:
    return dialogues(5000, 30)


def examples(conversations: list[Conversation]) -> list[Example]:
    return [Example(conversation, conversation.identity, "held_out") for conversation in conversations]


@pytest.fixture
def training(dialogues: Dialogues) -> Training:
    return lambda: (Example(conversation, conversation.identity, "new") for conversation in dialogues(0, 60))


@pytest.fixture
def version(tokenizer: Tokenizer, model_settings: ModelSettings) -> Version:
    def load(model: LanguageModel, number: int) -> LoadedVersion:
        manifest = VersionManifest(
            version=number,
            parent=None,
            cycle=number,
            created_at="",
            family="thor",
            parameters=0,
            tokenizer_sha256="",
            snapshot_sha256="",
            seed=0,
            settings={},
            libraries={},
            training_seconds=0,
            metrics={},
            files={},
        )
        config = VersionConfig(family="thor", model=model_settings, vocabulary=tokenizer.vocabulary, tokenizer="bpe")
        return LoadedVersion(manifest, config, model, tokenizer)

    return load


def bits_per_byte(version: LoadedVersion, conversations: list[Conversation]) -> float:
    return BITS_PER_BYTE.value(Results(evaluate.measure_version(version, conversations, SETTINGS)))


def test_a_version_that_learned_is_promoted_over_one_that_did_not(
    version: Version, model: LanguageModel, untrained: LanguageModel, held_out: list[Conversation], training: Training
) -> None:
    found = evaluate.judge(lambda: version(model, 2), lambda: version(untrained, 1), held_out, training, SETTINGS, GATE)
    assert found.verdict.passed, found.verdict.reason
    assert found.verdict.against == "version 1"
    assert found.metrics["bits_per_byte"] < found.metrics["incumbent_bits_per_byte"]
    assert found.metrics["conversations"] == 30
    assert not any(name.startswith("replay_") for name in found.metrics)
    assert "was seen." in found.samples[0].candidate
    assert found.samples[0].incumbent != found.samples[0].candidate


def test_with_the_sides_changed_the_figures_change_sides_and_it_is_rejected(
    version: Version, model: LanguageModel, untrained: LanguageModel, held_out: list[Conversation], training: Training
) -> None:
    found = evaluate.judge(lambda: version(untrained, 2), lambda: version(model, 1), held_out, training, SETTINGS, GATE)
    assert not found.verdict.passed
    assert found.verdict.overall.difference > 1


def test_the_first_version_has_to_beat_the_unigram_baseline(
    version: Version, model: LanguageModel, untrained: LanguageModel, held_out: list[Conversation], training: Training
) -> None:
    learned, ignorant = (
        evaluate.judge(lambda m=m: version(m, 1), None, held_out, training, SETTINGS, GATE).verdict
        for m in (model, untrained)
    )
    assert learned.passed
    assert not ignorant.passed
    assert learned.against == ignorant.against == "the unigram baseline"
    assert learned.overall.incumbent == ignorant.overall.incumbent


def test_forgetting_is_measured_on_what_was_held_out_earlier_and_on_what_was_replayed(
    version: Version, model: LanguageModel, untrained: LanguageModel, held_out: list[Conversation], dialogues: Dialogues
) -> None:
    earlier = {conversation.identity for conversation in held_out[::3]}
    found = evaluate.judge(
        lambda: version(untrained, 2),
        lambda: version(model, 1),
        held_out,
        lambda: (Example(c, c.identity, "replay") for c in dialogues(0, 60)),
        SETTINGS,
        GATE,
        earlier=earlier,
    )
    for prefix, conversations in (("earlier", held_out[::3]), ("replay", dialogues(0, 60))):
        after, before = (bits_per_byte(version(one, 1), conversations) for one in (untrained, model))
        assert found.metrics[f"{prefix}_bits_per_byte"] == pytest.approx(after)
        assert found.metrics[f"incumbent_{prefix}_bits_per_byte"] == pytest.approx(before)
        if prefix == "earlier":
            assert found.metrics["forgetting_bits_per_byte"] == pytest.approx(after - before)
    assert found.metrics["forgetting_bits_per_byte"] > 1


@pytest.mark.parametrize(("quantization", "most"), [("int8", 0.01), ("int4", 0.5)])
def test_what_quantization_costs_is_measured_and_decides_nothing(
    version: Version,
    model: LanguageModel,
    held_out: list[Conversation],
    training: Training,
    quantization: Quantization,
    most: float,
) -> None:
    plain = evaluate.judge(lambda: version(model, 1), None, held_out, training, SETTINGS, GATE)
    other = copy.deepcopy(model)
    found = evaluate.judge(
        lambda: version(other, 1), None, held_out, training, SETTINGS, GATE, quantization=quantization
    )
    assert found.verdict == plain.verdict
    assert found.samples == plain.samples
    lost = found.metrics.pop("quantization_loss_bits_per_byte")
    rounded = found.metrics.pop("quantized_bits_per_byte")
    assert found.metrics == plain.metrics
    assert lost == pytest.approx(rounded - plain.metrics["bits_per_byte"])
    assert rounded == pytest.approx(bits_per_byte(version(other, 1), held_out))
    assert 0 < abs(lost) < most


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_a_version_that_computes_no_numbers_is_turned_down_with_figures_that_are(
    version: Version, model: LanguageModel, held_out: list[Conversation], training: Training, quantization: Quantization
) -> None:
    """Others read the figures as JSON, which has no word for what is none."""
    broken = copy.deepcopy(model)
    for weight in registry.module(broken).parameters():
        weight.data.fill_(math.nan)
    found = evaluate.judge(
        lambda: version(broken, 1), None, held_out[:8], training, SETTINGS, GATE, quantization=quantization
    )
    assert not found.verdict.passed
    assert all(math.isfinite(value) for value in found.metrics.values())


def test_only_one_version_is_in_memory_at_a_time(
    version: Version,
    tokenizer: Tokenizer,
    model_settings: ModelSettings,
    held_out: list[Conversation],
    training: Training,
) -> None:
    alive: list[weakref.ref[object]] = []

    def load(number: int) -> LoadedVersion:
        assert all(reference() is None for reference in alive)
        model = registry.build(model_settings, tokenizer.vocabulary, seed=number)
        alive.append(weakref.ref(registry.module(model).eval()))
        return version(model, number)

    evaluate.judge(lambda: load(2), lambda: load(1), held_out[:8], training, SETTINGS, GATE)
    assert len(alive) == 2


def test_nothing_held_out_is_a_rejection(version: Version, model: LanguageModel, training: Training) -> None:
    found = evaluate.judge(lambda: version(model, 1), None, [], training, SETTINGS, GATE)
    assert not found.verdict.passed
    assert "only 0 held-out conversations" in found.verdict.reason


def test_the_choice_depends_on_content_only(dialogues: Dialogues) -> None:
    held_out = examples(dialogues(0, 50))
    chosen = evaluate.choose(held_out, 20)
    random.Random(1).shuffle(held_out)
    assert evaluate.choose(held_out, 20) == chosen
    assert set(chosen) & set(evaluate.choose(held_out + examples(dialogues(50, 2)), 20)) >= set(chosen[:18])


def test_gates_read_what_is_sealed_only_while_there_is_little_else(dialogues: Dialogues) -> None:
    held_out = examples(dialogues(0, 60))
    kept = [example for example in held_out if is_sealed(example.identity)]
    read, sealed = evaluate.divide(held_out, 60 - len(kept))
    assert (sealed, len(read) + len(sealed)) == (kept, 60)
    assert not [example for example in read if is_sealed(example.identity)]
    read, sealed = evaluate.divide(held_out, 62 - len(kept))
    assert (sealed, len(read)) == ([], 62 - len(kept))  # all others, and two that would be sealed
    assert len([example for example in read if is_sealed(example.identity)]) == 2
    read, sealed = evaluate.divide(held_out, 100)
    assert (sealed, read) == ([], evaluate.choose(held_out, 100))


def test_what_has_nothing_to_score_is_not_chosen(held_out: list[Conversation]) -> None:
    silent = Dialogue(messages=(Message("user", "Hello?"),))
    assert evaluate.choose(examples([silent, *held_out[:1]]), 10) == examples(held_out[:1])


def test_measures_are_sliced_by_kind_and_by_source(
    version: Version, model: LanguageModel, untrained: LanguageModel, held_out: list[Conversation], training: Training
) -> None:
    texts = [Text(text=f"A plain text, number {number}.") for number in range(6)]
    sources = {one.identity: f"book.txt:{number}" for number, one in enumerate(texts)}
    found = evaluate.judge(
        lambda: version(model, 2),
        lambda: version(untrained, 1),
        [*held_out, *texts],
        training,
        SETTINGS,
        GATE,
        sources=sources,
    )
    assert {name: each.samples for name, each in found.slices["kind"].items()} == {"chat": 30, "text": 6}
    assert found.slices["source"].keys() == {"book.txt"}
    assert found.slices["source"]["book.txt"] == found.slices["kind"]["text"]
    assert found.slices["kind"]["chat"].candidate["bits_per_byte"] == found.verdict.slices["chat"].candidate
    assert found.slices["kind"]["text"].incumbent["bits_per_byte"] == pytest.approx(
        bits_per_byte(version(untrained, 1), texts)
    )


def test_progress_is_told_of_every_part(
    version: Version, model: LanguageModel, untrained: LanguageModel, held_out: list[Conversation], training: Training
) -> None:
    told: list[tuple[str, int, int]] = []

    def advance(activity: str, done: int, total: int) -> None:
        told.append((activity, done, total))

    evaluate.judge(
        lambda: version(model, 2), lambda: version(untrained, 1), held_out, training, SETTINGS, GATE, advance
    )
    for who in ("the candidate", "the incumbent"):
        parts = [(done, total) for activity, done, total in told if activity == f"measuring {who}"]
        assert parts == sorted(parts)
        assert parts[-1][0] == parts[-1][1] > 0, "all of it"
    assert len(told) > 10
