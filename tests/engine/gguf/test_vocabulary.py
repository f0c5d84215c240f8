"""Ids are those of llama.cpp, for texts of any kind."""

import random
import string
from pathlib import Path

import pytest

from engine.data.samples import Message
from engine.foreign_model import ForeignModelError
from engine.gguf import container, pretokenizers, vocabulary
from engine.tokenizers.base import END, EOS
from tests.engine.gguf.conftest import SAMPLE, add_words, finish, start
from tests.llama import loaded

_WITH_BARS = (
    "\n|\r\n|\t|\u00a0|\u3000|\u2003|\x0b|\x0c|\x1c|\x85|\u2028| |  |a|Z|\u00e9|\u00df|1|23|\u00bd|\u00b2|'s|'S|'ll|'|"
    "\u2019|.|!!|_|-|\u4f60|\u597d|\u0e01|\u093e|\U0001f44d|\u200d|\ufe0f|\u0301|#|}{|the|fox|<tool_call>|<s>|<0x41>|\u2581"
)
PARTS = [*_WITH_BARS.split("|"), "<|im_end|>"]


def mixed(count: int) -> list[str]:
    draw = random.Random(5)
    return [SAMPLE, "", *("".join(draw.choices(PARTS, k=draw.randint(1, 14))) for _ in range(count))]


@pytest.mark.parametrize("name", pretokenizers.BY_NAME)
def test_byte_level_ids_are_those_of_llama_cpp(name, words, tmp_path: Path) -> None:
    writer = start(tmp_path / "a.gguf")
    count = add_words(writer, words, name)
    finish(writer, count)
    ours = vocabulary.read(container.read(tmp_path / "a.gguf").metadata, count)
    with loaded(tmp_path / "a.gguf", words_only=True) as llama:
        different = [text for text in mixed(300) if ours.encode(text) != llama.encode(text)]
        assert different == []
        assert llama.encode("a", begins=True) == [*ours.opening, *ours.encode("a")]
        assert ours.decode(ours.encode(SAMPLE)) == SAMPLE


def sentencepiece(file, *, add_space_prefix: bool, template: str | None = None) -> int:
    """A file with pieces that have scores; how many there are."""
    draw = random.Random(2)
    characters = [*string.ascii_letters, *string.digits, *".,!'_-{}#<>|", "\u2581", "\u00e9", "\u4f60"]
    pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    learned = {"".join(draw.choices("\u2581aeinost", k=draw.randint(2, 3))) for _ in range(120)}
    learned |= {first + second for first in sorted(learned)[:40] for second in "\u2581et"} - {"\u2581\u2581\u2581"}
    tokens = ["<unk>", "<s>", "</s>", *pieces, *sorted(learned), *characters, "<tool_call>"]
    kinds = [2, 3, 3, *[6] * 256, *[1] * (len(learned) + len(characters)), 4]
    ranks = draw.sample(range(len(tokens)), len(tokens))
    writer = start(file)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_scores([-float(rank) for rank in ranks])
    writer.add_add_space_prefix(add_space_prefix)
    for add, number in ((writer.add_bos_token_id, 1), (writer.add_eos_token_id, 2), (writer.add_unk_token_id, 0)):
        add(number)
    if template:
        writer.add_chat_template(template)
    finish(writer, len(tokens))
    return len(tokens)


@pytest.mark.parametrize("add_space_prefix", [True, False])
def test_sentencepiece_ids_are_those_of_llama_cpp(add_space_prefix: bool, tmp_path: Path) -> None:
    count = sentencepiece(tmp_path / "a.gguf", add_space_prefix=add_space_prefix)
    ours = vocabulary.read(container.read(tmp_path / "a.gguf").metadata, count)
    with loaded(tmp_path / "a.gguf", words_only=True) as llama:
        different = [text for text in mixed(1500) if ours.encode(text) != llama.encode(text)]
        assert different == []
        assert llama.encode("sane", begins=True) == [*ours.opening, *ours.encode("sane")]
    assert ours.decode(ours.encode("on  the sea\n\u00e9 \u8aad")) == "on  the sea\n\u00e9 \u8aad"


def test_the_chat_template_and_all_that_ends_an_answer_are_kept(words, tmp_path: Path) -> None:
    template = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}{{ bos_token }}"
    writer = start(tmp_path / "a.gguf")
    count = add_words(writer, words, "gpt-2")
    writer.add_chat_template(template)
    writer.add_eot_token_id(1)
    writer.add_add_bos_token(True)
    finish(writer, count)
    ours = vocabulary.read(container.read(tmp_path / "a.gguf").metadata, count + 7)
    assert (ours.vocabulary, ours.opening, ours.chat_template) == (count + 7, (0,), template)
    assert (ours.special(EOS), ours.special(END)) == (2, 2)
    assert {0, 1, 2} <= ours.specials.keys()
    said = ours.encode_prompt([Message("user", "fox")])
    assert (said[0], said[-2:]) == (1, [2, 0])


@pytest.mark.parametrize("missing", ["tokens", "eos", "merges"])
def test_what_is_missing_is_named(missing: str, words, tmp_path: Path) -> None:
    writer = start(tmp_path / "a.gguf")
    pieces, merges = words
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    if missing != "tokens":
        writer.add_token_list(pieces)
    if missing != "merges":
        writer.add_token_merges(merges)
    if missing != "eos":
        writer.add_eos_token_id(1)
    finish(writer, len(pieces))
    with pytest.raises(ForeignModelError, match=f"{missing}.* is missing"):
        vocabulary.read(container.read(tmp_path / "a.gguf").metadata, len(pieces))
