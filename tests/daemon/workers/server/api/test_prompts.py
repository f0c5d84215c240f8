"""What texts begin with, where a foreign tokenizer has nothing that every text begins with."""

import asyncio
from types import SimpleNamespace

from daemon.workers.server.api import prompts

FIRST = 7


class Bare:
    """As of GPT-2: no text has anything before it."""

    opening = ()

    def special(self, _token):
        return FIRST


class Service:
    async def tokens(self, _tokenizer, texts):
        return [list(text.encode()) for text in texts]


def encoded(written):
    spec = SimpleNamespace(tokenizer=Bare(), vocabulary=256)
    return asyncio.run(prompts.encoded(Service(), spec, written, "prompt"))


def test_only_an_empty_text_needs_something_to_begin_from():
    found = encoded(["ab", ""])
    assert found.ids == [[97, 98], [FIRST]], "what is beside a text changes nothing about it"
    assert found.shown == [[97, 98], []]
    assert encoded("ab").ids == [[97, 98]]


def test_ids_are_taken_and_shown_as_they_are():
    for written in ([1, 2], [[1, 2]]):
        found = encoded(written)
        assert found.ids == found.shown == [[1, 2]]
