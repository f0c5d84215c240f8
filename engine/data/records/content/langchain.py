"""Messages as LangChain dumps them, in the form of OpenAI.

| written by                           | message                                                               |
|--------------------------------------|-----------------------------------------------------------------------|
| ``messages_to_dict``, chat histories | {type: human, data: {content}}                                        |
| ``dumpd``, ``dumps``, LangSmith      | {lc: 1, type: constructor, id: [..., HumanMessage], kwargs: {content}} |

Sources: `langchain_core.messages` and `langchain_core.load`. Calls that a model of Anthropic made stand twice in a
message, in ``tool_calls`` and among the parts of the content: those in ``tool_calls`` count.
"""

from pydantic import JsonValue

from engine.data.records.values import Record, child, is_record, items, string

_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "function"}
_SAID = ("content", "name", "tool_call_id", "tool_calls")
_OWN = ("type", "data", "lc", "id", "kwargs", "role", "additional_kwargs", "example")
"""Keys of the dump itself. All others go with the message: marks such as ``weight`` and ``status`` are among them."""


def _held(message: Record) -> Record | None:
    """What is dumped; none where this is no dump."""
    if isinstance(message.get("type"), str):
        if isinstance(message.get("id"), list) and "lc" in message and is_record(held := message.get("kwargs")):
            return held
        if is_record(held := message.get("data")) and "content" in held and "role" not in message:
            return held
    return None


def is_dump(message: Record) -> bool:
    """Whether this is a message of LangChain."""
    return _held(message) is not None


def message_of(message: Record) -> Record:
    """The message in the form of OpenAI; as it is where it is no dump."""
    held = _held(message)
    if held is None:
        return message
    kind = _kind(message)
    made: Record = {"role": string(held.get("role")) if kind == "chat" else _ROLES.get(kind, kind)}
    for marked in (message, held):
        made |= {key: value for key, value in marked.items() if key not in _OWN and (value or key not in _SAID)}
    made.setdefault("content", "")
    for key in ("tool_calls", "function_call"):
        if key not in made and (calls := child(held, "additional_kwargs").get(key)):
            made[key] = calls
    if "tool_calls" in made and isinstance(made["content"], list):
        made["content"] = [part for part in items(made["content"]) if not _is_call(part)]
    return made


def _kind(message: Record) -> str:
    """``human`` of ``human``, ``HumanMessage`` and ``HumanMessageChunk``."""
    names = items(message.get("id"))
    name = string(names[-1]) if names else string(message["type"])
    return name.removesuffix("Chunk").removesuffix("Message").lower()


def _is_call(part: JsonValue) -> bool:
    return is_record(part) and part.get("type") in ("tool_use", "tool_call")
