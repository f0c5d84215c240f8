"""Measures of tasks on held-out rows, against what the same version answers when it is asked."""

from engine.config.model import ModelSettings
from engine.config.tasks import TaskSettings, tasks_of
from engine.data.samples import Labelled, LabelledSpan, Text
from engine.data.tasks.posed import posed
from engine.evaluation.tasks.answers import MOST_GENERATED
from engine.evaluation.tasks.measures import measure_tasks
from engine.manifest import VersionManifest
from engine.predict import Predictor
from engine.tasks.calibrating import FEWEST
from engine.tokenizers import bpe
from engine.version import LoadedVersion, VersionConfig
from tests.engine.inference.conftest import make_loaded

TASKS = tasks_of({"mood": TaskSettings(kind="classify", labels=("sad", "glad"))})
SHAPE = ModelSettings(hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=64, context=300)


def test_they_are_those_of_the_answers() -> None:
    tokenizer = bpe.train(["Ann sad glad none person "] * 20, vocabulary=300, sample_bytes=1 << 20)
    model = make_loaded(1, SHAPE, tokenizer).model
    manifest = VersionManifest.model_construct(version=1, tokenizer_sha256="t")
    config = VersionConfig(family="thor", model=SHAPE, vocabulary=tokenizer.vocabulary, tokenizer="bpe")
    version = LoadedVersion(manifest, config, model, tokenizer)
    moods = [Labelled(f"Ann {number}", ("sad", "glad")[number % 2], "mood") for number in range(FEWEST)]
    names = [
        Labelled("Ann.", None, "named_entity_recognition", spans=(LabelledSpan(0, 3, "person"),))
        for _ in range(MOST_GENERATED + 1)
    ]
    held_out = [posed(row, TASKS) for row in (*moods, *names, Text("Ann."))]
    heard: list[tuple[int, int]] = []
    found = measure_tasks(version, held_out, TASKS, lambda done, total: heard.append((done, total)))
    with Predictor(make_loaded(1, SHAPE, tokenizer), TASKS) as predictor:
        said = predictor.predict_all([row.text for row in moods], "mood")
    right = sum(answer["predicted_class"] == row.label for answer, row in zip(said, moods, strict=True))
    assert found.figures["task_mood_accuracy"] == right / len(moods)
    assert found.figures["task_mood_rows"] == len(moods)
    assert found.figures["task_named_entity_recognition_rows"] == MOST_GENERATED
    assert 0 <= found.figures["task_named_entity_recognition_span_f1"] <= 1
    assert found.temperatures["mood"].temperature != 1
    assert heard == [(0, FEWEST + MOST_GENERATED), (FEWEST, FEWEST + MOST_GENERATED)]


def test_without_rows_of_tasks_nothing_is_loaded() -> None:
    version = LoadedVersion.__new__(LoadedVersion)
    assert measure_tasks(version, [Text("Ann.")], TASKS, lambda done, total: None).figures == {}
