"""Suites of conversations and of labelled rows, measured by a model whose answers are known."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from engine import version
from engine.config.evaluation import EvaluationSettings, SuiteSettings
from engine.config.model import ModelSettings
from engine.data.records.limits import Limits
from engine.device import Placement
from engine.evaluation.suites import suite
from engine.evaluation.suites.files import BadFilesError
from engine.manifest import Lineage
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers.base import Tokenizer
from engine.version import LoadedVersion

LIMITS = Limits()
SETTINGS = EvaluationSettings(sequence_length=96)


@pytest.fixture(scope="module")
def loaded(
    tmp_path_factory: pytest.TempPathFactory,
    model: LanguageModel,
    model_settings: ModelSettings,
    tokenizer: Tokenizer,
) -> LoadedVersion:
    folder = tmp_path_factory.mktemp("versions") / "000001"
    weights = registry.module(model).state_dict()
    version.publish(folder, weights, model_settings, tokenizer, Lineage(1, None, 1, "0" * 64, 0, {}, 1.0, {}))
    return version.load(folder, Placement(torch.device("cpu"), torch.float32))


def write(file: Path, records: list[dict[str, object]]) -> Path:
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def chats(dialogues, start: int, count: int) -> list[dict[str, object]]:
    return [
        {"messages": [{"role": one.role, "content": one.content} for one in dialogue.messages]}
        for dialogue in dialogues(start, count)
    ]


def test_a_folder_of_conversations_is_measured_and_answered(tmp_path: Path, loaded: LoadedVersion, dialogues) -> None:
    write(tmp_path / "a.jsonl", chats(dialogues, 500, 4))
    write(tmp_path / "b.jsonl", chats(dialogues, 502, 4))  # two of them are in both
    of = suite.read("exam", SuiteSettings(path=str(tmp_path), measures=("chrf",)), LIMITS)
    found = suite.run(of, loaded, SETTINGS)
    assert (len(of), of.left_out, of.primary.name) == (6, 0, "bits_per_byte")
    assert found.metrics["bits_per_byte"] == pytest.approx(found.terms.ratio)
    assert found.metrics["perplexity"] == pytest.approx(math.exp(found.metrics["loss"]))
    assert len(found.answers) == 6
    assert found.metrics["chrf"] > 30  # it has learned how answers look


def test_labels_are_those_that_the_model_finds_likeliest(tmp_path: Path, loaded: LoadedVersion, dialogues) -> None:
    """A label that the model has seen as an answer beats one that it never saw, whatever the text."""
    likely, unlikely = "The red fox was seen.", "zq"
    rows = [{"text": f"What of red fox number {n}?", "label": likely if n % 4 else unlikely} for n in range(20)]
    of = suite.read("labels", SuiteSettings(path=str(write(tmp_path / "rows.jsonl", rows))), LIMITS)
    found = suite.run(of, loaded, SETTINGS)
    assert (len(of), of.left_out, of.primary.name) == (20, 0, "accuracy")
    right = [pair.prediction == pair.reference for pair in found.pairs]
    assert found.metrics["accuracy"] == pytest.approx(np.mean(right)) == found.terms.ratio
    assert {pair.prediction for pair in found.pairs} == {likely}
    assert all(0.5 < (pair.probability or 0) <= 1 for pair in found.pairs)
    assert found.confusion is not None
    assert found.confusion.counts == ((15, 0), (5, 0))


def test_the_sum_is_that_of_the_samples_and_not_of_their_order(tmp_path: Path, dialogues) -> None:
    records = chats(dialogues, 0, 5)

    def sum_of(name: str, these: list[dict[str, object]]) -> str:
        return suite.read("x", SuiteSettings(path=str(write(tmp_path / name, these))), LIMITS).sha256

    assert sum_of("a.jsonl", records) == sum_of("b.jsonl", records[::-1]) != sum_of("c.jsonl", records[1:])


def test_nothing_to_measure_is_said(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with pytest.raises(BadFilesError, match=r"suite 'x': no conversation .*empty\.jsonl"):
        suite.read("x", SuiteSettings(path=str(empty)), LIMITS)
    with pytest.raises(BadFilesError, match="is not a file"):
        suite.read("x", SuiteSettings(path=str(tmp_path / "gone")), LIMITS)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadFilesError, match="has no file"):
        suite.read("x", SuiteSettings(path=str(tmp_path / "folder")), LIMITS)
