"""The objective against plain torch: loss, gradient, and which tokens it looks at."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from engine.config.model import ModelSettings
from engine.data import shard
from engine.data.batches import Rows
from engine.data.samples import Dialogue, Message, Text
from engine.models import registry
from engine.native import library
from engine.tokenizers import bpe, encode
from engine.tokenizers.base import SPECIAL_TOKENS
from engine.training.objectives import language
from engine.training.objectives.base import ReferenceModel
from engine.training.objectives.language import MaskedCrossEntropy

SETTINGS = ModelSettings(preset="tiny", hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=48, context=64)
TOKENIZER = bpe.train(["a b c"], 264, 100)
DIALOGUES = [
    Dialogue(messages=(Message("user", "ab"), Message("assistant", "cd"), Message("user", "e"))),
    Dialogue(messages=(Message("system", "x"), Message("user", "y"), Message("assistant", "z"))),
    Text(text="plain text"),
]


@pytest.fixture
def batch(tmp_path: Path):
    documents = list(encode.encode_conversations(TOKENIZER, [(conversation, 0) for conversation in DIALOGUES]))
    rows = Rows(shard.write(tmp_path / "shard", documents), 32)
    return rows.batch(range(len(rows)))


def model():
    return registry.build(SETTINGS, TOKENIZER.vocabulary, seed=3)


def reference(model, conversations):
    """The mean loss over hand-picked targets, document by document, by plain cross-entropy over every position."""
    total, count = 0.0, 0
    for conversation in conversations:
        (encoded,) = encode.encode_conversations(TOKENIZER, [(conversation, 0)])
        ids = torch.tensor(encoded.ids, dtype=torch.long)[None]
        hidden = model.hidden(ids, torch.arange(ids.shape[1])[None], torch.zeros_like(ids))
        targets = torch.tensor([i if learned else -100 for i, learned in zip(encoded.ids, encoded.supervised)])[1:]  # noqa: B905
        total = total + F.cross_entropy(model.logits(hidden[0, :-1]), targets, reduction="sum", ignore_index=-100)
        count += int((targets >= 0).sum())
    return total / count


@pytest.mark.parametrize("by", ["kernel", "torch"])
@pytest.mark.parametrize("at_once", [1 << 22, 1000])
def test_loss_and_gradient_equal_plain_cross_entropy(
    batch, monkeypatch: pytest.MonkeyPatch, at_once: int, by: str
) -> None:
    if by == "torch":
        monkeypatch.setattr(library, "kernel", lambda: None)
    elif library.kernel() is None:
        pytest.skip("NO KERNEL: python -m engine.native.build says why")
    monkeypatch.setattr(language, "_LOGITS_AT_ONCE", at_once)  # the second cuts into chunks of three rows
    ours, theirs = model(), model()
    loss = MaskedCrossEntropy().backward(ours, batch, 1 / batch.supervised)["loss"] / batch.supervised
    expected = reference(theirs, DIALOGUES)
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), atol=1e-6, rtol=1e-6)
    for (name, one), two in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, atol=1e-6, rtol=1e-4, msg=name)
    measured = MaskedCrossEntropy().measure(theirs, batch)["loss"] / batch.supervised
    torch.testing.assert_close(measured, expected.detach(), atol=1e-6, rtol=1e-6)


def test_assistant_turns_with_their_end_are_learned_and_nothing_else(batch) -> None:
    """Written out by hand: after ``<|assistant|>`` the content and ``<|end|>``; in plain text everything."""

    def spelled(ids):
        return "".join(SPECIAL_TOKENS[i] if i < 8 else TOKENIZER.decode([i]) for i in ids)

    learned = {
        spelled(batch.targets_BT[row][batch.supervised_BT[row] & (batch.documents_BT[row] == number)].tolist())
        for row in range(len(batch.tokens_BT))
        for number in batch.documents_BT[row].unique()
    }
    assert learned == {"cd<|end|>", "z<|end|>", "plain text<|eos|>"}


@pytest.mark.parametrize("split", [1, 2])
def test_gradients_do_not_depend_on_how_a_step_is_split(tmp_path: Path, split: int) -> None:
    """Unequal numbers of targets in each row: a mean of means would show."""
    dialogues = [
        Dialogue(messages=(Message("user", "q" * 9), Message("assistant", "a" * length))) for length in (2, 19, 5, 11)
    ]
    documents = list(encode.encode_conversations(TOKENIZER, [(dialogue, 0) for dialogue in dialogues]))
    rows = Rows(shard.write(tmp_path / "shard", documents), 32)
    assert len(rows) == 4
    whole, parts, objective = model(), model(), MaskedCrossEntropy()
    batch = rows.batch(range(4))
    objective.backward(whole, batch, 1 / batch.supervised)
    for first in range(0, 4, split):
        objective.backward(parts, rows.batch(range(first, first + split)), 1 / batch.supervised)
    for one, two in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, atol=1e-7, rtol=1e-4)


@pytest.mark.parametrize("at_once", [1 << 22, 1000])
def test_smoothing_and_staying_close_by_their_definitions(batch, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """In float64: (1 - s) of the target's share and s of the mean over all, plus w times sum of p (log p - log q)."""
    monkeypatch.setattr(language, "_LOGITS_AT_ONCE", at_once)
    ours, theirs, anchor = model(), model(), registry.build(SETTINGS, TOKENIZER.vocabulary, seed=4)
    registry.module(anchor).eval().requires_grad_(False)
    objective = MaskedCrossEntropy(label_smoothing=0.2, reference=ReferenceModel(anchor, 0.5))
    sums = objective.backward(ours, batch, 1.0)

    def shares(model):
        hidden = model.hidden(batch.tokens_BT, batch.positions_BT, batch.documents_BT)
        return model.logits(hidden[batch.supervised_BT]).double().log_softmax(-1)

    log_q, log_p = shares(theirs), shares(anchor)
    targets = batch.targets_BT[batch.supervised_BT]
    smoothed = -(0.8 * log_q[range(len(targets)), targets] + 0.2 * log_q.mean(-1)).sum()
    divergence = (log_p.exp() * (log_p - log_q)).sum()
    (smoothed + 0.5 * divergence).backward()
    torch.testing.assert_close(sums["kl"], divergence.detach().float(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sums["loss"], (smoothed + 0.5 * divergence).detach().float(), atol=1e-5, rtol=1e-5)
    for (name, one), two in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, atol=1e-5, rtol=1e-4, msg=name)
    assert all(weight.grad is None for weight in anchor.parameters())
    plain = MaskedCrossEntropy().measure(theirs, batch)
    assert torch.equal(objective.measure(theirs, batch)["loss"], plain["loss"])
