"""Likelihoods kept on disk: broken-off measurements go on, equal ones are not made again, others are not mistaken."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine import version
from engine.config.evaluation import EvaluationSettings
from engine.config.model import ModelSettings
from engine.device import Placement
from engine.evaluation.evaluate import measure_version
from engine.evaluation.likelihood_cache import LikelihoodCache
from engine.manifest import Lineage
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers.base import Tokenizer
from engine.version import LoadedVersion

SETTINGS = EvaluationSettings(sequence_length=48, batch_size=2)


@pytest.fixture
def loaded(tmp_path: Path, model: LanguageModel, model_settings: ModelSettings, tokenizer: Tokenizer) -> LoadedVersion:
    weights = registry.module(model).state_dict()
    lineage = Lineage(1, None, 1, "0" * 64, 0, {}, 1.0, {})
    version.publish(tmp_path / "000001", weights, model_settings, tokenizer, lineage)
    return version.load(tmp_path / "000001", Placement(torch.device("cpu"), torch.float32))


class _Pulled(Exception):  # noqa: N818 - somebody pulls the plug
    pass


def test_a_measurement_that_was_broken_off_goes_on_to_the_same_numbers(
    tmp_path: Path, loaded: LoadedVersion, dialogues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.evaluation.likelihood_cache._SECONDS", 0.0)
    cache, chosen = LikelihoodCache(tmp_path / "kept"), dialogues(400, 40)
    whole = measure_version(loaded, chosen, SETTINGS)

    def pull(done: int, total: int) -> None:
        if done > total / 2:
            raise _Pulled

    with pytest.raises(_Pulled):
        measure_version(loaded, chosen, SETTINGS, pull, cache)
    seen: list[int] = []
    again = measure_version(loaded, chosen, SETTINGS, lambda done, _: seen.append(done), cache)
    assert np.array_equal(again.nats_C, whole.nats_C)
    assert seen[0] > 20

    monkeypatch.setattr("engine.evaluation.likelihood._score", pytest.fail)
    assert np.array_equal(measure_version(loaded, chosen, SETTINGS, cache=cache).nats_C, whole.nats_C)


def test_other_questions_are_measured_anew(tmp_path: Path, loaded: LoadedVersion, dialogues) -> None:
    cache, chosen = LikelihoodCache(tmp_path / "kept"), dialogues(400, 6)
    asked = [
        cache.of(loaded, chosen, 48, 2),
        cache.of(loaded, chosen[:5], 48, 2),
        cache.of(loaded, chosen[::-1], 48, 2),
        cache.of(loaded, chosen, 40, 2),
        cache.of(replace(loaded, base_quantization="int8"), chosen, 48, 2),
        cache.of(replace(loaded, manifest=loaded.manifest.model_copy(update={"tokenizer_sha256": "1"})), chosen, 48, 2),
    ]
    for number, kept in enumerate(asked):
        kept.reached(1, np.full(len(kept.nats), float(number)), complete=True)
    assert len(list((tmp_path / "kept").iterdir())) == len(asked)
    assert cache.of(loaded, chosen, 48, 2).nats[0] == 0.0


def test_what_is_damaged_is_measured_again_and_a_full_disk_stops_nothing(
    tmp_path: Path, loaded: LoadedVersion, dialogues
) -> None:
    folder, chosen = tmp_path / "kept", dialogues(400, 6)
    found = measure_version(loaded, chosen, SETTINGS, cache=LikelihoodCache(folder))
    (file,) = folder.iterdir()
    assert all(conversation.texts[0] not in file.read_text() for conversation in chosen)
    file.write_text(json.dumps({"rows": 3, "nats": [1.0], "complete": True}))
    assert np.array_equal(measure_version(loaded, chosen, SETTINGS, cache=LikelihoodCache(folder)).nats_C, found.nats_C)
    blocked = tmp_path / "a file"
    blocked.touch()
    assert np.array_equal(
        measure_version(loaded, chosen, SETTINGS, cache=LikelihoodCache(blocked)).nats_C, found.nats_C
    )
