"""What was asked in a request: chat completions, responses, Anthropic's messages, Gemini's contents, plain prompts."""

from pydantic import JsonValue

from engine.data.records.apis.bodies import body_of
from engine.data.records.dialogue import Turn, kind_of, system_turn
from engine.data.records.exports.gemini import content_turns
from engine.data.records.instructions import prompt_turns
from engine.data.records.limits import FormatError
from engine.data.records.messages import openai_turns
from engine.data.records.values import is_record


def request_turns(request: JsonValue) -> list[Turn]:
    """The turns of a request.

    Raises:
        FormatError: it is of no known kind.
    """
    request = body_of(request)
    if not is_record(request):
        raise FormatError(f"a request must be an object, not {kind_of(request)}")
    if "messages" in request:
        return openai_turns(request)
    if "contents" in request:
        return content_turns(request)
    for key in ("input", "prompt"):
        if request.get(key) is not None:
            opening = system_turn(request.get("instructions", request.get("system")), request.get("tools"))
            return [*opening, *prompt_turns(request[key])]
    raise FormatError("a request without 'messages', 'contents', 'input' or 'prompt': it does not say what was asked")
