"""Preferences: of two answers the chosen one is learned. What people marked as bad is never learned as good."""

from pydantic import JsonValue

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.hh import is_hh, split_hh
from engine.data.records.instructions import alpaca_prompt, answer_turns, prompt_turns
from engine.data.records.limits import FormatError, Limits
from engine.data.records.messages import turns_of
from engine.data.samples import Dialogue


def parse(record: dict[str, JsonValue], limits: Limits) -> Dialogue:
    """``{"chosen", "rejected"}`` with the context in ``prompt``, ``conversations``, an Alpaca instruction, or within.

    Raises:
        FormatError: the chosen answer is of no known kind.
    """
    chosen = record["chosen"]
    if isinstance(chosen, str) and is_hh(chosen):
        return dialogue_of(split_hh(chosen), limits)
    return dialogue_of([*_context(record, chosen), *answer_turns(chosen)], limits)


def check_label(record: dict[str, JsonValue]) -> None:
    """Stop a record that people marked as a bad answer (KTO's ``label`` or ``kto_tag``).

    Raises:
        FormatError: it is marked so.
    """
    for name in ("label", "kto_tag"):
        if record.get(name) is False:
            raise FormatError(f"marked as a bad answer ('{name}' is false): it is not learned")


def _context(record: dict[str, JsonValue], chosen: JsonValue) -> list[Turn]:
    if "conversations" in record:
        return turns_of(record["conversations"])
    if "instruction" in record:
        return alpaca_prompt(record)
    prompt = record.get("prompt")
    if isinstance(chosen, list) and _repeats(prompt, chosen):
        return []
    if prompt is not None:
        return prompt_turns(prompt)
    if isinstance(chosen, list):
        return []
    raise FormatError("'chosen' is an answer without a question: give 'prompt', 'conversations' or 'instruction'")


def _repeats(prompt: JsonValue, chosen: list[JsonValue]) -> bool:
    """Whether a chosen list of messages already begins with the prompt, as in UltraFeedback."""
    if not isinstance(prompt, str) or not chosen:
        return False
    first = turns_of(chosen[:1])[0]
    return first.role == "user" and first.content.strip() == prompt.strip()
