"""Instructions with their answer: Alpaca, self-instruct, prompt and completion."""

from pydantic import JsonValue

from engine.data.records.content.end_marks import without_end_marks
from engine.data.records.dialogue import Turn, dialogue_of, kind_of, string_of, system_turn, texts_about
from engine.data.records.limits import FormatError, Limits
from engine.data.records.messages import SYSTEM, turns_of
from engine.data.records.written.blocks import is_blocks, turns_of_blocks, waits
from engine.data.records.written.templates import answer_in, asked_in
from engine.data.samples import Dialogue

_INPUTS = ("question", "query", "input")
_OUTPUTS = ("output", "response", "completion", "answer", "target")
_COMPLETIONS = ("completion", "response", "generation", "output", "answer", "reply", "target")


def is_alpaca(record: dict[str, JsonValue]) -> bool:
    """An instruction with its answer."""
    return "instruction" in record and any(isinstance(record.get(key), str) for key in _OUTPUTS)


def parse_alpaca(record: dict[str, JsonValue], limits: Limits) -> Dialogue:
    """``{"instruction", "input"?, "output", "system"?, "history"?: [[user, assistant], ...]}``.

    Raises:
        FormatError: a part of it is of another kind, or there is no answer.
    """
    return dialogue_of([*alpaca_prompt(record), *alpaca_answer(record)], limits)


def alpaca_answer(record: dict[str, JsonValue]) -> list[Turn]:
    """The answer of an Alpaca record.

    Raises:
        FormatError: it is not text.
    """
    return [Turn("assistant", answer_in(string_of(record, *_OUTPUTS)))]


def alpaca_prompt(record: dict[str, JsonValue]) -> list[Turn]:
    """Everything of an Alpaca record before its answer.

    Raises:
        FormatError: as `parse_alpaca`.
    """
    asked = [string_of(record, key) for key in ("instruction", *_INPUTS)]
    about = "\n\n".join(part for part in asked if part.strip() not in ("", "<noinput>"))
    return [*_opening(record), *_asked(_with_context(about, record))]


def _opening(record: dict[str, JsonValue]) -> list[Turn]:
    """Instructions, tools, and what was said before: ``history`` holds pairs or messages.

    Raises:
        FormatError: ``history`` holds something else.
    """
    turns = system_turn(next((record[key] for key in SYSTEM if record.get(key)), None), record.get("tools"))
    history = record.get("history") or []
    if not isinstance(history, list):
        raise FormatError(f"'history' must be an array, not {kind_of(history)}")
    if history and isinstance(history[0], dict):
        return [*turns, *turns_of(history)]
    for pair in history:
        if not isinstance(pair, list) or len(pair) != 2:
            raise FormatError("'history' must hold pairs of question and answer")
        question, answer = pair
        if not isinstance(question, str) or not isinstance(answer, str):
            raise FormatError("'history' must hold pairs of strings")
        turns += [Turn("user", question), Turn("assistant", answer)]
    return turns


def _asked(text: str) -> list[Turn]:
    """What a user said, or the turns of a dialogue that is written out in it."""
    if is_blocks(text) or waits(text):
        return turns_of_blocks(text)
    return asked_in(text) or [Turn("user", text)]


def is_instances(record: dict[str, JsonValue]) -> bool:
    """An instruction with several inputs and outputs."""
    return {"instruction", "instances"} <= record.keys()


def parse_instances(record: dict[str, JsonValue], limits: Limits) -> list[Dialogue]:
    """Self-instruct: ``{"instruction", "instances": [{"input", "output"}, ...]}``, a dialogue for each instance.

    Raises:
        FormatError: an instance is not such an object.
    """
    instances = record["instances"]
    if not isinstance(instances, list) or not all(isinstance(instance, dict) for instance in instances):
        raise FormatError("'instances' must be an array of objects with input and output")
    if not instances:
        raise FormatError("'instances' is empty: there is no answer to learn")
    return [
        parse_alpaca({"instruction": record["instruction"], **instance}, limits)
        for instance in instances
        if isinstance(instance, dict)
    ]


def is_completion(record: dict[str, JsonValue]) -> bool:
    """A prompt with its completion or response."""
    return "prompt" in record and any(key in record for key in _COMPLETIONS)


def parse_completion(record: dict[str, JsonValue], limits: Limits) -> Dialogue:
    """``{"prompt", "completion"}`` (or ``response``), each a string or a list of messages.

    Raises:
        FormatError: one of them is something else.
    """
    return dialogue_of([*completion_prompt(record), *completion_answer(record)], limits)


def completion_prompt(record: dict[str, JsonValue]) -> list[Turn]:
    """Everything of a prompt-and-completion record before its answer.

    Raises:
        FormatError: as `parse_completion`.
    """
    prompt = record["prompt"]
    return [*_opening(record), *prompt_turns(_with_context(prompt, record) if isinstance(prompt, str) else prompt)]


def completion_answer(record: dict[str, JsonValue]) -> list[Turn]:
    """The answer of a prompt-and-completion record.

    Raises:
        FormatError: as `parse_completion`.
    """
    return answer_turns(answer_to(record["prompt"], next(record[key] for key in _COMPLETIONS if key in record)))


def answer_to(prompt: JsonValue, answer: JsonValue) -> JsonValue:
    """An answer without the marks at its end, where its prompt is in the template of a model."""
    if isinstance(prompt, str) and isinstance(answer, str) and asked_in(prompt):
        return without_end_marks(answer)
    return answer


def prompt_turns(prompt: JsonValue) -> list[Turn]:
    """A prompt: what a user said, or a list of messages.

    Raises:
        FormatError: it is something else.
    """
    return _asked(prompt) if isinstance(prompt, str) else turns_of(prompt)


def answer_turns(answer: JsonValue) -> list[Turn]:
    """An answer: what the assistant said, one message, or a list of them.

    Raises:
        FormatError: it is something else.
    """
    if isinstance(answer, str):
        return [Turn("assistant", answer_in(answer))]
    return turns_of([answer] if isinstance(answer, dict) else answer)


_ASKED = ("question", "query", "problem", "input", "source_text")
_ANSWERED = ("answer", "response", "solution", "output", "target_text", "target", "completion", "reply")
_PAIRS = (
    *((asked, answered) for asked in _ASKED for answered in _ANSWERED),
    *(
        ("user", "assistant"),
        ("human", "assistant"),
        ("human", "bot"),
        ("human", "ai"),
        ("user", "bot"),
        ("user", "ai"),
    ),
    *(
        ("message", "response"),
        ("message", "reply"),
        ("utterance", "response"),
        ("q", "a"),
        ("inputs", "targets"),
        ("message_1", "message_2"),
    ),
    *(("text_input", "output"), ("input_text", "output_text")),
)
"""Keys of a question and its answer. A ``user`` beside a ``response`` may be the name of somebody."""
QUESTIONS = tuple(dict.fromkeys(asked for asked, _ in _PAIRS))
"""Keys of a question."""

_ABOUT = (
    *("context", "contexts", "passage", "passages", "article", "document", "documents", "retrieved_contexts"),
    *("retrieved_documents", "paragraphs"),
)
_CHOICES = ("choices", "options", "endings", "distractors")


def _question_and_answer(record: dict[str, JsonValue]) -> tuple[str, str] | None:
    """The keys of a question and its answer, both strings."""
    said = {key for key, value in record.items() if isinstance(value, str)}
    return next((keys for keys in _PAIRS if said.issuperset(keys)), None)


def is_question(record: dict[str, JsonValue]) -> bool:
    """A question with its answer, by any of the usual names."""
    return _question_and_answer(record) is not None


def parse_question(record: dict[str, JsonValue], limits: Limits) -> Dialogue:
    """``{"question", "answer"}``, ``{"query", "response"}`` and the like, with ``system`` or ``system_prompt``.

    Raises:
        FormatError: there is no answer in it.
    """
    return dialogue_of([*question_turns(record), *question_answer(record)], limits)


def question_turns(record: dict[str, JsonValue]) -> list[Turn]:
    """Everything before the answer to a question: instructions, what was said before, and what it is about.

    Raises:
        FormatError: there are choices, and how they were put is not known.
    """
    keys = _question_and_answer(record) or ("question", "answer")
    if choices := next((key for key in _CHOICES if record.get(key)), ""):
        raise FormatError(f"a question with '{choices}': thord does not know how to put choices to the model")
    return [*_opening(record), *_asked(_with_context(string_of(record, keys[0]), record))]


def _with_context(asked: str, record: dict[str, JsonValue]) -> str:
    """A question behind which stands what it is about, unless it says that itself."""
    about = texts_about(record, *_ABOUT)
    return "\n\n".join(part for part in (asked, *(each for each in about if each not in asked)) if part.strip())


def question_answer(record: dict[str, JsonValue]) -> list[Turn]:
    """The answer to a question."""
    keys = _question_and_answer(record) or ("question", "answer")
    return [Turn("assistant", string_of(record, keys[1]))]
