"""How an answer is written: lines that each have a piece of it, and one that ends it with counts and durations."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal

from pydantic import JsonValue

from daemon.clock import utc_now
from daemon.workers.server.answers import Result, finish_reason
from daemon.workers.server.api.answering.turn import ChatTurn
from daemon.workers.server.api.tool_calls import CallBegun, Content, Said
from engine.data.samples import ToolCall

Piece = dict[str, JsonValue]
_NANOSECONDS = 1_000_000_000


class Lines:
    """The lines of one answer.

    Args:
        kind: whether it is a message, or only its text.
    """

    def __init__(self, turn: ChatTurn, name: str, model: str, kind: Literal["chat", "generate"]) -> None:
        self._turn = turn
        self._name = name
        self._model = model
        self._kind = kind

    async def keep(self, results: Sequence[Result]) -> None:
        """Have the answer learned, where the conversation log is in use."""
        await self._turn.log(self._name, results)

    def whole(self, results: list[Result]) -> Piece:
        """The answer in one piece."""
        (result,) = results
        said = self._turn.use.read(result.text)
        logprobs = self._turn.scored(self._turn.shown(result))
        return {**self._piece(said.content, said.message.tool_calls, logprobs), **self._ended(result)}

    async def lines(self) -> AsyncIterator[Mapping[str, JsonValue]]:
        """The lines of a stream: text as it comes, calls when they are whole."""
        said = Said()
        async for heard in self._turn.heard():
            logprobs = self._turn.scored(heard.tokens)
            for part in heard.parts:
                if isinstance(part, Content):
                    yield self._piece(part.text, (), logprobs)
                    logprobs = []
                elif isinstance(part, CallBegun) and said.calls:
                    yield self._piece("", said.message.tool_calls[-1:])
                said.add([part])
            if heard.ended_by is not None:
                if said.calls:
                    yield self._piece("", said.message.tool_calls[-1:])
                await self.keep(self._turn.results)
        yield {**self._piece("", ()), **self._ended(self._turn.results[0])}

    def _piece(self, text: str, calls: Sequence[ToolCall], logprobs: list[JsonValue] | None = None) -> Piece:
        piece: Piece = {"model": self._model, "created_at": utc_now()}
        if self._kind == "generate":
            piece["response"] = text
        else:
            message: Piece = {"role": "assistant", "content": text}
            if calls:
                message["tool_calls"] = [_called(call) for call in calls]
            piece["message"] = message
        return {**piece, "done": False, **({"logprobs": logprobs} if logprobs else {})}

    def _ended(self, result: Result) -> Piece:
        answer = self._turn.answer
        first = int(answer.first_text_seconds * _NANOSECONDS)
        total = int(answer.seconds * _NANOSECONDS)
        return {
            "done": True,
            "done_reason": finish_reason(result.ended_by),
            "total_duration": total,
            "load_duration": 0,
            "prompt_eval_count": answer.prompt_tokens,
            "prompt_eval_duration": first,
            "eval_count": answer.generated,
            "eval_duration": total - first,
        }


def _called(call: ToolCall) -> JsonValue:
    """A call; arguments that were cut off say nothing."""
    return {"function": {"name": call.name, "arguments": call.arguments if isinstance(call.arguments, dict) else {}}}


def nothing(model: str, kind: Literal["chat", "generate"]) -> Piece:
    """The answer to a request that says nothing: it asks to have the model loaded."""
    said: Piece = {"response": ""} if kind == "generate" else {"message": {"role": "assistant", "content": ""}}
    return {"model": model, "created_at": utc_now(), **said, "done": True, "done_reason": "load"}
