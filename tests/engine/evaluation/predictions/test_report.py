"""Two files compared: what their shapes mean, what is refused, and the figures of real systems' outputs."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.evaluation.predictions.files import BadRecordsError
from engine.evaluation.predictions.measure import UnmeasurableError
from engine.evaluation.predictions.report import compare
from engine.evaluation.predictions.rouge import rouge_l, rouge_n

METRICS = Path(os.environ.get("THORD_METRICS", "/nonexistent"))
"""Outputs of translation and question answering systems with their scores; `../qa` has the questions."""
needs_metrics = pytest.mark.skipif(
    not (METRICS / "mt_expected.json").exists(), reason="THORD_METRICS names no folder with mt_expected.json"
)


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, *records: object) -> Path:
        file = tmp_path / name
        lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
        file.write_text("\n".join(lines) + "\n", "utf-8")
        return file

    return written


def test_lines_are_texts_and_may_be_taken_as_labels(write: Write) -> None:
    said, expected = write("said.txt", "good", "bad", ""), write("expected.txt", "good", "good", "bad")
    texts = compare(said, expected)
    assert (texts.pairs, texts.scores["rouge1"].value) == (3, pytest.approx(1 / 3))
    assert {"bleu", "chrf", "distinct1", "repetition"} < set(texts.scores)
    assert texts.classes == {}
    labels = compare(said, expected, ["accuracy"], ["good", "bad"])
    assert labels.scores["accuracy"].value == pytest.approx(1 / 3)
    assert labels.confusion is not None
    assert labels.confusion.counts == ((1, 1, 0), (0, 0, 1))


def test_records_have_labels_with_probabilities(write: Write) -> None:
    said = write("said.jsonl", {"label": 1, "probability": 0.9, "model": "x"}, {"label": 0, "probability": 0.6})
    found = compare(said, write("gold.jsonl", {"label": "1"}, {"label": "1"}))
    assert found.scores["accuracy"].value == 0.5
    assert found.scores["calibration_error"].value == pytest.approx((0.1 + 0.6) / 2)
    bare = compare(write("bare.txt", "1", "0"), write("gold.jsonl", {"label": "1"}, {"label": "1"}))
    assert "calibration_error" not in bare.scores


def test_spans_and_tags_are_compared(write: Write) -> None:
    gold = write("gold.jsonl", {"id": "b", "tags": ["B-X", "O"]}, {"id": "a", "spans": []})
    span = {"start": 0, "end": 1, "label": "X"}
    found = compare(write("said.jsonl", {"id": "a", "spans": []}, {"id": "b", "spans": [span]}), gold)
    assert found.scores["span_f1"].value == 1
    assert found.classes["X"].support == 1


def test_squads_files_go_together_by_id(write: Write) -> None:
    questions = [{"id": "q1", "answers": [{"text": "Bern"}]}, {"id": "q2", "answers": [], "is_impossible": True}]
    squad = write("dev.json", {"version": "2.0", "data": [{"paragraphs": [{"context": "", "qas": questions}]}]})
    said = write("said.json", {"q2": "", "q1": "in Bern", "q3": "unasked"})
    found = compare(said, squad, ["squad2_exact_match", "squad2_f1"])
    assert [one.value for one in found.scores.values()] == pytest.approx([50, 100 * (1 + 2 / 3) / 2])
    assert found.unused == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (["one"], "line 1 is not JSON"),
        (['"one"', '"two"'], "said.jsonl has 2 records and .* has 1"),
        (['{"label": "x", "probability": 2}'], "line 1: probability: .* less than or equal to 1"),
        (['{"answer": "x"}'], "line 1: has none of text, texts, label, spans and tags"),
        (['{"id": "a", "text": "x"}'] * 2, "line 2: id 'a' was given before, at .*line 1"),
        (['{"id": "a", "text": "x"}'], "no prediction for 1 of 1 references, as for '#1'"),
        (["{"], "line 1 is not JSON"),
        (["7"], "line 1: Input should be"),
        ([], "has no records"),
        (['{"spans": []}'], "are not all texts, all labels or all spans"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(write: Write, said: list[str], reason: str) -> None:
    with pytest.raises(BadRecordsError, match=reason):
        compare(write("said.jsonl", *said), write("expected.txt", "one"))


def test_a_measure_names_what_it_lacks(write: Write) -> None:
    said, gold = write("said.txt", "one"), write("gold.jsonl", {"label": "one"})
    with pytest.raises(UnmeasurableError, match=r"bleu needs texts: .*gold.jsonl, line 1 has none"):
        compare(said, gold, ["bleu"])
    with pytest.raises(UnmeasurableError, match=r"span_f1 needs spans or tags: .*said.txt, line 1 has none"):
        compare(said, gold, ["span_f1"])
    with pytest.raises(BadRecordsError, match="there is no measure 'blue'; there are bleu, chrf"):
        compare(said, gold, ["blue"])


@needs_metrics
def test_translations_have_the_scores_of_sacrebleu_and_rouge_score() -> None:
    expected = json.loads((METRICS / "mt_expected.json").read_text())
    found = compare(METRICS / "mt_hyps.txt", METRICS / "mt_refs.txt", ["bleu", "chrf", "ter"])
    for name, score in found.scores.items():
        assert (score.value, score.signature) == (pytest.approx(expected[name]["score"]), expected[name]["signature"])
    said, right = ((METRICS / name).read_text().splitlines() for name in ("mt_hyps.txt", "mt_refs.txt"))
    compared = 0
    for hypothesis, reference, scores in zip(said, right, expected["sentences"], strict=True):
        if hypothesis.isascii() and reference.isascii():
            overlaps = (
                rouge_n(hypothesis, reference, 1),
                rouge_n(hypothesis, reference, 2),
                rouge_l(hypothesis, reference),
            )
            for overlap, name in zip(overlaps, ("rouge1", "rouge2", "rougeL"), strict=True):
                assert [overlap.precision, overlap.recall, overlap.f] == pytest.approx(scores[name])
            compared += 1
    assert compared > 350


@needs_metrics
@pytest.mark.parametrize("system", ["logreg", "match_lstm", "bert_ensemble"])
def test_answers_have_the_scores_of_squads_script(system: str) -> None:
    expected = json.loads((METRICS / "squad_expected.json").read_text())[system]
    said, squad = METRICS / f"squad_predictions_{system}.json", METRICS / "../qa/squad_xquad_en.json"
    for version in ("squad", "squad2"):
        found = compare(said, squad, [f"{version}_exact_match", f"{version}_f1"])
        assert [one.value for one in found.scores.values()] == pytest.approx([expected["exact_match"], expected["f1"]])
        assert found.pairs == expected["total"]
