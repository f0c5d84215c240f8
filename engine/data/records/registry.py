"""Which parser a JSON value goes to: the table of shapes, told apart by the keys that are there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from engine.data.records import instructions, labelled, messages, pairs, pieces, rankings, verdicts
from engine.data.records.dialogue import kind_of
from engine.data.records.limits import FormatError, Limits
from engine.data.samples import Sample

Record = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class RecordShape:
    """A shape of records.

    Attributes:
        name: as refusals list it.
        fits: whether a record is of this shape, by its keys.
        parse: its samples; raises `FormatError` where a part of it is wrong.
    """

    name: str
    fits: Callable[[Record], bool]
    parse: Callable[[Record, Limits], Sample | Sequence[Sample]]


SHAPES = (
    RecordShape("{prompt, chosen, rejected}", pairs.is_pair, pairs.parse_pair),
    RecordShape("{input, preferred_output, non_preferred_output}", pairs.is_openai_pair, pairs.parse_openai_pair),
    RecordShape("{messages, rejected_response}", pairs.is_rejected_response, pairs.parse_rejected_response),
    RecordShape("{prompt, responses, scores or ranks}", rankings.is_ranking, rankings.parse_ranking),
    RecordShape("{instruction, completions}", rankings.is_rated, rankings.parse_rated),
    RecordShape("{prompt, completion, label}", verdicts.is_judged, verdicts.parse_judged),
    RecordShape("OpenAI messages {messages}", messages.is_openai, messages.parse_openai),
    RecordShape("ShareGPT {conversations}", messages.is_sharegpt, messages.parse_sharegpt),
    RecordShape("{instruction, instances}", instructions.is_instances, instructions.parse_instances),
    RecordShape("Alpaca {instruction, output}", instructions.is_alpaca, instructions.parse_alpaca),
    RecordShape("{prompt, completion}", instructions.is_completion, instructions.parse_completion),
    RecordShape("{role, content}", messages.is_message, messages.parse_single),
    RecordShape("{text, label}", labelled.is_labelled, labelled.parse_labelled),
    RecordShape("{text}", pieces.is_text, pieces.parse_text),
)
"""In the order in which they are asked whether a record is theirs. A new shape is a module, and a line here."""

KNOWN = f"{', '.join(shape.name for shape in SHAPES)}, or an array of messages"


def parse(value: JsonValue, limits: Limits) -> Sequence[Sample]:
    """The samples in one JSON value: an object of a known shape, a bare array of messages, or an array of these.

    Raises:
        FormatError: its shape is unknown (the message says what was seen and what is known), or a part is wrong.
    """
    if isinstance(value, dict):
        return _parse_object(value, limits)
    if not isinstance(value, list):
        raise FormatError(f"expected an object or an array, found {kind_of(value)}; known are {KNOWN}")
    if not value:
        raise FormatError("an empty array: there is nothing to learn")
    if messages.is_message_list(value):
        return [messages.parse(value, limits)]
    return [sample for element in value for sample in parse(element, limits)]


def _parse_object(record: Record, limits: Limits) -> Sequence[Sample]:
    shape = next((shape for shape in SHAPES if shape.fits(record)), None)
    if shape is None:
        seen = ", ".join(sorted(record)[:8])[:160] or "no keys"
        raise FormatError(f"an object of unknown shape with {seen}; known are {KNOWN}")
    found = shape.parse(record, limits)
    return found if isinstance(found, Sequence) else [found]
