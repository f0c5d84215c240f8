from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from engine.data.encoded import Encoded
from engine.data.samples import Dialogue, Message, Text
from engine.evaluation.likelihood import Document, encode_documents, measure
from engine.models.base import LanguageModel
from engine.tokenizers.base import Tokenizer

CONVERSATIONS = [
    Dialogue(messages=(Message("user", "Who was seen?"), Message("assistant", "The red fox — 日本."))),
    Text(text="The green owl was seen 7 times."),
    Dialogue(
        messages=(
            Message("system", "Be brief."),
            Message("user", "How often?"),
            Message("assistant", "3 times."),
            Message("user", "éà?"),
            Message("assistant", "ünd"),
        )
    ),
    Dialogue(messages=(Message("user", "Nobody answers."),)),
    Text(text="x"),
]


def test_nats_are_those_of_a_loop_over_the_reference_model(
    model: LanguageModel, tokenizer: Tokenizer, llama: LlamaForCausalLM
) -> None:
    documents = encode_documents(tokenizer, CONVERSATIONS)
    found = measure(model, documents, length=96, batch_size=2)
    for row, document in enumerate(documents):
        ids = torch.tensor(document.encoded.ids, dtype=torch.long)[None]
        with torch.no_grad():
            chances = torch.log_softmax(llama(ids).logits[0].double(), dim=-1)
        nats, tokens = 0.0, 0
        for position in range(1, ids.shape[1]):
            if document.encoded.supervised[position]:
                nats -= float(chances[position - 1, ids[0, position]])
                tokens += 1
        assert found.nats_C[row] == pytest.approx(nats, rel=1e-4, abs=1e-4)
        assert found.tokens_C[row] == tokens
    assert found.bytes_C.tolist() == [len("The red fox — 日本.".encode()), 31, len("3 times.ünd".encode()), 0, 1]


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_neither_batch_nor_company_changes_a_likelihood(
    model: LanguageModel, tokenizer: Tokenizer, batch_size: int
) -> None:
    documents = encode_documents(tokenizer, CONVERSATIONS)
    alone = [measure(model, [document], length=96, batch_size=1).nats_C[0] for document in documents]
    together = measure(model, documents[::-1], length=96, batch_size=batch_size).nats_C[::-1]
    assert together == pytest.approx(alone, rel=1e-5, abs=1e-5)


def test_a_repeated_measurement_is_identical(model: LanguageModel, tokenizer: Tokenizer) -> None:
    documents = encode_documents(tokenizer, CONVERSATIONS)
    first, second = (measure(model, documents, length=96, batch_size=2) for _ in range(2))
    assert np.array_equal(first.nats_C, second.nats_C)


# Windows --------------------------------------------------------------------------------------------------------------


@dataclass
class NoCache:
    rows: int
    length: int
    rewinds: bool = False


class Bigram(nn.Module):
    """A model that knows only the token before: how a text is cut into windows cannot change what it says."""

    def __init__(self, vocabulary: int, context: int) -> None:
        super().__init__()
        self.vocabulary, self.context = vocabulary, context
        generator = torch.Generator().manual_seed(0)
        self.table = nn.Parameter(torch.randn(vocabulary, vocabulary, generator=generator), requires_grad=False)
        self.seen: list[tuple[Tensor, Tensor]] = []

    def hidden(self, tokens_BT: Tensor, positions_BT: Tensor, documents_BT: Tensor) -> Tensor:
        self.seen.append((tokens_BT, positions_BT))
        return nn.functional.one_hot(tokens_BT, self.vocabulary).float()

    def logits(self, hidden_ND: Tensor) -> Tensor:
        return hidden_ND @ self.table

    def step(self, tokens_BT: Tensor, cache: NoCache, rows_B: Tensor, starts_B: Tensor) -> Tensor:
        raise NotImplementedError

    def make_cache(self, rows: int, length: int) -> NoCache:
        return NoCache(rows, length)


@st.composite
def _documents(draw: st.DrawFn) -> list[Document]:
    def one() -> Document:
        size = draw(st.integers(1, 70))
        ids = draw(st.lists(st.integers(0, 10), min_size=size, max_size=size))
        learned = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        return Document(Encoded(np.array(ids, np.int32), np.array([False, *learned[1:]])), size=size)

    return [one() for _ in range(draw(st.integers(1, 5)))]


@given(_documents(), st.integers(2, 20), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_every_supervised_token_counts_once_however_the_text_is_cut(
    documents: list[Document], length: int, batch_size: int
) -> None:
    model = Bigram(vocabulary=11, context=16)
    found = measure(model, documents, length=length, batch_size=batch_size)
    chances = torch.log_softmax(model.table, dim=-1)
    for row, document in enumerate(documents):
        ids, supervised = document.encoded.ids, document.encoded.supervised
        nats = [-float(chances[ids[i - 1], ids[i]]) for i in range(1, len(ids)) if supervised[i]]
        assert found.nats_C[row] == pytest.approx(sum(nats), rel=1e-4, abs=1e-4)
        assert found.tokens_C[row] == len(nats)
    assert all(tokens.shape[1] <= min(length, model.context) for tokens, _ in model.seen)


def test_short_documents_share_rows() -> None:
    model = Bigram(vocabulary=11, context=16)
    documents = [Document(Encoded(np.arange(5, dtype=np.int32), np.arange(5) > 0), 4) for _ in range(9)]
    done: list[tuple[int, int]] = []
    measure(model, documents, length=16, batch_size=2, advance=lambda *progress: done.append(progress))
    assert [tokens.shape for tokens, _ in model.seen] == [(2, 12), (1, 12)]
    assert model.seen[0][1][0].tolist() == [0, 1, 2, 3] * 3
    assert done == [(6, 9), (9, 9)]


def test_a_token_of_a_long_text_sees_at_least_half_a_window() -> None:
    model = Bigram(vocabulary=100, context=16)
    measure(model, [Document(Encoded(np.arange(100, dtype=np.int32), np.arange(100) > 0), 99)], length=16, batch_size=1)
    windows = sorted(tokens[0].tolist() for tokens, _ in model.seen)
    reached = windows[0][-1]
    for window in windows[1:]:
        assert reached - window[0] + 1 >= 8
        reached = window[-1]
    assert reached == 98


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_bytes_are_those_of_the_text_whatever_the_tokenizer(text: str) -> None:
    assert Text(text=text).supervised_bytes == len(text.encode("utf-8"))
    dialogue = Dialogue(messages=(Message("user", "?"), Message("assistant", text), Message("assistant", text)))
    assert dialogue.supervised_bytes == 2 * len(text.encode("utf-8"))


def test_an_answer_of_weight_0_is_not_measured(tokenizer: Tokenizer) -> None:
    said = (Message("user", "a"), Message("assistant", "wrong", weight=0), Message("assistant", "right"))
    (document,) = encode_documents(tokenizer, [Dialogue(said)])
    (alone,) = encode_documents(tokenizer, [Dialogue((*said[:1], said[2]))])
    assert document.size == len("right")
    assert document.encoded.supervised.sum() == alone.encoded.supervised.sum()
