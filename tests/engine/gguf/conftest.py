"""Models of transformers as versions of thord, to be written as GGUF files; and files of a vocabulary alone."""

import json
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from engine.huggingface import importing
from engine.manifest import Lineage
from tests.engine.huggingface.conftest import Foreign, foreign  # noqa: F401 - a fixture
from tests.foreign import CHATML

SAMPLE = (
    "The quick brown fox jumps over the lazy dog's den; don't we'll they've I'M. 0123 456 789 1234567890 3.14e-10\n"
    'def f(x):\r\n\treturn x ** 2  # squares\n\n\n    if (a != b) { print("yes"); }\n'
    "Приве\u0301т, мир! Ελληνικά. 你好\uff0c世界。 こんにちは 안녕하세요 مرحبا नमस्ते สวัสดี \u00bd \u00b2 \u2167 "
    "\U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7 na\u00efve e\u0301 \u00a0\u3000\u2003\u200b  end   "
)
"""Several scripts, digits, code, white space."""
ORIGIN = Lineage(
    version=1, parent=None, cycle=None, snapshot_sha256="", seed=0, settings={}, training_seconds=0.0, metrics={}
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VersionOf = Callable[[str], tuple[PreTrainedModel, Path]]
"""Makes a model of a layout, and a version of thord of it."""
USERS_OWN = "<tool_call>"


@pytest.fixture
def version_of(foreign: Foreign, tmp_path: Path) -> VersionOf:  # noqa: F811 - the fixture
    """Make a model of a layout, and a version of thord of it."""

    def make(name: str) -> tuple[PreTrainedModel, Path]:
        theirs, folder = foreign(name)
        _tokenizer().save_pretrained(folder)
        importing.take(folder, tmp_path / f"version-{name}", 1)
        return theirs, tmp_path / f"version-{name}"

    return make


def _tokenizer() -> PreTrainedTokenizerFast:
    """ChatML over a byte-level BPE of 300 pieces that has learned some merges."""
    inner = _trained(300)
    inner.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIALS])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|endoftext|>", pad_token="<|endoftext|>", chat_template=CHATML
    )


def _trained(pieces: int) -> Tokenizer:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        [SAMPLE] * 3, trainers.BpeTrainer(vocab_size=pieces, initial_alphabet=alphabet, show_progress=False)
    )
    return inner


@pytest.fixture(scope="session")
def words() -> tuple[list[str], list[str]]:
    """Pieces and merges of a byte-level BPE that was trained on `SAMPLE`."""
    model = json.loads(_trained(600).to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return pieces, [" ".join(merge) for merge in model["merges"]]


def start(file: Path, arch: str = "llama", **other: int | float) -> gguf.GGUFWriter:
    """A file with the sizes of a tiny model of an architecture."""
    writer = gguf.GGUFWriter(file, arch)
    sizes = {"context_length": 64, "embedding_length": 32, "block_count": 1, "feed_forward_length": 64}
    sizes |= {"attention.head_count": 2, "attention.layer_norm_rms_epsilon": 1e-5, **other}
    for key, value in sizes.items():
        (writer.add_float32 if isinstance(value, float) else writer.add_uint32)(f"{arch}.{key}", value)
    return writer


def finish(writer: gguf.GGUFWriter, rows: int) -> None:
    """Write what was added, and an embedding of so many rows."""
    writer.add_tensor("token_embd.weight", np.zeros((rows, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_words(writer: gguf.GGUFWriter, words: tuple[list[str], list[str]], pre: str) -> int:
    """A byte-level BPE with special tokens; how many tokens there are."""
    pieces, merges = words
    tokens = [*SPECIALS, USERS_OWN, *pieces, "[PAD]"]
    kinds = [3] * len(SPECIALS) + [4] + [1] * len(pieces) + [5]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    return len(tokens)
