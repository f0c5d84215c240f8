"""Requests to a model with its response, as servers, proxies and tracers log them.

| record                                                         | from                                           |
|----------------------------------------------------------------|------------------------------------------------|
| {request, response}, also as bodies or strings of JSON         | OpenAI, Anthropic, Vertex; proxies             |
| {messages, response | choices | completion | output | answer}   | LiteLLM, own logs                              |
| {input, output | ideal}, {inputs, outputs}                     | OpenAI's Responses, Langfuse, LangSmith, Evals |
"""

from pydantic import JsonValue

from engine.data.records.apis.answers import answer_turns
from engine.data.records.apis.requests import request_turns
from engine.data.records.dialogue import dialogue_of
from engine.data.records.limits import Limits
from engine.data.records.messages import is_message_list, openai_turns
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, is_record, items, string
from engine.data.samples import Dialogue

_REQUESTS = ("request", "request_body", "requestBody")
_RESPONSES = ("response", "response_body", "responseBody")
_INPUTS = ("input", "inputs")
_OUTPUTS = ("output", "outputs", "ideal")
_BESIDE_MESSAGES = ("choices", "response", "completion", "output", "answer")


def _first(record: Record, keys: tuple[str, ...]) -> JsonValue:
    return next((record[key] for key in keys if record.get(key) is not None), None)


def _is_logged(record: Record) -> bool:
    request = _first(record, _REQUESTS)
    return isinstance(request, dict | str) and _first(record, _RESPONSES) is not None


def _parse_logged(record: Record, limits: Limits) -> Dialogue:
    return _exchange(_first(record, _REQUESTS), _first(record, _RESPONSES), limits)


def _is_traced(record: Record) -> bool:
    given, answered = _first(record, _INPUTS), _first(record, _OUTPUTS)
    is_said = is_message_list(given) or (is_record(given) and "messages" in given)
    is_response = isinstance(given, str) and any(is_record(each) and "type" in each for each in items(answered))
    return answered is not None and (is_said or is_response)


def _parse_traced(record: Record, limits: Limits) -> Dialogue:
    given = _first(record, _INPUTS)
    request = given if is_record(given) else {"input": given, "instructions": record.get("instructions")}
    return _exchange(request, _first(record, _OUTPUTS), limits)


def _is_answered(record: Record) -> bool:
    """Messages that wait for the answer that stands beside them."""
    said = items(record.get("messages"))
    last = said[-1] if said else None
    waits = is_record(last) and string(last.get("role")).lower() in ("user", "tool", "human", "function")
    return waits and _first(record, _BESIDE_MESSAGES) is not None


def _parse_answered(record: Record, limits: Limits) -> Dialogue:
    key = next(key for key in _BESIDE_MESSAGES if record.get(key) is not None)
    answer = {"choices": record[key]} if key == "choices" else record[key]
    return dialogue_of([*openai_turns(record), *answer_turns(answer)], limits)


def _exchange(request: JsonValue, response: JsonValue, limits: Limits) -> Dialogue:
    return dialogue_of([*request_turns(request), *answer_turns(response)], limits)


SHAPES = (
    RecordShape("{request, response}", _is_logged, _parse_logged, _REQUESTS),
    RecordShape("{input: [messages], output}", _is_traced, _parse_traced, _INPUTS),
    RecordShape("{messages, response}", _is_answered, _parse_answered, _BESIDE_MESSAGES),
)
