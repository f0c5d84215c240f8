"""Tokenizers as others publish theirs give llama.cpp the same ids, of texts and of dialogues."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from engine import version
from engine.config.model import ModelSettings
from engine.data.samples import Message
from engine.gguf import exporting
from engine.models import registry
from tests import foreign
from tests.engine.gguf.conftest import ORIGIN
from tests.llama import loaded

TEXTS = ("the hat", "the  hat\n\nthe", " the\n", "   ", "", "caf\u00e9 \u4f60\u597d", "<end_of_turn> the <|end|>\n the")
DIALOGUE = [Message("user", "the  hat\n"), Message("assistant", "the"), Message("user", "hat the")]


@pytest.mark.parametrize(
    ("make", "template", "eos", "end", "bos"),
    [
        (foreign.gemma_like, foreign.GEMMA, "<eos>", "<end_of_turn>", "<bos>"),
        (foreign.phi3_like, foreign.PHI3, "<|endoftext|>", "<|end|>", "<s>"),
    ],
    ids=["gemma", "phi3"],
)
def test_ids_are_those_of_llama_cpp(
    make: Callable[[], Tokenizer], template: str, eos: str, end: str, bos: str, tmp_path: Path
) -> None:
    ours, theirs = foreign.made(make(), template, eos, end, bos)
    settings = ModelSettings(
        family="thor", hidden=32, layers=1, heads=2, kv_heads=2, feed_forward=32, context=64
    ).resolved
    model = registry.module(registry.build(settings, ours.vocabulary, 3))
    version.publish(tmp_path / "version", model.state_dict(), settings, ours, ORIGIN)
    exporting.write(tmp_path / "version", tmp_path / "out.gguf")
    with loaded(tmp_path / "out.gguf", words_only=True) as llama:
        for text in TEXTS:
            assert llama.encode(text, begins=True) == [*ours.opening, *ours.encode(text)], text
        rendered = theirs.apply_chat_template(
            [{"role": each.role, "content": each.content} for each in DIALOGUE],
            tokenize=False,
            add_generation_prompt=True,
        )
        assert llama.encode(rendered, special=True) == ours.encode_prompt(DIALOGUE)
        assert llama.ends(theirs.convert_tokens_to_ids(end))
