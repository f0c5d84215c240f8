"""Which parser a JSON value goes to: the table of shapes, told apart by the keys that are there."""

import json
from collections.abc import Sequence

from pydantic import JsonValue

from engine.data.records import instructions, messages, pieces, plain_messages, rows
from engine.data.records.apis import exchanges
from engine.data.records.collections import by_column, containers, lobechat
from engine.data.records.collections.conversations import conversations_in
from engine.data.records.content.endings import broken_off_by
from engine.data.records.content.marks import excluded_mark, unseen_mark
from engine.data.records.content.ratings import verdict_in
from engine.data.records.datasets import function_calls, labelled, moss, open_assistant, segments
from engine.data.records.desks import dialogflow, intercom, rasa, zendesk
from engine.data.records.dialogue import kind_of
from engine.data.records.exports import character_ai, chatgpt, chatgpt_feedback, claude, copilot, gemini, grok
from engine.data.records.limits import FormatError, Limits
from engine.data.records.names.spelling import lower
from engine.data.records.preferences import comparisons, corrections, pairs, rankings, verdicts
from engine.data.records.preferences.demonstrations import demonstrated_by
from engine.data.records.programs import (
    big_agi,
    chatbox,
    cherry_studio,
    continue_dev,
    gemini_cli,
    jan,
    kobold,
    librechat,
    lm_studio,
    next_chat,
    open_webui,
    textgen,
    typing_mind,
)
from engine.data.records.shape import Parsed, RecordShape
from engine.data.records.values import records
from engine.data.records.written import written_out
from engine.data.samples import Dialogue, Labelled, Text


def _parse_object(record: dict[str, JsonValue], limits: Limits) -> Sequence[Parsed]:
    if plain := plain_messages.parse(record, limits):
        return [plain.dialogue]
    if None in record.values():  # a column that a table has and this row has not
        record = {key: value for key, value in record.items() if value is not None}
    shape = _shape_of(record)
    if shape is None and (lowered := lower(record)) != record:
        record, shape = lowered, _shape_of(lowered)
    if shape is None:
        seen = ", ".join(sorted(record)[:8])[:160] or "no keys"
        raise FormatError(f"an object of unknown shape with {seen}; {_UNNAMED}; known are {KNOWN}")
    if mark := next((mark for mark in _LEARNED if record.get(mark) in (0, *_NOT)), ""):
        raise FormatError(f"marked as not to be learned: '{mark}' is {json.dumps(record[mark])}")
    if mark := excluded_mark(record) or unseen_mark(record):
        raise FormatError(f"marked as not to be learned: '{mark}' is set")
    if shape.name != "{text}" and (medium := next((key for key in _MEDIA if record.get(key)), "")):
        raise FormatError(f"'{medium}' beside what was said: only text can be learned")
    found = shape.parse(record, limits)
    parsed = found if isinstance(found, Sequence) else [found]
    if len(parsed) == 1 and isinstance(alone := parsed[0], Dialogue) and verdict_in(record) is False:
        return [verdicts.as_bad(alone)]
    is_alone = sum(isinstance(each, Dialogue) for each in parsed) <= 1
    if is_alone and (reason := broken_off_by(record)):
        parsed = [_without_last_answer(each, reason) for each in parsed]
    if any(isinstance(each, Dialogue | Text) for each in parsed):
        return parsed
    return [each for one in parsed for each in _with_demonstrations(one, limits)]


def _without_last_answer(parsed: Parsed, reason: str) -> Parsed:
    """A dialogue of which the last answer is context only, since it was cut off; a preference cannot be kept."""
    if isinstance(parsed, Dialogue) and any(message.is_supervised for message in parsed.messages[:-1]):
        return Dialogue((*parsed.messages[:-1], parsed.messages[-1]._replace(weight=0)))
    if isinstance(parsed, FormatError):
        return parsed
    return FormatError(f"the answer was cut off, or failed ({reason}): there is no whole answer to learn")


def _shape_of(record: dict[str, JsonValue]) -> RecordShape | None:
    """The first shape that fits, of those that have a key of the record or are asked always."""
    asked = sorted({number for key in record.keys() & _BY_KEY.keys() for number in _BY_KEY[key]}.union(_ASKED_ALWAYS))
    return next((SHAPES[number] for number in asked if SHAPES[number].fits(record)), None)


def _with_demonstrations(parsed: Parsed, limits: Limits) -> Sequence[Parsed]:
    """A sample that is held, behind what is learned of it at once."""
    if isinstance(parsed, Labelled) and parsed.task in limits.tasks:
        return [parsed]
    return [parsed] if isinstance(parsed, FormatError) else [*demonstrated_by(parsed), parsed]


_EXPORTS = (
    chatgpt.SHAPE,
    chatgpt_feedback.SHAPE,
    claude.SHAPE,
    *gemini.SHAPES,
    copilot.SHAPE,
    open_webui.SHAPE,
    librechat.SHAPE,
    lm_studio.SHAPE,
    big_agi.SHAPE,
    grok.SHAPE,
    continue_dev.SHAPE,
    next_chat.SHAPE,
    chatbox.SHAPE,
    cherry_studio.SHAPE,
    *gemini_cli.SHAPES,
    character_ai.SHAPE,
    lobechat.SHAPE,
    jan.SHAPE,
    typing_mind.SHAPE,
    textgen.SHAPE,
    kobold.SHAPE,
    *zendesk.SHAPES,
    intercom.SHAPE,
    rasa.SHAPE,
    dialogflow.SHAPE,
    open_assistant.SHAPE,
    moss.SHAPE,
    *function_calls.SHAPES,
    segments.SHAPE,
)


def is_known(record: dict[str, JsonValue]) -> bool:
    """Whether a record is of a shape that thord knows, or a row of messages."""
    return rows.is_row(record) or _shape_of(record) is not None


_RECORDS = (
    by_column.shape(lambda rows, limits: parse(rows, limits), is_known),
    RecordShape("{prompt, chosen, rejected}", pairs.is_pair, pairs.parse_pair, pairs.CHOSEN),
    RecordShape(
        "{input, preferred_output, non_preferred_output}", pairs.is_openai_pair, pairs.parse_openai_pair, ("input",)
    ),
    RecordShape(
        "{messages, rejected_response}",
        pairs.is_rejected_response,
        pairs.parse_rejected_response,
        ("rejected_response",),
    ),
    comparisons.SHAPE,
    corrections.SHAPE,
    RecordShape("{prompt, responses, scores or ranks}", rankings.is_ranking, rankings.parse_ranking, ("responses",)),
    RecordShape("{instruction, completions}", rankings.is_rated, rankings.parse_rated, ("completions", "answers")),
    RecordShape("{prompt, completion, label}", verdicts.is_judged, verdicts.parse_judged),
    *exchanges.SHAPES,
    containers.SEVERAL,
    RecordShape("OpenAI messages {messages}", messages.is_openai, messages.parse_openai, ("messages",)),
    RecordShape(
        "ShareGPT {conversations}",
        messages.is_sharegpt,
        messages.parse_sharegpt,
        ("conversations", "conversation", "data"),
    ),
    RecordShape(
        "{instruction, output: [better, worse]}", pairs.is_output_pair, pairs.parse_output_pair, ("instruction",)
    ),
    RecordShape("{instruction, instances}", instructions.is_instances, instructions.parse_instances, ("instruction",)),
    RecordShape("Alpaca {instruction, output}", instructions.is_alpaca, instructions.parse_alpaca, ("instruction",)),
    RecordShape(
        "{prompt, completion} in the template of a model",
        written_out.is_completion,
        written_out.parse_completion,
        ("prompt",),
    ),
    RecordShape("{prompt, completion}", instructions.is_completion, instructions.parse_completion, ("prompt",)),
    RecordShape("{question, answer}", instructions.is_question, instructions.parse_question, instructions.QUESTIONS),
    RecordShape("{role, content}", messages.is_message, messages.parse_single),
    RecordShape("{text} in the template of a model", written_out.is_text, written_out.parse_text, written_out.TEXTS),
    RecordShape("{text} in another template", written_out.is_marked, written_out.refuse_marked, ("text",)),
    RecordShape("{text, label}", labelled.is_labelled, labelled.parse_labelled, ("text",)),
    RecordShape("{text}", pieces.is_text, pieces.parse_text, ("text",)),
    *containers.shapes(_parse_object),
)
SHAPES = (*_EXPORTS, *_RECORDS)
"""In the order in which they are asked whether a record is theirs. A new shape is a module, and a line here."""

_BY_KEY = {
    key: [number for number, shape in enumerate(SHAPES) if key in shape.keys]
    for key in {key for shape in SHAPES for key in shape.keys}
}
_ASKED_ALWAYS = [number for number, shape in enumerate(SHAPES) if not shape.keys]

_LEARNED = (
    *("weight", "train", "training", "loss_weight", "learn", "use", "include", "use_for_training"),
    *("sample_weight", "example_weight", "instance_weight"),
)
"""Marks beside a whole conversation that forbid to learn it where they are 0 or false."""
_NOT = ("false", "False", "0", "0.0", "no")

_MEDIA = (
    *(
        f"{medium}{end}"
        for medium in ("image", "video", "audio")
        for end in ("", "s", "_path", "_paths", "_url", "_urls")
    ),
    *("image_file", "image_id", "img", "pictures", "attachments", "files", "file_ids"),
)
"""Keys of what a conversation is about, and of what only the names are in the text."""

KNOWN = f"{', '.join(shape.name for shape in _RECORDS)}, an array of messages, and what chat programs export"
_UNNAMED = "where these are a question and its answer, or a message, say so under [data.columns] in thord.toml"


def parse(value: JsonValue, limits: Limits) -> Sequence[Parsed]:
    """The samples in one JSON value: an object of a known shape, a bare array of messages, or an array of these.

    Where a value holds several conversations, one that is wrong is a `FormatError` among the samples of the others.

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
        return containers.parse_messages(value, limits)
    if containers.holds_rows(value):
        return conversations_in(records(value), limits)
    return [parsed for number, element in enumerate(value, 1) for parsed in _element(element, number, limits)]


def _element(element: JsonValue, number: int, limits: Limits) -> Sequence[Parsed]:
    try:
        return parse(element, limits)
    except FormatError as error:
        return [FormatError(f"element {number}: {error}")]
