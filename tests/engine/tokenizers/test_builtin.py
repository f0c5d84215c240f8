"""Every kind of thord's own: exact round trips on any Unicode, deterministic, and read by transformers too."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from engine.artifacts import ArtifactError
from engine.config.tokenizer import TokenizerSettings
from engine.data import shard
from engine.data.samples import Dialogue, Message, Text
from engine.tokenizers import encode, registry
from engine.tokenizers.base import SPECIAL_TOKENS
from engine.tokenizers.train import train

REPOSITORY = Path(__file__).parents[3]
KINDS = ["bpe", "unigram", "sentencepiece-bpe", "bytes"]
TEXT = [line for part in (subprocess, subprocess.Popen, hashlib, str) for line in (part.__doc__ or "").splitlines()]
NASTY = [
    *SPECIAL_TOKENS,
    "<0x41>",
    "<0xE2>",
    " ",
    "  ",
    "\n",
    "\t",
    "a",
    "\u2581",
    "\u0000",
    "\ufeff",
    "e\u0301",
    "日本",
    "😀",
]
UNICODE = st.text(alphabet=st.characters(exclude_categories=("Cs",)))
ANYTHING = UNICODE | st.lists(st.sampled_from(NASTY)).map("".join)


def trained(kind, texts=TEXT, vocabulary=600):
    return train(TokenizerSettings(kind=kind, vocabulary=vocabulary), texts)


TOKENIZERS = {kind: trained(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@given(text=ANYTHING)
@settings(deadline=None)
def test_any_text_comes_back_and_is_never_special(kind, text) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode_bytes(ids) == text.encode()
    assert not set(ids) & tokenizer.specials.keys()
    assert [found.tolist() for found in tokenizer.encode_batch([text, "x"])] == [ids, tokenizer.encode("x")]


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_it_is_the_same(kind, tmp_path: Path) -> None:
    tokenizer = TOKENIZERS[kind]
    tokenizer.save(tmp_path)
    first = (tmp_path / "tokenizer.json").read_bytes()
    loaded = registry.load(kind, tmp_path)
    text = "".join(TEXT) + "".join(NASTY)
    assert (loaded.kind, loaded.vocabulary, loaded.specials) == (kind, tokenizer.vocabulary, tokenizer.specials)
    assert loaded.encode(text) == tokenizer.encode(text)
    loaded.save(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == first


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_reads_it_alike(kind, tmp_path: Path) -> None:
    tokenizer = TOKENIZERS[kind]
    tokenizer.save(tmp_path)
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    for text in (*TEXT, "日本 <0x41> 😀\u2581 x", "  spaced   out\n\n\tlines "):
        ids = theirs.encode(text, add_special_tokens=False)
        assert ids == tokenizer.encode(text)
        assert theirs.decode(ids) == text
    marked = theirs.encode("<|user|>hi<|end|>", add_special_tokens=False)
    assert marked == [tokenizer.special("<|user|>"), *tokenizer.encode("hi"), tokenizer.special("<|end|>")]


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_the_same_in_every_process(kind, tmp_path: Path) -> None:
    program = (
        "import pathlib, sys; sys.path[:0] = ['.', 'tests/engine/tokenizers']\n"
        "from test_builtin import TOKENIZERS; TOKENIZERS[sys.argv[1]].save(pathlib.Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", program, kind, str(tmp_path)], check=True, cwd=REPOSITORY)
    theirs = (tmp_path / "tokenizer.json").read_bytes()
    TOKENIZERS[kind].save(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == theirs


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_frequent_takes_less(kind) -> None:
    text = "\n".join(TEXT)
    shortened = len(TOKENIZERS[kind].encode(text)) / len(text.encode())
    assert shortened == 1.0 if kind == "bytes" else shortened < 0.6
    assert TOKENIZERS[kind].vocabulary == (264 if kind == "bytes" else 600)


@pytest.mark.parametrize("kind", ["unigram", "sentencepiece-bpe"])
def test_odd_samples_are_learned_from_too(kind: str) -> None:
    for texts in ([], ["", " ", "\n\n"], ["ab ab"], ["\u2581\u0000"], [chr(0x4E00 + n) for n in range(3000)]):
        tokenizer = trained(kind, texts, vocabulary=400)
        assert tokenizer.vocabulary <= 400
        assert tokenizer.decode(tokenizer.encode("ab \u4e01\u2581")) == "ab \u4e01\u2581"


@pytest.mark.parametrize("kind", ["unigram", "sentencepiece-bpe"])
def test_only_the_sample_is_learned_from(kind: str) -> None:
    settings = TokenizerSettings(kind=kind, vocabulary=500, sample_megabytes=1)
    short, long = (train(settings, ["tell me " * 140_000, "zzz" * times]) for times in (0, 10_000))
    assert len(short.encode("zzz")) == len(long.encode("zzz")) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_dialogue_has_its_roles_and_only_the_assistant_is_learned(kind) -> None:
    tokenizer = TOKENIZERS[kind]
    messages = [Message("user", "a"), Message("assistant", "b<|end|>"), Message("user", "c"), Message("assistant", "d")]
    (encoded,) = tokenizer.encode_dialogues([(messages, 2)])
    names = [tokenizer.specials.get(number, "") for number in encoded.ids]
    assert [name for name in names if name] == [
        *("<|bos|>", "<|user|>", "<|end|>", "<|assistant|>", "<|end|>"),
        *("<|user|>", "<|end|>", "<|assistant|>", "<|end|>"),
    ]
    learned = encoded.ids[encoded.supervised].tolist()
    assert learned == [*tokenizer.encode("d"), tokenizer.special("<|end|>")]
    assert tokenizer.encode_prompt(messages[:3]) == encoded.ids[: -len(learned)].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_many_conversations_have_the_tokens_that_each_has_alone(kind, tmp_path: Path) -> None:
    """Texts and dialogues in between each other, more than are encoded at once, one of them longer than all that is."""
    turns = [(Message("user", line or "?"), Message("assistant", line[::-1]), Message("user", "é")) for line in TEXT]
    texts = [Text(text=line or "!") for line in TEXT] + [Text(text="long " * 60_000)]
    dialogues = [Dialogue(messages=messages[: 1 + number % 3]) for number, messages in enumerate(turns)]
    mixed = [one for pair in zip(texts, dialogues, strict=False) for one in pair] + texts[-1:]
    several = [(one, number % 2) for number, one in enumerate(mixed * (1 + 600 // len(mixed)))]
    written = shard.write(tmp_path / "shard", encode.encode_conversations(TOKENIZERS[kind], several))
    assert len(written) == len(several)
    fresh = trained(kind)
    for number, one in enumerate(several[: len(mixed)]):
        (alone,) = encode.encode_conversations(fresh, [one])
        place = slice(written.starts[number], written.starts[number + 1])
        assert written.ids[place].tolist() == alone.ids.tolist()
        assert written.supervised[place].tolist() == alone.supervised.tolist()


def test_conversations_are_taken_as_they_are_needed() -> None:
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield Text(text="word " * 1000), 0

    next(encode.encode_conversations(TOKENIZERS["bpe"], endless()))
    assert len(taken) < 100  # half a megabyte, however many there are


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", ["", "{}", '{"version": "1.0", "model": {"type": "BPE"}}'])
def test_a_damaged_file_is_an_artifact_error(kind, content: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ArtifactError, match="tokenizer"):
        registry.load(kind, tmp_path)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    TOKENIZERS["bpe"].save(tmp_path)
    with pytest.raises(ArtifactError):
        registry.load("bytes", tmp_path)
    with pytest.raises(ArtifactError, match="no kind of tokenizer 'wordpiece'; there are bpe"):
        registry.load("wordpiece", tmp_path)


@pytest.mark.parametrize("vocabulary", [400, 1000])
@pytest.mark.parametrize("kind", ["unigram", "sentencepiece-bpe"])
def test_learned_from_few_characters_it_still_takes_no_text_for_a_special_token(kind: str, vocabulary: int) -> None:
    """The trainer of SentencePiece forgets characters that it has to know where a text has four of its own."""
    strands = [
        hashlib.sha256(bytes([n])).hexdigest().translate(str.maketrans("0123456789abcdef", "ACGT" * 4))
        for n in range(200)
    ]
    tokenizer = trained(kind, strands, vocabulary)
    assert tokenizer.vocabulary <= vocabulary
    for text in ("".join(SPECIAL_TOKENS), "<0x41><0xFF>", strands[0], " ~A\n"):
        ids = tokenizer.encode(text)
        assert not set(ids) & tokenizer.specials.keys()
        assert tokenizer.decode(ids) == text
    assert len(tokenizer.encode(strands[0])) < len(strands[0]) / 2


def test_one_made_beforehand_is_of_the_kind_that_was_asked_for(tmp_path: Path) -> None:
    TOKENIZERS["unigram"].save(tmp_path)
    made = TokenizerSettings(kind="unigram", folder=str(tmp_path))
    assert train(made, []).encode("x y") == TOKENIZERS["unigram"].encode("x y")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json: .*that tokenizer\.kind says, 'bpe'"):
        train(made.model_copy(update={"kind": "bpe"}), [])


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_of_weight_0_is_context_only(kind) -> None:
    tokenizer = TOKENIZERS[kind]
    turns = (Message("user", "a"), Message("assistant", "wrong"), Message("user", "b"), Message("assistant", "right"))
    marked = Dialogue((turns[0], Message("assistant", "wrong", weight=0), *turns[2:]))
    (whole,), (encoded,) = (encode.encode_conversations(tokenizer, [(one, 0)]) for one in (Dialogue(turns), marked))
    (later,) = encode.encode_conversations(tokenizer, [(Dialogue(turns), 2)])
    assert encoded.ids.tolist() == whole.ids.tolist()
    assert encoded.supervised.tolist() == later.supervised.tolist()
    assert 0 < encoded.supervised.sum() < whole.supervised.sum()
