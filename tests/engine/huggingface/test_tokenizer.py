"""Tokenizers in Hugging Face's files, as they are taken over."""

from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer

from engine.data.samples import Message
from engine.foreign_model import ForeignModelError
from engine.huggingface import importing
from engine.tokenizers import registry
from tests.engine.huggingface.conftest import Foreign


def test_a_special_token_that_only_the_tokenizer_has_is_in_no_text(foreign: Foreign, tmp_path: Path) -> None:
    """Gemma 3 has one for pictures, and models of texts alone have no embedding of it."""
    _, folder = foreign("llama")
    inner = Tokenizer.from_file(str(folder / "tokenizer.json"))
    inner.add_tokens([AddedToken(f"<{n}>", normalized=False) for n in range(320 - inner.get_vocab_size())])
    inner.add_special_tokens([AddedToken("<image>", normalized=False)])
    inner.save(str(folder / "tokenizer.json"))
    assert inner.token_to_id("<image>") == 320
    importing.take(folder, tmp_path / "000001", 1)
    words = registry.load("huggingface", tmp_path / "000001")
    assert max(words.encode("a <image>")) < 320
    assert max(words.encode_prompt([Message("user", "an <image>")])) < 320
    (folder / "chat_template.jinja").write_text("{{ '<image>' }}")
    with pytest.raises(ForeignModelError, match="321 tokens, the model has 320 ids"):
        importing.take(folder, tmp_path / "000002", 2)
