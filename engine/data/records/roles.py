"""Who speaks: the names that people and programs give to the four roles."""

from engine.data.records.limits import FormatError
from engine.data.samples import Role

_NAMES: dict[Role, tuple[str, ...]] = {
    "system": ("system", "developer"),
    "user": ("user", "human", "prompter", "customer"),
    "assistant": (
        "assistant",
        "gpt",
        "chatgpt",
        "bot",
        "ai",
        "model",
        "claude",
        "bing",
        "bard",
        "chatbot",
        "function_call",
    ),
    "tool": ("tool", "function", "observation", "function_response", "tool_response", "ipython"),
}

KNOWN: dict[str, Role] = {name: role for role, names in _NAMES.items() for name in names}


def is_role(name: object) -> bool:
    """Whether a speaker is called that, whatever its case."""
    return isinstance(name, str) and name.strip().lower() in KNOWN


def role_of(name: object, turn: int) -> Role:
    """The role that ``name`` stands for, whatever its case; ``turn`` (from 1) is for the message.

    Raises:
        FormatError: no speaker is called that.
    """
    role = KNOWN.get(name.strip().lower()) if isinstance(name, str) else None
    if role is None:
        shown = repr(name) if isinstance(name, str) and len(name) <= 40 else "of another kind"
        raise FormatError(f"turn {turn}: role {shown} is unknown; known are {', '.join(sorted(KNOWN))}")
    return role
