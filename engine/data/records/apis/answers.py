"""What a model answered in a response: choices, candidates, blocks of content, or text."""

from pydantic import JsonValue

from engine.data.records.apis.bodies import body_of
from engine.data.records.content.endings import is_broken_off
from engine.data.records.dialogue import Turn, kind_of
from engine.data.records.exports.gemini import content_turns
from engine.data.records.limits import FormatError
from engine.data.records.messages import turns_of
from engine.data.records.values import Record, child, is_record, items

_WORDS = ("output_text", "text", "completion", "generated_text", "answer")


def answer_turns(response: JsonValue) -> list[Turn]:
    """The turns of a response.

    Raises:
        FormatError: it has no answer, several of them, or something other than text.
    """
    response = body_of(response)
    if isinstance(response, str):
        return [Turn("assistant", response)]
    if isinstance(response, list):
        return turns_of(response)
    if not is_record(response):
        raise FormatError(f"a response must be an object or text, not {kind_of(response)}")
    if response.get("error"):
        raise FormatError("a request that failed: there is no answer to learn")
    turns = _turns_of(response)
    return [turn._replace(weight=0) for turn in turns] if is_broken_off(response) else turns


def _turns_of(response: Record) -> list[Turn]:
    for key in ("choices", "candidates", "generations"):
        if isinstance(response.get(key), list):
            answers = items(response[key])
            nested = items(answers[0]) if len(answers) == 1 else []
            return _only(nested or answers, key)  # generations of LangChain: a list for each prompt
    return _answer(response)


def _only(answers: list[JsonValue], key: str) -> list[Turn]:
    """The one answer; of several it is not known which counts."""
    if len(answers) != 1 or not is_record(answer := answers[0]):
        raise FormatError(f"a response with {len(answers)} {key}: it does not say which one counts")
    content = {"role": "model", **child(answer, "content")}
    turns = content_turns({"contents": [content]}) if key == "candidates" else _answer(answer)
    return [turn._replace(weight=0) for turn in turns] if is_broken_off(answer) else turns


def _answer(answer: Record) -> list[Turn]:
    for key in ("message", "messages", "output", "response", "content"):
        value = answer.get(key)
        if key == "content" and value is not None:
            return turns_of([{"role": answer.get("role", "assistant"), "content": value}])
        if is_record(value):
            return turns_of([value])
        if isinstance(value, list | str):
            return answer_turns(value)
    word = next((answer[key] for key in _WORDS if isinstance(answer.get(key), str)), None)
    if word is None:
        raise FormatError(f"a response with {', '.join(sorted(answer))[:80]}: none of these is known to hold an answer")
    return [Turn("assistant", str(word))]
