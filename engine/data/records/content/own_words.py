"""What programs say to a model in the name of the user, or of the model: settings, notices, and the like.

Sources: Codex (``<environment_context>`` before what the person typed), Gemini CLI (a first exchange about the folder),
Claude Code (``[Request interrupted by user]``).
"""

from collections.abc import Callable

from engine.data.records.values import Record, is_record, items, string

_BEGIN = (
    *("<environment_context>", "<user_instructions>", "<turn_aborted>", "<permissions instructions>", "<user_action>"),
    *("# AGENTS.md instructions", "<INSTRUCTIONS>", "[Request interrupted by user", "<session_context>"),
)
_SETUP = tuple(
    f"{opening}This is the {program}. We are setting up the context"
    for program in ("Gemini CLI", "Qwen Code")
    for opening in ("", "<session_context>\n")
)
_ACCEPTED = "Got it. Thanks for the context!"


def is_setup(text: str) -> bool:
    """Whether it is of the exchange about the folder with which a session of Gemini CLI begins."""
    said = text.strip()
    return said.startswith(_SETUP) or said == _ACCEPTED


def is_own(text: str) -> bool:
    """Whether a program said this, and no person or model."""
    return text.strip().startswith(_BEGIN) or is_setup(text)


def is_of_program(message: Record, says: Callable[[str], bool] = is_own) -> bool:
    """Whether all of a message's text, in its content or parts, is what a program ``says``."""
    content = message.get("content") or message.get("parts")
    if isinstance(content, str):
        return says(content)
    parts = items(content)
    return bool(parts) and all(is_record(part) and says(string(part.get("text"))) for part in parts)
