"""What is learned of a record, or of rows, as plain lists."""

import json
from collections.abc import Callable

import pytest

from engine.data.records.collections.conversations import conversations_in
from engine.data.records.limits import FormatError, Limits
from engine.data.records.registry import parse
from engine.data.samples import Dialogue

Turns = list[tuple[str, str]]
Learn = Callable[[object], list[Turns]]


def _turns(dialogue: Dialogue) -> Turns:
    return [
        ("context" if m.role == "assistant" and not m.weight else m.role, m.plain_content) for m in dialogue.messages
    ]


@pytest.fixture(scope="session")
def learn() -> Learn:
    """The dialogues in a record; an answer that is not learned has the role ``context``."""

    def learn(record: object) -> list[Turns]:
        found = parse(json.loads(json.dumps(record)), Limits())
        return [_turns(each) for each in found if isinstance(each, Dialogue)]

    return learn


@pytest.fixture(scope="session")
def learn_rows() -> Learn:
    """The dialogues in a list of rows."""

    def learn_rows(rows: object) -> list[Turns]:
        found = conversations_in(json.loads(json.dumps(rows)), Limits())
        return [_turns(each) for each in found if isinstance(each, Dialogue)]

    return learn_rows


@pytest.fixture(scope="session")
def problems() -> Callable[[object], list[str]]:
    """Why parts of a record cannot be learned."""

    def problems(record: object) -> list[str]:
        try:
            found = parse(json.loads(json.dumps(record)), Limits())
        except FormatError as error:
            return [str(error)]
        return [str(each) for each in found if isinstance(each, FormatError)]

    return problems
