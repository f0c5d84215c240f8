"""A collection of files in the shapes people have, with what must be learned of each: a test lists every one.

THORD_CASES names its folder: `files/`, and `expected.json` with an object for each file: ``file``, ``expected`` (a list
of dialogues, each a list of ``[role, text]``; ``["text", ...]`` is plain text; null where there is no single answer),
``refusal_words`` (what a refusal must say, where refusing is right) and ``preference`` (whether one must be held).
"""

import json
import os
import re
from pathlib import Path

import pytest

from engine.data.readers import loaders
from engine.data.readers.items import Found, Refused
from engine.data.records.limits import Limits
from engine.data.samples import Dialogue, Message, Sample, Text

CASES = Path(os.environ.get("THORD_CASES", "/nonexistent"))
CUMULATIVE = "142-request-log-cumulative.jsonl"
"""Dialogues that go on line by line: the ledger learns the longest one, the reader finds each."""

READ = (".gz", ".zst", ".tar", ".parquet", ".db", "-latin1.jsonl", "-latin1.csv")
"""Archives, tables, databases and Latin-1: the listing accepts that they are refused; they are read."""


def cases() -> list[dict[str, object]]:
    listing = CASES / "expected.json"
    return json.loads(listing.read_text()) if listing.exists() else []


def shown(sample: Sample) -> list[list[str]]:
    if isinstance(sample, Text):
        return [["text", sample.text]]
    assert isinstance(sample, Dialogue)
    return [[_role(message), message.plain_content.strip()] for message in sample.messages]


def _role(message: Message) -> str:
    return "assistant-not-learned" if message.role == "assistant" and not message.weight else message.role


def expected(case: dict[str, object]) -> list[list[list[str]]]:
    found = case["expected"]
    assert isinstance(found, list)
    dialogues = [one if isinstance(one[0], list) else [one] for one in found]
    return [[[role, text.strip()] for role, text in dialogue] for dialogue in dialogues]


@pytest.mark.skipif(not cases(), reason="THORD_CASES names no folder with expected.json")
@pytest.mark.parametrize("case", cases(), ids=lambda case: str(case["file"]))
def test_what_is_in_it_is_learned_or_refused_by_name(case: dict[str, object]) -> None:
    path = CASES / "files" / str(case["file"])
    with path.open("rb") as stream:
        items = list(loaders.read(path, stream, Limits()))
    samples = [item.sample for item in items if isinstance(item, Found)]
    learned = [shown(sample) for sample in samples if isinstance(sample, Dialogue | Text)]
    reasons = [item.reason for item in items if isinstance(item, Refused)]
    words = case.get("refusal_words") or []
    assert isinstance(words, list)
    is_named = any(re.search(word, reason, re.IGNORECASE) for word in words for reason in reasons)
    if case["expected"] is not None and path.name != CUMULATIVE:
        is_right = sorted(learned) == sorted(expected(case)) and (bool(learned) or is_named)
        is_right = is_right or (path.name.endswith(READ) and bool(learned) and not expected(case))
        assert is_right or (is_named and not learned), (learned, reasons)
    if case["preference"]:
        assert any(sample.kind == "preference" for sample in samples)
