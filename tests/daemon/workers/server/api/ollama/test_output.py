"""Lines of answers with calls, which Ollama's clients expect whole: of a turn that a script plays."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from daemon.workers.server.answers import Result
from daemon.workers.server.api.answering.turn import Heard
from daemon.workers.server.api.ollama.output import Lines
from daemon.workers.server.api.tool_calls import Arguments, CallBegun, Content


class Turn:
    """An answer that says something and then calls two tools."""

    def __init__(self) -> None:
        self.results = [Result(ended_by="eos")]
        self.answer = SimpleNamespace(first_text_seconds=0.25, seconds=1.0, prompt_tokens=7, generated=3)
        self.logged: list[str] = []

    async def heard(self) -> AsyncIterator[Heard]:
        yield Heard(0, [Content("I look.")])
        yield Heard(0, [CallBegun(0, "call_1", "weather"), Arguments(0, '{"city": ')])
        yield Heard(0, [Arguments(0, '"Oslo"}'), CallBegun(1, "call_2", "clock"), Arguments(1, "{}")])
        yield Heard(0, [], (), "eos")

    def scored(self, _: object) -> list[object]:
        return []

    async def log(self, name: str, _: object) -> None:
        self.logged.append(name)


@pytest.mark.anyio
async def test_each_call_is_one_line() -> None:
    turn = Turn()
    told = [line async for line in Lines(turn, "chat-1", "thor", "chat").lines()]
    calls = [line["message"].get("tool_calls") for line in told]
    weather = {"function": {"name": "weather", "arguments": {"city": "Oslo"}}}
    assert calls == [None, [weather], [{"function": {"name": "clock", "arguments": {}}}], None]
    assert [line["message"]["content"] for line in told] == ["I look.", "", "", ""]
    last = told[-1]
    assert (last["done_reason"], last["prompt_eval_duration"], last["eval_duration"]) == ("stop", 25e7, 75e7)
    assert turn.logged == ["chat-1"], "before its end is told"
