"""Encoding by remembered words gives what the library gives for the whole text."""

import pydoc

import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.tokenizers import bpe, words
from engine.tokenizers.words import Words

TOKENIZER = bpe.train([pydoc.render_doc(str), "a  b \n\n c\t\td  x 's don't we'll"], 600, 1 << 20)
SPACES = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2003\u200b\u2028\u2029\u202f\u205f\u3000"
TEXTS = st.text(st.one_of(st.sampled_from(SPACES + "'.,a1bé字😀"), st.characters(codec="utf-8")), max_size=40)


def whole(folder):
    """The same tokenizer as the library has it."""
    TOKENIZER.save(folder)
    inner = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    inner.encode_special_tokens = True
    return inner


def test_any_text_as_the_library_has_it(tmp_path):
    inner = whole(tmp_path)

    @settings(max_examples=500, deadline=None)
    @given(TEXTS)
    def check(text):
        expected = inner.encode(text, add_special_tokens=False).ids
        assert TOKENIZER.encode(text) == expected  # the first time, and when its words are known
        assert TOKENIZER.encode(text) == expected

    check()


def test_real_text_as_the_library_has_it(tmp_path):
    inner = whole(tmp_path)
    for module in ("argparse", "decimal", "email", "tokenize"):
        text = pydoc.render_doc(module)
        assert TOKENIZER.encode(text) == inner.encode(text, add_special_tokens=False).ids


def test_words_are_asked_for_once_and_forgotten_when_they_are_many(monkeypatch):
    asked = []

    def encode(texts):
        asked.extend(texts)
        return [[ord(character) for character in text] for text in texts]

    cache = Words(encode)
    assert "".join(map(chr, cache.encode("ab cd ab  e\n"))) == "ab cd ab  e\n"
    assert cache.encode("ab cd") == [97, 98, 32, 99, 100]
    assert asked == ["ab", " cd", " ab", "  e", "\n"]
    monkeypatch.setattr(words, "_MOST_CHARACTERS", 14)
    cache.encode("new")
    cache.encode("ab new")
    assert asked[5:] == ["new", "ab", " new"]
