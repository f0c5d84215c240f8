"""What programs say to a model in the name of the user, or of the model: settings, notices, and the like.

Sources: Codex (``<environment_context>`` before what the person typed), Gemini CLI (a first exchange about the folder),
Claude Code (``[Request interrupted by user]``).
"""

from engine.data.records.values import Record, records, string

_BEGIN = (
    *("<environment_context>", "<user_instructions>", "<turn_aborted>", "<permissions instructions>", "<user_action>"),
    *("# AGENTS.md instructions", "<INSTRUCTIONS>", "[Request interrupted by user", "<session_context>"),
    *("This is the Gemini CLI. We are setting up the context", "This is the Qwen Code. We are setting up the context"),
)
_WHOLE = ("Got it. Thanks for the context!",)


def is_own(text: str) -> bool:
    """Whether a program said this, and no person or model."""
    said = text.strip()
    return said.startswith(_BEGIN) or said in _WHOLE


def is_of_program(message: Record) -> bool:
    """Whether the text of a message, in its content or parts, is the program's own."""
    content = message.get("content") or message.get("parts")
    if isinstance(content, str):
        return is_own(content)
    texts = [string(part.get("text")) for part in records(content)]
    return bool(texts) and all(map(is_own, texts))
