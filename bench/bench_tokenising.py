"""Conversations a second from text to ids on disk, beside datasets.map with the same tokenizer, one process each.

``python bench/bench_tokenising.py`` takes language from the documentation of Python's library, with FILE what is in a
file of any shape that thord learns from. Tokenizers are new in every round, so what they remember is from that round.
"""

import argparse
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import datasets
import harness
import tokenizers as library
from transformers import PreTrainedTokenizerFast

from engine.config.tokenizer import TokenizerSettings
from engine.data import shard
from engine.data.readers.items import Found
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.samples import Conversation, Dialogue, Message
from engine.tokenizers import encode
from engine.tokenizers import registry as tokenizers
from engine.tokenizers.base import EOS, SPECIAL_TOKENS
from engine.tokenizers.templates.chat_template import ROLE_TOKENS
from engine.tokenizers.train import train as train_tokenizer

_ROUNDS = 5
_GOAL = 2.0
_WORDS = 21
"""Of a turn; two turns and what marks them are some 80 tokens."""
_MOST = 20_000
_SAMPLE = 2_000
"""Conversations that the tokenizer is trained on."""


def measure(conversations: Sequence[Conversation], folder: Path) -> None:
    """Compare the ids of all contestants, then their speed."""
    texts = [text for one in conversations[:_SAMPLE] for text in one.texts]
    train_tokenizer(TokenizerSettings(vocabulary=8192), texts).save(folder)
    file = str(folder / "tokenizer.json")
    written = [_as_text(one) for one in conversations]
    table = datasets.Dataset.from_dict({"text": written})
    rounds = range(_ROUNDS + 1)  # one is for warming up
    ours = iter([(folder / f"ours-{n}", tokenizers.load("bpe", folder)) for n in rounds])
    theirs = iter([(f"transformers-{n}.arrow", PreTrainedTokenizerFast(tokenizer_file=file)) for n in rounds])
    fast = iter([(f"tokenizers-{n}.arrow", library.Tokenizer.from_file(file)) for n in rounds])
    bare = iter([library.Tokenizer.from_file(file) for _ in rounds])

    def mapped(name: str, ids: Callable[[list[str]], list[list[int]]]) -> None:
        table.map(
            lambda batch: {"input_ids": ids(batch["text"])},
            batched=True,
            remove_columns=["text"],
            cache_file_name=str(folder / name),
            new_fingerprint=name,  # else it would hash the tokenizer, too
        )

    def write_ours() -> None:
        place, tokenizer = next(ours)
        shard.write(place, encode.encode_conversations(tokenizer, ((one, 0) for one in conversations)))

    def map_with_transformers() -> None:
        name, tokenizer = next(theirs)
        mapped(
            name, lambda texts: tokenizer(texts, return_attention_mask=False, return_token_type_ids=False)["input_ids"]
        )

    def map_with_tokenizers() -> None:
        name, tokenizer = next(fast)
        mapped(name, lambda texts: [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)])

    def only_encode() -> None:
        next(bare).encode_batch_fast(written)

    contestants = {
        "ours": write_ours,
        "datasets.map, transformers": map_with_transformers,
        "datasets.map, encode_batch_fast": map_with_tokenizers,
        "encode_batch_fast, nothing written": only_encode,
    }
    times = harness.interleaved(_ROUNDS, *contestants.values())
    found = shard.read(folder / "ours-0")
    for name in ("transformers-0.arrow", "tokenizers-0.arrow"):
        rows = datasets.Dataset.from_file(str(folder / name))["input_ids"]
        if found.ids.tolist() != [number for row in rows for number in row]:
            raise SystemExit("our ids and those of datasets.map differ: this is not the same work")
    rates = [len(conversations) / harness.median(seconds) for seconds in times]
    harness.table(
        f"tokenising {len(conversations):,} conversations of {len(found.ids) / len(conversations):.0f} tokens",
        [[name, f"{rate:,.0f}", f"{rates[0] / rate:.2f}"] for name, rate in zip(contestants, rates, strict=True)],
        ["", "conversations/s", "ours is x"],
    )
    print(f"  the goal is {_GOAL:g} times datasets.map; the ids are equal")


def _as_text(conversation: Conversation) -> str:
    """What the library makes the same ids of; it begins every text with <|bos|> by itself."""
    turns = (f"{ROLE_TOKENS[message.role]}{message.content}<|end|>" for message in conversation.messages)
    return "".join(turns) or conversation.text + EOS


def from_documentation() -> Iterator[Conversation]:
    """Runs of words from what Python's own library says of itself, in pairs."""
    words = [word for text in harness.documentation() for word in text.split()]
    runs = [" ".join(words[at : at + _WORDS]) for at in range(0, len(words), _WORDS)]
    for user, assistant in zip(runs[::2], runs[1::2], strict=False):
        yield Dialogue(messages=(Message("user", user), Message("assistant", assistant)))


def from_file(file: Path) -> Iterator[Conversation]:
    """What thord would learn from a file."""
    with file.open("rb") as stream:
        for item in read_known(stream, Limits()):
            if isinstance(item, Found):
                yield item.sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE")
    options = parser.parse_args()
    datasets.disable_progress_bars()
    logging.getLogger("datasets").setLevel(logging.ERROR)
    found = from_file(options.file) if options.file else from_documentation()
    plain = (one for one in found if not any(token in text for text in one.texts for token in SPECIAL_TOKENS))
    with tempfile.TemporaryDirectory() as folder:
        measure([one for one, _ in zip(plain, range(_MOST), strict=False)], Path(folder))


if __name__ == "__main__":
    main()
