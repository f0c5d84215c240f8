"""The evaluator as a real process, on published versions and snapshots."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from control.paths import Paths, at_home
from daemon.messages import Beat, Evaluate, Evaluated, Failure
from daemon.settings.sections import SupervisionSettings, Tables
from engine import version
from engine.config.evaluation import EvaluationSettings, GateSettings
from engine.config.inference import InferenceSettings
from engine.config.model import ModelSettings
from engine.data import snapshot
from engine.data.held_out import is_sealed
from engine.data.samples import Conversation, Dialogue, Message
from engine.data.snapshot import Example
from engine.manifest import Lineage, verify
from engine.models import registry
from engine.tokenizers import bpe
from engine.tokenizers.builtin import BuiltinTokenizer
from engine.tokenizers.encode import encode_conversations

SHAPE = ModelSettings(hidden=32, layers=1, heads=4, kv_heads=2, feed_forward=64, context=96)
SETTINGS = Tables(
    gate=GateSettings(bootstrap_resamples=500),
    evaluation=EvaluationSettings(sample_tokens=8),
    inference=InferenceSettings(precision="fp32"),
)
SILENT = Dialogue(messages=(Message("user", "Nobody answers."),))


def dialogues(start: int, count: int) -> list[Conversation]:
    colours = ("red", "green", "blue")
    return [
        Dialogue(
            messages=(
                Message("user", f"Number {number}, of {colours[number % 3]}?"),
                Message("assistant", f"The {colours[number % 3]} fox was seen."),
            )
        )
        for number in range(start, start + count)
    ]


@pytest.fixture(scope="module")
def tokenizer() -> BuiltinTokenizer:
    return bpe.train([m.content for c in dialogues(0, 60) for m in c.messages], 320, 1 << 20)


Publish = Callable[[Paths, int, int], None]


@pytest.fixture(scope="module")
def publish(tokenizer: BuiltinTokenizer) -> Publish:
    """``publish(paths, number, steps)``: a version of the cycle of the same number, after so many steps."""
    weights: dict[int, dict[str, torch.Tensor]] = {}
    model = registry.build(SHAPE, tokenizer.vocabulary, seed=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    rows = list(encode_conversations(tokenizer, [(conversation, 0) for conversation in dialogues(0, 60)]))
    width = max(len(row.ids) for row in rows)
    ids = torch.tensor([row.ids.tolist() + [0] * (width - len(row.ids)) for row in rows])
    learned = torch.tensor([row.supervised.tolist() + [False] * (width - len(row.ids)) for row in rows])[:, 1:]
    for step in range(31):
        weights[step] = {name: w.clone() for name, w in registry.module(model).state_dict().items()}
        hidden = model.hidden(ids, torch.arange(width).expand_as(ids), torch.zeros_like(ids))[:, :-1]
        optimizer.zero_grad()
        F.cross_entropy(model.logits(hidden[learned]), ids[:, 1:][learned]).backward()
        optimizer.step()

    def at(paths: Paths, number: int, steps: int) -> None:
        provenance = Lineage(number, None, number, "0" * 64, 0, {}, 1.0, {})
        version.publish(paths.version(number), weights[steps], SHAPE, tokenizer, provenance)

    return at


def write_snapshot(paths: Paths, cycle: int, held_out: list[Conversation]) -> None:
    snapshot.write(
        paths.snapshot(cycle),
        [Example(c, c.identity, "replay" if n % 4 == 0 else "new") for n, c in enumerate(dialogues(0, 40))],
        [Example(c, c.identity, "held_out") for c in held_out],
    )


@pytest.fixture
def home(tmp_path: Path, publish: Publish) -> Path:
    """Version 1 knows nothing, version 2 learned a little, version 3 more; every cycle has a snapshot."""
    paths = at_home(tmp_path)
    for number, steps in ((1, 0), (2, 10), (3, 30)):
        publish(paths, number, steps)
        write_snapshot(paths, number, [*dialogues(900, 12), SILENT])
    return tmp_path


@pytest.fixture
def evaluator(spawn_worker, home):
    return spawn_worker("evaluator", home, SETTINGS)


def stored(paths: Paths, number: int) -> dict[str, object]:
    return json.loads((paths.version(number) / "evaluation.json").read_text())


def test_a_better_version_passes_and_the_answer_outlives_a_kill(evaluator, spawn_worker, home) -> None:
    command = Evaluate(id=2, version=2, incumbent=1, cycle=2, decides=True)
    answer = evaluator.ask(command, Evaluated)
    assert answer.passed, answer.reason
    assert "version 1" in answer.reason
    assert answer.metrics["conversations"] == 12
    assert answer.metrics["bits_per_byte"] < answer.metrics["incumbent_bits_per_byte"]
    assert {"replay_loss", "incumbent_replay_loss", "perplexity", "forgetting_bits_per_byte"} <= answer.metrics.keys()
    assert answer.gate["overall"]["upper"] < 0
    kept = stored(evaluator.paths, 2)
    assert kept["verdict"] == answer.gate
    assert kept["metrics"] == answer.metrics
    assert len(kept["samples"]) == 3
    assert kept["slices"] == answer.slices
    assert answer.slices["kind"]["chat"]["candidate"]["bits_per_byte"] == answer.gate["slices"]["chat"]["candidate"]
    assert verify(evaluator.paths.version(2)).version == 2

    written = (evaluator.paths.version(2) / "evaluation.json").stat().st_mtime_ns
    assert evaluator.ask(command, Evaluated) == answer
    evaluator.kill()
    again = spawn_worker("evaluator", home, SETTINGS)
    assert again.ask(command, Evaluated) == answer
    assert (evaluator.paths.version(2) / "evaluation.json").stat().st_mtime_ns == written
    assert again.stop() == 0


def test_a_record_stands_only_for_the_same_question(evaluator) -> None:
    def ask(incumbent: int) -> dict[str, object]:
        answer = evaluator.ask(Evaluate(id=2, version=2, incumbent=incumbent, cycle=2, decides=True), Evaluated)
        assert stored(evaluator.paths, 2)["verdict"] == answer.gate
        return stored(evaluator.paths, 2)["inputs"]

    first = ask(incumbent=1)
    assert ask(incumbent=3) != first
    evaluator.reload(SETTINGS.model_copy(update={"gate": GateSettings(bootstrap_resamples=499)}))
    assert ask(incumbent=3)["gate"]["bootstrap_resamples"] == 499
    (evaluator.paths.version(2) / "evaluation.json").write_text('{"inputs": {"version": 2, "inc')
    assert ask(incumbent=1)["incumbent"] == 1


def test_what_is_no_improvement_does_not_pass(evaluator, publish, tokenizer) -> None:
    paths = evaluator.paths

    def judge(number: int, incumbent: int | None) -> Evaluated:
        return evaluator.ask(
            Evaluate(id=number, version=number, incumbent=incumbent, cycle=number, decides=True), Evaluated
        )

    assert "worse: " in judge(1, incumbent=3).reason

    good, bad = judge(3, incumbent=None), judge(1, incumbent=None)
    assert (good.passed, bad.passed) == (True, False)
    assert "unigram" in good.reason
    assert "unigram" in bad.reason

    publish(paths, 4, 30)
    write_snapshot(paths, 4, dialogues(900, 3))
    few = judge(4, incumbent=1)
    assert not few.passed
    assert "only 3 held-out conversations" in few.reason

    weights = registry.module(registry.build(SHAPE, tokenizer.vocabulary, seed=1)).state_dict()
    weights["model.norm.weight"][3] = float("nan")
    provenance = Lineage(5, None, 5, "0" * 64, 0, {}, 1.0, {})
    version.publish(paths.version(5), weights, SHAPE, tokenizer, provenance)
    write_snapshot(paths, 5, dialogues(900, 12))
    broken = judge(5, incumbent=1)
    assert not broken.passed
    assert "not a finite number" in broken.reason


def test_what_is_missing_or_damaged_is_a_failure_that_another_attempt_does_not_mend(evaluator) -> None:
    for command in (
        Evaluate(id=9, version=77, incumbent=1, cycle=1),
        Evaluate(id=9, version=1, incumbent=77, cycle=1),
        Evaluate(id=9, version=1, incumbent=None, cycle=77),
    ):
        answer = evaluator.ask(command, Failure)
        assert answer.to == 9
        assert "77" in answer.reason
        assert not answer.retry

    weights = evaluator.paths.version(2) / "model.safetensors"
    weights.chmod(0o644)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    answer = evaluator.ask(Evaluate(id=2, version=2, incumbent=1, cycle=2, decides=True), Failure)
    assert "model.safetensors" in answer.reason
    assert not answer.retry
    assert evaluator.ask(Evaluate(id=3, version=3, incumbent=1, cycle=3, decides=True), Evaluated).passed


def openai(conversations: list[Conversation]) -> str:
    records = [{"messages": [{"role": m.role, "content": m.content} for m in c.messages]} for c in conversations]
    return "".join(json.dumps(record) + "\n" for record in records)


def test_by_hand_files_are_measured_and_decide_nothing(evaluator, tmp_path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(openai(dialogues(500, 7)) + "{broken\n")
    answer = evaluator.ask(Evaluate(id=8, version=3, incumbent=1, cycle=None, files=(str(file),)), Evaluated)
    assert answer.metrics["conversations"] == 7
    assert answer.metrics["bytes"] == sum(len(c.messages[1].content) for c in dialogues(500, 7))
    assert "7 conversations" in answer.reason
    assert answer.gate == {}
    assert answer.slices["source"].keys() == {str(file)}
    assert not (evaluator.paths.version(3) / "evaluation.json").exists()

    evaluator.ask(Evaluate(id=3, version=3, incumbent=1, cycle=3, decides=True), Evaluated)
    before = stored(evaluator.paths, 3)
    answer = evaluator.ask(Evaluate(id=50, version=3, incumbent=2, cycle=1), Evaluated)
    assert answer.to == 50
    assert "version 2" in answer.reason
    assert evaluator.ask(Evaluate(id=51, version=3, incumbent=2, cycle=3), Evaluated).to == 51
    assert stored(evaluator.paths, 3) == before


def test_a_version_is_measured_on_what_its_run_kept_back(evaluator) -> None:
    answer = evaluator.ask(Evaluate(id=8, version=3, incumbent=None, cycle=None, part="validation"), Evaluated)
    assert answer.metrics["conversations"] == 8, "a fifth of 40"
    assert "kept back for validation" in answer.reason
    answer = evaluator.ask(Evaluate(id=9, version=3, incumbent=None, cycle=None, part="test"), Evaluated)
    assert answer.metrics["conversations"] == 12, "those held out: training.test_share is 0"

    few = [Example(c, c.identity, "new") for c in dialogues(0, 5)]
    shutil.rmtree(evaluator.paths.snapshot(3))
    snapshot.write(evaluator.paths.snapshot(3), few, [])
    failed = evaluator.ask(Evaluate(id=10, version=3, incumbent=None, cycle=None, part="validation"), Failure)
    assert "kept nothing back for validation" in failed.reason
    assert "training.validation_share" in failed.reason
    assert not failed.retry


def test_an_anchor_test_reads_only_what_is_sealed(spawn_worker, home) -> None:
    few = SETTINGS.model_copy(update={"evaluation": EvaluationSettings(max_conversations=30, sample_tokens=8)})
    paths = at_home(home)
    held_out = dialogues(900, 60)
    write_snapshot(paths, 9, held_out)
    sealed = sum(is_sealed(conversation.identity) for conversation in held_out)
    evaluator = spawn_worker("evaluator", home, few)
    ours = evaluator.ask(Evaluate(id=2, version=3, incumbent=1, cycle=9), Evaluated)
    answer = evaluator.ask(Evaluate(id=3, version=3, incumbent=1, cycle=9, sealed=True), Evaluated)
    assert (ours.metrics["conversations"], answer.metrics["conversations"]) == (30, sealed)
    assert answer.gate["overall"]["difference"] < 0
    refused = evaluator.ask(Evaluate(id=4, version=3, incumbent=1, cycle=2, sealed=True), Failure)
    assert "0 held-out conversations are sealed, 5 are needed" in refused.reason


def test_a_file_without_a_conversation_is_a_failure_with_its_name(evaluator, tmp_path) -> None:
    def ask(name: str) -> Failure:
        files = (str(tmp_path / name),)
        return evaluator.ask(Evaluate(id=8, version=3, incumbent=None, cycle=None, files=files), Failure)

    for content in (b"", b"\x00\x01\x02\xff" * 100, b'{"unknown": 1}\n', b"[" * 1000):
        (tmp_path / "odd.jsonl").write_bytes(content)
        answer = ask("odd.jsonl")
        assert "odd.jsonl" in answer.reason
        assert not answer.retry
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing", "."):
        assert "is not a file" in ask(name).reason


def test_asked_to_stop_it_leaves_its_work_at_once(spawn_worker, home) -> None:
    settings = SETTINGS.model_copy(
        update={
            "evaluation": EvaluationSettings(max_conversations=100_000, batch_size=1),
            "supervision": SupervisionSettings(heartbeat_timeout_seconds=0.3),
        }
    )
    held_out = [Example(c, c.identity, "held_out") for c in dialogues(0, 5000)]
    snapshot.write(at_home(home).snapshot(6), [], held_out)
    evaluator = spawn_worker("evaluator", home, settings)
    evaluator.send(Evaluate(id=6, version=3, incumbent=1, cycle=6, decides=True))
    evaluator.expect(Beat, where=lambda beat: beat.activity == "measuring the candidate")
    assert evaluator.stop(grace_seconds=5) == 0
    assert not evaluator.received(Evaluated)
    assert "given up" in evaluator.log
