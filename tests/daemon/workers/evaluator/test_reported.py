"""What `thorctl report` asks, in this process."""

import json
from pathlib import Path

import pytest
import torch

from control.paths import Paths, at_home
from daemon.settings.sections import Tables
from daemon.workers.evaluator.asked import QuestionError
from daemon.workers.evaluator.reported import ReportQuestion, report
from engine import version
from engine.config.model import ModelSettings
from engine.manifest import Lineage
from engine.models import registry
from engine.tokenizers.bytes import ByteTokenizer

SHAPE = ModelSettings(hidden=32, layers=1, heads=2, kv_heads=1, feed_forward=32, context=128)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths, tokenizer = at_home(tmp_path / "home"), ByteTokenizer()
    whole = registry.module(registry.build(SHAPE, tokenizer.vocabulary, 0)).state_dict()
    broken = {name: torch.full_like(weight, float("nan")) for name, weight in whole.items()}
    for number, weights in ((1, whole), (2, broken)):
        lineage = Lineage(number, None, None, "", 0, {}, 0.0, {})
        version.publish(paths.version(number), weights, SHAPE, tokenizer, lineage)
    return paths


def test_a_version_whose_likelihoods_are_no_numbers_is_called_broken(paths: Paths, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    chats = tmp_path / "chats.jsonl"
    chats.write_text(json.dumps({"messages": turns}) + "\n")
    question = ReportQuestion(places=tuple(paths), version=1, against=2, files=(chats,))
    with pytest.raises(QuestionError, match="version 000002 has likelihoods that are not finite"):
        report(question, paths, Tables())
    assert report(question.model_copy(update={"against": None}), paths, Tables())["version"] == "000001"


def test_rows_of_tasks_are_answered_by_both_versions(paths: Paths, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    lines = [{"task": "sentiment_analysis", "text": f"Day {n}", "label": "positive"} for n in range(3)]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    question = ReportQuestion(places=tuple(paths), version=1, against=1, files=(rows,))
    found = report(question, paths, Tables())["tasks"]["sentiment_analysis"]
    assert (found["rows"], found["better"], found["worse"]) == (3, 0, 0)
    assert found["right"] == found["incumbent_right"] == round(3 * found["candidate"]["accuracy"])
    assert sum(map(sum, found["counts"])) == 3
