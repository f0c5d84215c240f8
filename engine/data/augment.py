"""Copies of conversations in which the user's turns are written a little differently: as people write, carelessly.

What the assistant says, and what is to be learned, stays as it is. A copy depends on the conversation, its number and
the seed alone, so a run that is repeated learns from the same ones.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from engine.data.samples import Dialogue, Message
from engine.data.snapshot import Example

_SHARE = 0.1
"""Of the words of a turn that are written wrongly or left out."""

Change = Callable[[str, random.Random], str]


def with_copies(example: Example, copies: int, seed: int) -> Iterator[Example]:
    """The example, and so many changed ones; plain text, and dialogues that no change applies to, have no copies."""
    yield example
    if not isinstance(example.sample, Dialogue):
        return
    for number in range(copies):
        draw = random.Random(f"{seed} {example.identity} {number}")
        messages = tuple(_changed(message, draw) for message in example.sample.messages)
        if messages != example.sample.messages:
            yield replace(example, sample=Dialogue(messages))


def _changed(message: Message, draw: random.Random) -> Message:
    if message.role != "user":
        return message
    changed = draw.choice(CHANGES)(message.content, draw)
    return message._replace(content=changed) if changed.strip() else message


def in_small_letters(text: str, draw: random.Random) -> str:
    """Everything, as many people type."""
    del draw
    return text.lower()


def without_end(text: str, draw: random.Random) -> str:
    """The full stop, question or exclamation mark at the end is not typed."""
    del draw
    return text.rstrip(".?!")


def with_slips(text: str, draw: random.Random) -> str:
    """Two neighbouring letters change places in some words."""

    def slip(word: str) -> str:
        if len(word) < 4 or not word.isalpha() or draw.random() >= _SHARE:
            return word
        at = draw.randrange(1, len(word) - 1)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return " ".join(slip(word) for word in text.split(" "))


def with_words_missing(text: str, draw: random.Random) -> str:
    """Some words are left out, where there are enough of them."""
    words = text.split(" ")
    if len(words) < 4:
        return text
    return " ".join(word for word in words if draw.random() >= _SHARE)


CHANGES: tuple[Change, ...] = (in_small_letters, without_end, with_slips, with_words_missing)
