"""Candidates are scored as answers are learned, and a question that the task does not answer is explained."""

import pytest

from engine.data.samples import Message
from engine.data.tasks.ready_made import READY_MADE
from engine.data.tasks.task import Task
from engine.tasks.asking import AskedWronglyError, Input, asked, candidate_ids
from engine.tokenizers import bpe
from engine.tokenizers.base import END, EOS

TOKENIZER = bpe.train(["new york is new, and newer than old york "] * 20, vocabulary=300, sample_bytes=1 << 20)


def test_candidates_are_the_tokens_that_training_supervises() -> None:
    found = asked(Task("t", "classify", ("new", "old")), Input("york"), TOKENIZER)
    for choice, ids in zip(found.choices, found.candidates, strict=True):
        turns = (Message("user", "york\n\nWhich label fits: new, old?"), Message("assistant", choice))
        [learned] = TOKENIZER.encode_dialogues([(turns, 0)])
        assert [*found.prompt, *ids] == learned.ids.tolist()[: len(found.prompt) + len(ids)]
        assert learned.supervised[len(found.prompt) :][: len(ids)].all()


@pytest.mark.parametrize(("is_chat", "end"), [(True, END), (False, EOS)])
def test_one_that_begins_with_another_is_told_apart_by_its_end(is_chat: bool, end: str) -> None:
    alone = candidate_ids(TOKENIZER, ("new", "old"), is_chat=is_chat)
    assert alone == (tuple(TOKENIZER.encode("new")), tuple(TOKENIZER.encode("old")))
    first, second = candidate_ids(TOKENIZER, ("new", "new york"), is_chat=is_chat)
    assert first == (*TOKENIZER.encode("new"), TOKENIZER.special(end))
    assert second == (*TOKENIZER.encode("new york"), TOKENIZER.special(end))


@pytest.mark.parametrize(
    ("task", "given", "field"),
    [
        ("sentiment_analysis", Input(" "), "input"),
        ("intent_detection", Input("a"), "labels"),
        ("natural_language_inference", Input("a"), "text_pair"),
        ("sentiment_analysis", Input("a", "b"), "text_pair"),
        ("chat", Input("a", labels=("x",)), "labels"),
        ("chat", Input("a", candidates=("x", "y")), "candidates"),
        ("rank", Input("a", candidates=("x",)), "candidates"),
        ("rank", Input("a", candidates=("x", "x")), "candidates"),
        ("intent_detection", Input("a", labels=("x", " ")), "labels"),
    ],
)
def test_what_is_missing_or_too_much_is_named(task: str, given: Input, field: str) -> None:
    known = READY_MADE | {"rank": Task("rank", "rank")}
    with pytest.raises(AskedWronglyError) as caught:
        asked(known[task], given, TOKENIZER)
    assert caught.value.field == field
