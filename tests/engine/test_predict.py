"""Every kind of task answered in the process, by a model of random weights: the form is what is promised."""

import math
from collections.abc import Iterator

import pytest

from engine.config.model import ModelSettings
from engine.config.tasks import TaskSettings, tasks_of
from engine.inference.requests import PromptTooLongError
from engine.inference.versions.loaded_model import LoadedModel
from engine.predict import Predictor
from engine.tasks.asking import AskedWronglyError, Input
from engine.tokenizers import bpe
from tests.engine.inference.conftest import make_loaded

TEXT = "Ann met Bob in Oban, \U0001f600 a\u0301 town."
TABLES = {
    "mood": TaskSettings(kind="classify", labels=("sad", "glad", "glad to go")),
    "fair": TaskSettings(kind="classify", labels=("sad", "glad"), prior_correction=True),
    "best": TaskSettings(kind="rank"),
}


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    tokenizer = bpe.train([f"{TEXT} sad glad none person location "] * 20, vocabulary=330, sample_bytes=1 << 20)
    shape = ModelSettings(hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=64, context=400)
    return make_loaded(1, shape, tokenizer)


@pytest.fixture(scope="module")
def predictor(loaded: LoadedModel) -> Iterator[Predictor]:
    with Predictor(loaded, tasks_of(TABLES)) as made:
        yield made


def test_a_batch_of_classes_is_what_each_gets_alone(predictor: Predictor) -> None:
    texts = [f"{TEXT} {number}" for number in range(20)]
    together = predictor.predict_all(texts, task="mood")
    for text, found in zip(texts, together, strict=True):
        probabilities = found["probabilities"]
        assert set(probabilities) == {"sad", "glad", "glad to go"}
        assert math.fsum(probabilities.values()) == pytest.approx(1)
        assert found["predicted_class"] == max(probabilities, key=probabilities.__getitem__)
        assert found == predictor.predict(text, task="mood") | {"probabilities": pytest.approx(probabilities, abs=1e-5)}


def test_candidates_are_put_in_the_same_order_however_they_come(predictor: Predictor) -> None:
    one, other = (predictor.predict("Oh!", task="best", candidates=names) for names in (("a", "b"), ("b", "a")))
    assert [each["text"] for each in one["ranking"]] == [each["text"] for each in other["ranking"]]
    assert sum(each["probability"] for each in one["ranking"]) == pytest.approx(1)


def test_a_text_that_says_nothing_is_even_after_prior_correction(predictor: Predictor) -> None:
    found = predictor.predict("N/A", task="fair")["probabilities"]
    assert list(found.values()) == pytest.approx([0.5, 0.5], abs=1e-4)


def test_labels_can_come_with_the_question(predictor: Predictor) -> None:
    assert predictor.predict("a", task="intent_detection", labels=["buy", "go"])["predicted_class"] in ("buy", "go")


def test_spans_are_words_of_the_text(predictor: Predictor) -> None:
    found = predictor.predict("Who?", task="question_answering", text_pair=TEXT)
    for span in found["spans"]:
        assert TEXT[span["start"] : span["end"]] == span["text"]
    tagged = predictor.predict(TEXT, task="named_entity_recognition")
    assert all(TEXT[word["start"] : word["end"]] == word["text"] for word in tagged["tags"])
    assert all(TEXT[span["start"] : span["end"]] == span["text"] for span in tagged["spans"])
    assert [word["text"] for word in tagged["tags"]][:3] == ["Ann", "met", "Bob"]


def test_texts_are_generated(predictor: Predictor) -> None:
    pair = [Input("Ann", "met"), Input("Bob", "met")]
    assert all(answer["generated_text"] is not None for answer in predictor.predict_all(pair, task="long_context_qa"))
    assert isinstance(predictor.predict("Ann", task="text_generation", max_tokens=3)["generated_text"], str)


def test_mistakes_are_explained(predictor: Predictor) -> None:
    with pytest.raises(AskedWronglyError, match="there is no task 'nothing'; there are text_generation"):
        predictor.predict("a", task="nothing")
    with pytest.raises(ValueError, match="maximum context length is 400"):
        predictor.predict("a " * 900, task="mood")


def test_one_bad_text_of_a_batch_is_named_and_the_others_are_answered(predictor: Predictor) -> None:
    texts = ["fine", "  ", TEXT * 60, "fine too"]
    found = predictor.predict_all(texts, task="mood")
    alone = [predictor.predict(text, task="mood") for text in ("fine", "fine too")]
    assert [found[0]["predicted_class"], found[3]["predicted_class"]] == [one["predicted_class"] for one in alone]
    assert found[1] == {"task": "mood", "error": {"message": "the input is empty", "param": "input"}}
    assert "maximum context length is 400" in found[2]["error"]["message"]
    tagged = predictor.predict_all(["a" * 70_000, "Ann"], task="named_entity_recognition")
    assert "error" in tagged[0]
    assert [word["text"] for word in tagged[1]["tags"]] == ["Ann"]


def test_what_is_wrong_with_all_of_a_batch_is_raised(predictor: Predictor) -> None:
    with pytest.raises(AskedWronglyError, match="has no labels"):
        predictor.predict_all(["a", "b"], task="intent_detection")
    with pytest.raises(AskedWronglyError, match="the input is empty"):
        predictor.predict(" ", task="mood")
    with pytest.raises(PromptTooLongError):
        predictor.predict(TEXT * 60, task="mood")
    assert all("error" in each for each in predictor.predict_all(["", " "], task="mood"))
    assert predictor.predict_all([], task="mood") == []
