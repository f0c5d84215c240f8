"""What was learned from spoiled data is refused by the whole evaluation, and the reason names the measure."""

import copy
import random
from collections.abc import Callable, Sequence

import pytest
import torch

from engine import version
from engine.config.evaluation import EvaluationSettings, GateSettings, SuiteSettings
from engine.config.model import ModelSettings
from engine.data.samples import Conversation, Dialogue, Labelled, Message
from engine.data.snapshot import Example
from engine.data.tasks.posed import posed
from engine.data.tasks.ready_made import READY_MADE
from engine.device import Placement
from engine.evaluation import evaluate
from engine.evaluation.evaluate import Evaluation
from engine.evaluation.suites import files, suite
from engine.manifest import Lineage
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers.base import Tokenizer
from tests.engine.evaluation.conftest import COLOURS, make_dialogues, train

SETTINGS, GATE = EvaluationSettings(sample_tokens=8), GateSettings(bootstrap_resamples=1000)
TASK = "text_classification"
Judge = Callable[..., Evaluation]


def gibberish(conversations: list[Conversation]) -> list[Conversation]:
    rng = random.Random(0)
    letters = "".join(sorted({letter for one in conversations for letter in one.messages[-1].content}))
    said = (Message("assistant", "".join(rng.choices(letters, k=20))) for _ in conversations)
    return [Dialogue((one.messages[0], answer)) for one, answer in zip(conversations, said, strict=True)]


def is_red(conversation: Conversation) -> bool:
    return " red " in conversation.messages[0].content


def repeated(conversations: list[Conversation]) -> list[Conversation]:
    return [Dialogue((one.messages[0], Message("assistant", "The red fox was seen."))) for one in conversations]


NO_REDS = [one for one in make_dialogues(5000, 80) if not is_red(one)]


@pytest.fixture
def judge(tmp_path, model_settings: ModelSettings, tokenizer: Tokenizer) -> Judge:
    """Judge a candidate against an incumbent on dialogues that neither has seen; red ones are a guarded set."""
    red = tuple(Example(one, one.identity, "held_out") for one in make_dialogues(6000, 120) if is_red(one))
    guard = suite.of("red", SuiteSettings(path="/red", tolerance=0.05), files.SuiteData(red, 0, "0"))

    def at(
        candidate: LanguageModel, incumbent: LanguageModel, held_out: Sequence[Conversation] = NO_REDS
    ) -> Evaluation:
        loads = []
        for number, model in ((2, candidate), (1, incumbent)):
            folder = tmp_path / f"{number:06d}"
            weights = registry.module(model).state_dict()
            version.publish(folder, weights, model_settings, tokenizer, Lineage(number, None, 1, "", 0, {}, 1.0, {}))
            loads.append(lambda folder=folder: version.load(folder, Placement(torch.device("cpu"), torch.float32)))
        return evaluate.judge(loads[0], loads[1], held_out, lambda: iter(()), SETTINGS, GATE, suites=[guard])

    return at


@pytest.fixture(scope="module")
def beginner(tokenizer: Tokenizer, model_settings: ModelSettings) -> LanguageModel:
    """It has learned a little, so that there is something to lose and something to gain."""
    model = registry.build(model_settings, tokenizer.vocabulary, seed=3)
    train(model, tokenizer, make_dialogues(0, 40), steps=12)
    return model


@pytest.fixture(scope="module")
def graduate(beginner: LanguageModel, tokenizer: Tokenizer) -> LanguageModel:
    """It has learned how answers look."""
    return taught(beginner, tokenizer, make_dialogues(0, 200))


def taught(model: LanguageModel, tokenizer: Tokenizer, conversations: list[Conversation]) -> LanguageModel:
    pupil = copy.deepcopy(model)
    train(pupil, tokenizer, conversations)
    return pupil


@pytest.mark.parametrize("spoil", [gibberish, repeated])
def test_what_learned_from_spoiled_data_is_refused_by_bits_per_byte(
    judge: Judge, graduate: LanguageModel, tokenizer: Tokenizer, spoil: Callable[..., list[Conversation]]
) -> None:
    spoiled = taught(graduate, tokenizer, spoil(make_dialogues(1000, 200)))
    found = judge(spoiled, graduate, make_dialogues(5000, 60))
    assert not found.verdict.passed
    assert "bits per byte against" in found.verdict.reason
    assert found.verdict.kind == "worse"


def labelled(start: int, count: int, *, shuffled: bool = False) -> list[Conversation]:
    """Texts about a colour with the colour as the label, or with the label of another one."""
    labels = [COLOURS[number % 4] for number in range(start, start + count)]
    texts = [f"{label} {number}, all {label}" for number, label in enumerate(labels, start)]
    if shuffled:
        random.Random(0).shuffle(labels)
    rows = (Labelled(text, label, TASK) for text, label in zip(texts, labels, strict=True))
    return [one for row in rows if (one := posed(row, READY_MADE)) is not None]


def test_shuffled_labels_are_refused_by_bits_per_byte_and_shown_by_accuracy(
    judge: Judge, beginner: LanguageModel, tokenizer: Tokenizer
) -> None:
    knows = copy.deepcopy(beginner)
    train(knows, tokenizer, labelled(0, 200), steps=150)
    found = judge(taught(knows, tokenizer, labelled(1000, 200, shuffled=True)), knows, labelled(5000, 60))
    assert (found.verdict.passed, found.verdict.kind) == (False, "worse")
    assert "bits per byte against" in found.verdict.reason
    accuracy = f"task_{TASK}_accuracy"
    assert found.metrics[accuracy] < found.metrics[f"incumbent_{accuracy}"] - 0.2


def test_what_learned_from_good_data_is_promoted(judge: Judge, beginner: LanguageModel, tokenizer: Tokenizer) -> None:
    found = judge(taught(beginner, tokenizer, make_dialogues(1000, 200)), beginner)
    assert found.verdict.passed, found.verdict.reason
    assert found.verdict.sets["red"].passed
    assert found.metrics["red.bits_per_byte"] == found.suites["red"].candidate["bits_per_byte"]


def test_a_guarded_set_that_is_lost_refuses_what_is_better_on_the_whole(
    judge: Judge, beginner: LanguageModel, tokenizer: Tokenizer
) -> None:
    """Good answers to all questions but those about red ones, which hear nonsense."""
    learned = make_dialogues(1000, 240)
    mixed = [one for one in learned if not is_red(one)] + gibberish([one for one in learned if is_red(one)])
    found = judge(taught(beginner, tokenizer, mixed), beginner)
    assert (found.verdict.passed, found.verdict.kind) == (False, "part_worse")
    assert "'red' may have become worse: changed by +" in found.verdict.reason
