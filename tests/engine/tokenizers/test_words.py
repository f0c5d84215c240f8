"""Encoding by remembered words gives what the library gives for the whole text."""

import pydoc
import threading
from array import array

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.tokenizers import bpe, words
from engine.tokenizers.base import SPECIAL_TOKENS

LIKE_SPACE = "\u180e\u200b\ufeff"
"""No white space, though it looks like some; what is learned across it shows where a text was cut."""
LEARNED = [pydoc.render_doc(str), "a  b \n\n c\t\td  x 's don't we'll été 字字 2²"]
LEARNED += [50 * f"a{mark}{other}b " for mark in ".!" for other in LIKE_SPACE]
TOKENIZER = bpe.train(LEARNED, 700, 1 << 20)
SPACES = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2003\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
SPECIAL = SPACES + "'.,_<|>aZsé字\u0301ª1²٣\x00\x7f😀"
PARTS = st.one_of(
    st.sampled_from([*SPECIAL, "'s", "'ll", " '", "  "]), st.sampled_from(SPECIAL_TOKENS), st.characters()
)
TEXTS = st.lists(PARTS.filter(lambda part: not "\ud800" <= part[0] <= "\udfff"), max_size=40).map("".join)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory):
    """The same tokenizer as the library has it: from a text to its ids."""
    folder = tmp_path_factory.mktemp("whole")
    TOKENIZER.save(folder)
    inner = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    inner.encode_special_tokens = True

    def encode(texts):
        return [encoding.ids for encoding in inner.encode_batch(texts, add_special_tokens=False)]

    return encode


def batch(texts):
    return [ids.tolist() for ids in TOKENIZER.encode_batch(texts)]


def test_any_text_as_the_library_has_it(whole) -> None:
    @settings(max_examples=500, deadline=None)
    @given(st.lists(TEXTS, min_size=1, max_size=4))
    def check(texts):
        expected = whole(texts)
        assert batch(texts) == expected  # the first time, and when its words are known
        assert [TOKENIZER.encode(text) for text in texts] == expected

    check()


def test_every_kind_of_neighbours_as_the_library_has_it(whole) -> None:
    """Where it cuts is decided by two or three characters."""
    ascii_only = [chr(number) for number in range(128)]
    texts = [a + b + c for a in (" ", "'") for b in ascii_only for c in ascii_only]
    texts += [f"a{chr(number)} {chr(number)}.  {chr(number)}" for number in range(128, 0x3100)]
    texts += [a + b + c for a in SPECIAL for b in SPECIAL for c in SPECIAL]
    for text, found, expected in zip(texts, batch(texts), whole(texts), strict=True):
        assert found == expected, repr(text)


def test_real_text_as_the_library_has_it(whole) -> None:
    texts = [pydoc.render_doc(module) for module in ("argparse", "decimal", "email", "tokenize")]
    assert batch(texts) == whole(texts)


def test_words_too_long_to_be_remembered_as_the_library_has_them(whole) -> None:
    longest = words._LONGEST
    parts = ["don't " * 3, "strip" * longest, " " * 2 * longest, "x", "7" * 2 * longest, "'.<|" * longest]
    parts += ["\u00e9\u5b57" * longest, "\n" * longest, " y" + "\u3000z" * longest]
    texts = [*parts, "".join(parts), " ".join(reversed(parts))]
    remembered = words.Words(TOKENIZER._inner)
    found = [array("i", packed).tolist() for packed in remembered.encode_batch(texts)]
    assert found == whole(texts)
    assert max(map(len, remembered)) <= longest


def test_words_that_are_forgotten_are_found_again_by_any_thread(whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_MOST_CHARACTERS", 30)
    texts = [pydoc.render_doc("email"), "été 字字 " * 40, "one\u2003two " * 20]
    found = []
    threads = [threading.Thread(target=lambda: found.append([batch(texts) for _ in range(5)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[whole(texts)] * 5] * 4
