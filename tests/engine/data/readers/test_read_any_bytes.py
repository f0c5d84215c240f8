"""Whatever a file holds ends as conversations or refusals: never an exception, never silence, never much memory."""

import codecs
import io
import json
import tracemalloc
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.canonical import from_canonical
from engine.data.readers.items import Found
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.records.text import clean

SMALL = Limits(record_bytes=2000, depth=8, containers=50, turns=6)
_scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10))
_keys = st.sampled_from(
    "messages role content conversations from value instruction input output history system tools tool_calls prompt "
    "completion chosen rejected text instances label name arguments function user assistant human gpt".split()
)
_values = st.recursive(
    _scalars | _keys, lambda v: st.lists(v, max_size=4) | st.dictionaries(_keys, v, max_size=4), max_leaves=12
)
_nearly = st.lists(_values, min_size=1, max_size=4).map(
    lambda values: b"\n".join(json.dumps(v).encode("utf-8", "surrogatepass") for v in values)
)
_speech = st.lists(st.sampled_from(["Human:", "Assistant:", "A:", "B:", "__eou__", "\n", "\n\n", " x", "{", "["])).map(
    lambda parts: "".join(parts).encode()
)


@st.composite
def _mangled(draw):
    raw = bytearray(draw(_nearly | _speech | st.binary(max_size=300)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 5))] = draw(st.binary(max_size=4))
    return bytes(raw)


@given(_mangled())
def test_any_bytes_are_learned_or_refused(raw):
    items = list(read_known(io.BytesIO(raw), SMALL))
    for item in items:
        assert 0 <= item.start <= item.end
        if isinstance(item, Found):
            conversation = item.sample
            assert from_canonical(conversation.canonical) == conversation
            said = conversation.texts
            assert all(text and text == clean(text) for text in said)
    if not items:
        assert raw in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} or not clean(raw.decode("utf-8", "replace"))


@given(_mangled(), st.integers(0, 300))
def test_reading_on_after_growth_is_reading_it_all(raw, cut):
    """What the first reading leaves behind and the second one finds is everything that one reading finds."""
    cut = min(cut, len(raw))
    whole = {i.sample for i in read_known(io.BytesIO(raw), SMALL) if isinstance(i, Found)}
    first = list(read_known(io.BytesIO(raw[:cut]), SMALL))
    resume = first[-1].resume if first else None
    second = list(read_known(io.BytesIO(raw), SMALL, resume))
    formats = {i.resume.format for i in [*first, *second, *read_known(io.BytesIO(raw), SMALL)]}
    if formats <= {"lines"} or formats <= {"plain"} or formats <= {"utterances"}:
        assert whole <= {i.sample for i in [*first, *second] if isinstance(i, Found)}


@given(st.text())
def test_clean_is_a_normal_form(text):
    once = clean(text)
    assert clean(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once.encode() is not None
    assert "\r" not in once


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "nested deeper"),
        (b'{"messages":' * 50_000, "nested deeper"),
        (b'{"messages": [{"role": "user", "content": "x"', "cut off"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "no assistant turn"),
        (b'{"messages": [{"role": "narrator", "content": "x"}]}', "role 'narrator' is unknown; known are"),
        (b'{"messages": "hello"}', "messages must be an array, not a string"),
        (b'{"messages": [3]}', "expected a message with role and content"),
        (b'{"query": 1, "passage": 2}', "unknown shape with passage, query; where these are a question"),
        (b"[]", "an empty array"),
        (b'{"a": nope}', "not valid JSON"),
        (b'{"text": "\xff\xfe"}', "not valid UTF-8: byte 0xff at offset 10"),
        (b"hello \xff there", "not valid UTF-8: byte 0xff at offset 6"),
        (b"\x1f\x8b\x08\x00 packed", "gzip"),
        (b"\x00\x01\x02\x03" * 50, "binary data: byte 0 at offset 0"),
        (b"Human: p\n\nAssistant: c\0", "binary data: byte 0 at offset 22"),
        (b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "only text can be learned"),
        (b'{"label": false, "answer": "c"}', "unknown shape with answer, label"),
        (b"Human: is anybody there?\n", "no assistant turn"),
    ],
)
def test_what_is_wrong_is_said(read_bytes, raw, reason):
    found, refused = read_bytes(raw)
    assert found == []
    assert len(refused) == 1
    assert reason in refused[0].reason


@pytest.mark.parametrize(
    "raw",
    [
        b'{"n": ' + b"9" * 100_000 + b', "prompt": "p", "completion": "c"}',
        b'{"n": NaN, "m": -Infinity, "prompt": "p", "completion": "c"}',
        b'{"prompt": "other", "prompt": "p", "completion": "c"}',
        b'\xef\xbb\xbf{"prompt": "p", "completion": "c"}',
        b'{"prompt": "p\\u0000", "completion": "\\u0007c"}',
        '{"prompt": "p", "completion": "c"}'.encode("utf-16"),
        b"Human: p\r\n\r\nAssistant: c\r\n",
        b"\x07Human: p\n\nAssistant: c\x07",
        b"Q: p\nA: c",
        b"### Human: p\n### Assistant: c",
        b"**User:** p\n\n**Assistant:** c\n",
    ],
)
def test_odd_but_good(read_bytes, raw):
    found, refused = read_bytes(raw)
    assert refused == []
    assert [[(m.role, m.content) for m in c.messages] for c in found] == [[("user", "p"), ("assistant", "c")]]


def test_a_lone_surrogate_is_replaced_and_a_pair_is_kept(read_bytes):
    [found], _ = read_bytes(b'{"prompt": "\\ud800x", "completion": "\\ud83d\\ude00"}')
    assert [m.content for m in found.messages] == ["\ufffdx", "\U0001f600"]


def test_one_bad_line_costs_one_line(read_bytes):
    good = '{"prompt": "p%d", "completion": "c"}\n'
    found, refused = read_bytes((good % 1 + '{"prompt": "p"\n' + good % 2 + "\n" + '{"a": 1}\n' + good % 3).encode())
    assert [c.messages[0].content for c in found] == ["p1", "p2", "p3"]
    assert [r.line for r in refused] == [2, 5]


def test_a_bad_first_line_costs_one_line(read_bytes):
    good = '{"prompt": "p%d", "completion": "c"}\n'
    for bad in ('{"prompt": "cut off he\n', "# a comment\n", "{'prompt': 'python'}\n"):
        found, refused = read_bytes((bad + good % 1 + good % 2).encode())
        assert (len(found), [r.line for r in refused]) == (2, [1])


def test_one_bad_element_costs_one_element(read_bytes):
    raw = b'[\n {"prompt": "1", "completion": "c"},\n {"a": nope},\n [3],\n {"prompt": "2", "completion": "c"}\n]'
    found, refused = read_bytes(raw)
    assert [c.messages[0].content for c in found] == ["1", "2"]
    assert [r.line for r in refused] == [3, 4]
    assert [raw[r.start : r.end] for r in refused] == [b'{"a": nope}', b"[3]"]


def test_an_unreadable_turn_ends_its_conversation_there(read_bytes):
    lines = [json.dumps({"role": role, "content": "x"}) for role in ("user", "assistant", "user", "assistant")]
    lines[2] = lines[2][:-4]
    found, refused = read_bytes("\n".join(lines).encode())
    assert [len(c.messages) for c in found] == [2]
    assert [r.line for r in refused] == [3]


class _Endless(io.RawIOBase):
    """A file of one endless value, made as it is read."""

    def __init__(self, head: bytes, filler: bytes, size: int, end: bytes) -> None:
        self._parts = (head, filler, end)
        self._size = len(head) + size + len(end)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = (0, self._at, self._size)[whence] + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:
        head, filler, end = self._parts
        tail_at = self._size - len(end)
        n = min(len(buffer), self._size - self._at)
        if self._at < len(head):
            n = min(n, len(head) - self._at)
            buffer[:n] = head[self._at : self._at + n]
        elif self._at < tail_at:
            n = min(n, tail_at - self._at)
            buffer[:n] = (filler * (n // len(filler) + 1))[:n]
        else:
            buffer[:n] = end[self._at - tail_at : self._at - tail_at + n]
        self._at += n
        return n


@pytest.mark.parametrize(
    ("head", "filler", "end", "found"),
    [
        (b'{"text": "first"}\n{"text": "', b"x", b'"}\n{"text": "last"}\n', 2),
        (b'[{"text": "first"}, {"text": "', b"x", b'"}, {"text": "last"}]', 2),
        (b'[{"text": "first"}, ', b"[", b"", 1),
        (b"Human: ", b"x", b"\n\nAssistant: y", 0),
    ],
)
def test_a_huge_record_is_refused_in_little_memory(head, filler, end, found):
    limits = Limits(record_bytes=1 << 20)
    tracemalloc.start()
    items = list(read_known(io.BufferedReader(_Endless(head, filler, 40 << 20, end)), limits))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    assert sum(isinstance(item, Found) for item in items) == found
    assert len(items) == found + 1


def test_a_long_line_that_is_cut_off_in_a_string_costs_no_quadratic_time(read_bytes):
    """Megabytes of it would take hours; this test has a time limit."""
    whole = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
    found, refused = read_bytes(whole + b'\n{"messages": [{"role": "user", "content": "' + b'say \\"a\\" ' * 300_000)
    assert (len(found), len(refused)) == (1, 1)


def test_combining_marks_cost_no_quadratic_time(read_bytes):
    """A million of them would take hours to sort; this test has a time limit."""
    found, _ = read_bytes(("a" + "\u0315\u0300" * 500_000).encode())
    assert found
