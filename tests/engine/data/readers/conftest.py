"""Made conversations, and a writer for every shape that people bring."""

import io
import json
import re

import pytest
from hypothesis import strategies as st

from engine.data.readers.items import Found, Refused
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.records.text import clean
from engine.data.samples import Conversation, Dialogue, Message

DEFAULTS = Limits()


def read_bytes(raw: bytes, limits: Limits = DEFAULTS) -> tuple[list[Conversation], list[Refused]]:
    items = list(read_known(io.BytesIO(raw), limits))
    return [i.sample for i in items if isinstance(i, Found)], [i for i in items if isinstance(i, Refused)]


@pytest.fixture(scope="session", name="read_bytes")
def reader_of_bytes():
    return read_bytes


_THOUGHTS = re.compile(r"think|thought|reasoning|scratchpad|<\|begin_of_", re.IGNORECASE)
"""In each mark of thoughts: hypothesis draws constants of the readers too."""


def said(alphabet: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[str]:
    """Words in their normal form, without marks of thoughts, which readers take out of an answer."""
    characters = st.characters(exclude_categories=["Cs"]) if alphabet is None else alphabet
    return st.text(characters, min_size=1, max_size=40).map(clean).filter(lambda words: words and _is_said(words))


def _is_said(words: str) -> bool:
    return not _THOUGHTS.search(words)


def conversations(words: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[Conversation]:
    """Dialogues of any roles with at least one answer."""
    words = said() if words is None else words
    turns = st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), words).map(lambda said: Message(*said))
    return st.tuples(st.lists(turns, max_size=5), words.map(lambda said: Message("assistant", said))).flatmap(
        lambda parts: st.permutations([*parts[0], parts[1]]).map(lambda order: Dialogue(messages=tuple(order)))
    )


def exchanges(words: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[Conversation]:
    """A user and an assistant in turn."""
    words = said() if words is None else words
    return st.lists(st.tuples(words, words), min_size=1, max_size=4).map(
        lambda pairs: Dialogue(
            messages=tuple(
                message
                for question, answer in pairs
                for message in (Message("user", question), Message("assistant", answer))
            )
        )
    )


def opens_another(conversation: Conversation) -> bool:
    """Whether instructions follow an answer: in rows without an id, another conversation begins there."""
    roles = [message.role for message in conversation.messages]
    return any(role == "system" and "assistant" in roles[:at] for at, role in enumerate(roles))


def in_rows() -> st.SearchStrategy[Conversation]:
    """What rows without an id can hold."""
    return conversations().filter(lambda said: not opens_another(said))


@pytest.fixture(scope="session")
def strategies():
    class Strategies:
        pass

    made = Strategies()
    made.said, made.conversations, made.exchanges, made.in_rows = said, conversations, exchanges, in_rows
    return made


NAMES = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}


def openai(c: Conversation) -> object:
    return {"messages": [{"role": m.role, "content": m.content} for m in c.messages]}


def openai_parts(c: Conversation) -> object:
    return {"messages": [{"role": m.role, "content": [{"type": "text", "text": m.content}]} for m in c.messages]}


def sharegpt(c: Conversation) -> object:
    return {"id": "x", "conversations": [{"from": NAMES[m.role], "value": m.content} for m in c.messages]}


def array(c: Conversation) -> object:
    return [{"role": m.role, "content": m.content} for m in c.messages]


def alpaca(c: Conversation) -> object:
    *history, question, answer = [m.content for m in c.messages]
    pairs = [list(pair) for pair in zip(history[::2], history[1::2], strict=True)]
    return {"instruction": question, "input": "", "output": answer, "history": pairs}


def completion(c: Conversation) -> object:
    return {"prompt": array(Dialogue(messages=c.messages[:-1])), "completion": array(c)[-1:]}


JSON_SHAPES = {
    "openai": (openai, conversations),
    "openai parts": (openai_parts, conversations),
    "sharegpt": (sharegpt, conversations),
    "array": (array, in_rows),
    "alpaca": (alpaca, exchanges),
    "completion": (completion, exchanges),
}


@pytest.fixture(scope="session", params=JSON_SHAPES)
def json_shape(request):
    """A writer of records, and the strategy of what it can write."""
    writer, made = JSON_SHAPES[request.param]
    return writer, made()


def dumps(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
