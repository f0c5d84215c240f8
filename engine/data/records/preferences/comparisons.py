"""Two answers side by side, and which of them won.

| answers                         | winner                        | from                      |
|---------------------------------|-------------------------------|---------------------------|
| conversation_a, conversation_b  | winner: model_a, model_b, tie | LMSYS's arenas            |
| response_a, response_b          | winner_model_a, ...           | their tables              |
| human_ref_A, human_ref_B        | labels: 1 for the first       | Stanford Human Preferences|
| answer_0, answer_1              | score_0, score_1              | WebGPT's comparisons      |
| output_1, output_2              | preference: 1 or 2            | AlpacaFarm                |
| response_1, response_2          | preference_strength: -3 to 3  | HelpSteer                 |
| response_0, response_1          | better_response_id: 0 or 1    | PKU-SafeRLHF              |
"""

import json
from collections.abc import Sequence

from pydantic import JsonValue

from engine.data.records.dialogue import Turn, messages_of
from engine.data.records.instructions import alpaca_prompt, answer_turns, prompt_turns
from engine.data.records.limits import FormatError, Limits
from engine.data.records.messages import turns_of
from engine.data.records.preferences.pairs import preference_of
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, is_record, string
from engine.data.samples import Preference

_SIDES = (
    ("conversation_a", "conversation_b"),
    ("response_a", "response_b"),
    ("human_ref_A", "human_ref_B"),
    *((f"{name}_{one}", f"{name}_{other}") for name in ("answer", "output", "response") for one, other in ("01", "12")),
)
_STRENGTH = "preference_strength"
"""How much better the second answer is, from -3 to 3."""
_WINNERS = ("better_response_id", "winner", "preference", "preferred", "labels", "label", "choice", "better")
_PROMPTS = ("prompt", "history", "question", "query", "input")


def _sides(record: Record) -> tuple[str, str] | None:
    return next((keys for keys in _SIDES if all(record.get(key) is not None for key in keys)), None)


def _fits(record: Record) -> bool:
    return _sides(record) is not None


def _parse(record: Record, limits: Limits) -> Preference:
    keys = _sides(record) or _SIDES[0]
    dialogues = [messages_of(_dialogue(record, key), limits) for key in keys]
    return preference_of(dialogues if _is_first_better(record, keys) else dialogues[::-1])


def _dialogue(record: Record, key: str) -> Sequence[Turn]:
    """What was asked, and this answer."""
    answer = _unpacked(record[key])
    if key.startswith("conversation"):
        return turns_of(answer)
    if "instruction" in record:
        return [*alpaca_prompt(record), *answer_turns(answer)]
    asked = next((record[name] for name in _PROMPTS if record.get(name) is not None), None)
    asked = asked.get("full_text") if is_record(asked) else _unpacked(asked)
    if asked is None:
        raise FormatError(f"two answers without a question: give one of {', '.join(_PROMPTS)}")
    return [*prompt_turns(asked), *answer_turns(answer)]


def _unpacked(value: JsonValue) -> JsonValue:
    """The one text in a list of texts that is written as a string, as the tables of LMSYS have it."""
    if isinstance(value, str) and value.startswith('["'):
        try:
            texts: JsonValue = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if not isinstance(texts, list) or len(texts) != 1:
            raise FormatError("two answers over several turns: thord reads only comparisons of one turn")
        return texts[0]
    return value


def _is_first_better(record: Record, keys: tuple[str, str]) -> bool:
    """Which answer won.

    Raises:
        FormatError: none did, or it does not say.
    """
    first, second = (key.rsplit("_", 1)[1].lower() for key in keys)
    shares = [record.get(f"winner_model_{end}") for end in (first, second)]
    scores = [record.get(f"score_{end}", record.get(f"score_{end.upper()}")) for end in (first, second)]
    for one, other in (shares, scores):
        if isinstance(one, str) and isinstance(other, str) and one.isdigit() and other.isdigit():
            one, other = int(one), int(other)
        if isinstance(one, int | float) and isinstance(other, int | float) and one != other:
            return one > other
    strength = record.get(_STRENGTH)
    if isinstance(strength, int | float) and strength != 0:
        return strength < 0
    value = next((record[name] for name in _WINNERS if record.get(name) is not None), None)
    if keys[0] == "human_ref_A" and value in (0, 1):
        return value == 1
    said = str(value).lower() if isinstance(value, int) else string(value).lower()
    ending = said.rsplit("_", 1)[-1].strip()
    if ending not in (first, second):
        raise FormatError(f"two answers without a winner (it says: {said[:40] or 'nothing'})")
    return ending == first


SHAPE = RecordShape("two answers {response_a, response_b, winner}", _fits, _parse, tuple(first for first, _ in _SIDES))
