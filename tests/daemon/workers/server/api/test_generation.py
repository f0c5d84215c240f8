"""What takes long with a large request is done beside the event loop: streams of others go on meanwhile."""

import asyncio
import threading
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from daemon.workers.server.answers import Result
from daemon.workers.server.api.generation import in_one_piece
from daemon.workers.server.api.routes import tokens
from engine.inference.requests import Scored


class Loop:
    """Whoever waits for its turn in the event loop's own thread waits in vain."""

    def __init__(self):
        self._turned = threading.Event()

    async def while_it_turns(self, work):
        asyncio.get_running_loop().call_later(0.05, self._turned.set)
        return await work

    def wait_for_a_turn(self):
        assert self._turned.wait(10), "the event loop stood still"


@pytest.mark.anyio
async def test_log_probabilities_are_written_beside_it():
    loop = Loop()

    class Answer:
        version = 1

        async def whole(self):
            return [Result(tokens=[Scored(7, -1.0)])]

        def close(self):
            pass

    def write(_results):
        loop.wait_for_a_turn()
        return {"done": True}

    answer = await loop.while_it_turns(in_one_piece(Answer(), write))
    assert answer.body == b'{"done":true}'


@pytest.mark.anyio
async def test_tokens_are_written_beside_it():
    loop = Loop()

    class Tokenizer:
        opening, specials = (), {}

        def decode_bytes(self, _ids):
            loop.wait_for_a_turn()
            return b"a"

        def decode(self, _ids):
            loop.wait_for_a_turn()
            return "a"

    class Service:
        body_limit = 1000

        async def prompt_spec(self):
            return SimpleNamespace(tokenizer=Tokenizer(), vocabulary=9, context=8)

        async def tokens(self, _tokenizer, texts):
            return [[7] for _ in texts]

    app = FastAPI()
    app.include_router(tokens.router(Service()))

    async def asked(path, body):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://thord") as client:
            return (await client.post(path, json=body)).json()

    found = await loop.while_it_turns(asked("/tokenize", {"prompt": "a", "return_token_strs": True}))
    assert found["token_strs"] == ["a"]
    loop = Loop()
    assert await loop.while_it_turns(asked("/detokenize", {"tokens": [7]})) == {"prompt": "a"}
