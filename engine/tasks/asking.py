"""What the engine is asked for a task: a prompt, and candidates to score or a structure to keep to."""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from engine.data.samples import Message
from engine.data.tasks import spans
from engine.data.tasks.task import Task
from engine.inference.constraints.constraint import StructureError
from engine.inference.constraints.structures import Structure, within_bounds
from engine.inference.requests import PromptTooLongError
from engine.tasks.grammar import SpansStructure
from engine.tokenizers.base import EOS, DialogueRefusedError, Tokenizer
from engine.tokenizers.encode import encode_text

CONTENT_FREE = "N/A"
"""The text whose label probabilities are the prior (Zhao et al., Calibrate Before Use, 2021)."""
MOST_CANDIDATES = 1000
_ENCODED: WeakKeyDictionary[Tokenizer, dict[tuple[tuple[str, ...], bool], tuple[tuple[int, ...], ...]]] = (
    WeakKeyDictionary()
)
_MOST_KEPT = 64
_SPAN_TOKENS = 128
_TAG_TOKENS = 32


class AskedWronglyError(ValueError):
    """A question that the task does not answer; the message says why and what to do. ``field`` is what is wrong."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Input:
    """What somebody asks about.

    Attributes:
        labels: to choose among instead of the task's own.
        candidates: what a task of kind ``rank`` puts in order.
    """

    text: str
    text_pair: str = ""
    labels: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What the engine is asked.

    Attributes:
        prompt: token ids.
        choices: texts that are scored; empty where an answer is generated.
        candidates: their token ids.
        structure: what a generated answer must look like.
        most_tokens: the length at which a generated answer is cut off; 0: the caller's own.
    """

    prompt: list[int]
    choices: tuple[str, ...] = ()
    candidates: tuple[tuple[int, ...], ...] = ()
    structure: Structure | None = None
    most_tokens: int = 0


@dataclass(frozen=True)
class Refusal:
    """Why one of several inputs cannot be asked about; ``error`` is what asking about it alone raises."""

    error: AskedWronglyError | DialogueRefusedError | PromptTooLongError


def asked_all(task: Task, inputs: Sequence[Input], tokenizer: Tokenizer, context: int) -> list[Asked | Refusal]:
    """What to ask the engine about each of several inputs: one that cannot be asked about takes no other with it.

    Raises:
        AskedWronglyError: none can be asked about, and that is no fault of the texts, such as labels that are missing.
    """
    found = [_asked_or_refused(task, given, tokenizer, context) for given in inputs]
    refusals = [each for each in found if isinstance(each, Refusal)]
    first = refusals[0].error if refusals and len(refusals) == len(found) else None
    if isinstance(first, AskedWronglyError) and first.field != "input":
        raise first
    return found


def _asked_or_refused(task: Task, given: Input, tokenizer: Tokenizer, context: int) -> Asked | Refusal:
    try:
        found = asked(task, given, tokenizer)
        if isinstance(found.structure, SpansStructure):
            within_bounds(found.structure.source, "the text")
    except (AskedWronglyError, DialogueRefusedError) as error:
        return Refusal(error)
    except StructureError as error:
        return Refusal(AskedWronglyError(str(error), "input"))
    room = max([1 - bool(found.candidates), *(len(tokens) - 1 for tokens in found.candidates)])
    too_long = len(found.prompt) + room > context
    return Refusal(PromptTooLongError(len(found.prompt), context)) if too_long else found


def asked(task: Task, given: Input, tokenizer: Tokenizer) -> Asked:
    """What to ask the engine.

    Raises:
        AskedWronglyError: something is missing, or too much.
        DialogueRefusedError: the model's chat template has no form for the question.
    """
    labels = given.labels or task.labels
    _check(task, given, labels)
    prompt = prompt_of(task, given, tokenizer)
    source = spans.source_of(task, given.text, given.text_pair)
    match task.kind:
        case "generate":
            return Asked(prompt)
        case "classify":
            return Asked(prompt, labels, candidate_ids(tokenizer, labels, is_chat=task.style == "chat"))
        case "rank":
            ids = candidate_ids(tokenizer, given.candidates, is_chat=task.style == "chat")
            return Asked(prompt, given.candidates, ids)
        case "extract":
            return Asked(prompt, structure=SpansStructure(source), most_tokens=_SPAN_TOKENS)
        case "tag":
            most = _TAG_TOKENS + 3 * len(tokenizer.encode(source))
            return Asked(prompt, structure=SpansStructure(source, labels), most_tokens=most)


def prompt_of(task: Task, given: Input, tokenizer: Tokenizer) -> list[int]:
    """The token ids of a question.

    Raises:
        DialogueRefusedError: as `asked`.
    """
    question = task.question(given.text, given.text_pair, given.labels)
    if task.style == "text":
        return encode_text(tokenizer, question)
    return tokenizer.encode_prompt([Message("user", question)])


def candidate_ids(tokenizer: Tokenizer, choices: tuple[str, ...], *, is_chat: bool) -> tuple[tuple[int, ...], ...]:
    """`encoded_candidates`, of which those asked for last are remembered.

    Raises:
        DialogueRefusedError: as `asked`.
    """
    kept = _ENCODED.setdefault(tokenizer, {})
    if (choices, is_chat) not in kept:
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        kept[choices, is_chat] = encoded_candidates(tokenizer, choices, is_chat=is_chat)
    return kept[choices, is_chat]


def encoded_candidates(tokenizer: Tokenizer, choices: Sequence[str], *, is_chat: bool) -> tuple[tuple[int, ...], ...]:
    """The token ids of each choice, as an answer is learned: in a chat, with what ends it.

    Where no choice begins with another, all of them end differently before that, and what ends them is left out.

    Raises:
        DialogueRefusedError: as `asked`.
    """
    if is_chat:
        turns = [((Message("user", "?"), Message("assistant", choice)), 0) for choice in choices]
        found = []
        for encoded in tokenizer.encode_dialogues(turns):
            if isinstance(encoded, DialogueRefusedError):
                raise encoded
            found.append(tuple(encoded.ids[encoded.supervised].tolist()))
        specials = tokenizer.specials
        bare = [tuple(token for token in ids if token not in specials) for ids in found]
    else:
        bare = [tuple(tokenizer.encode(choice)) for choice in choices]
        found = [(*ids, tokenizer.special(EOS)) for ids in bare]
    are_free = all(bare) and not any(_begins(one, other) for one in bare for other in bare if one is not other)
    return tuple(bare if are_free else found)


def _begins(one: Sequence[int], other: Sequence[int]) -> bool:
    return other[: len(one)] == one


def _check(task: Task, given: Input, labels: Sequence[str]) -> None:
    if not given.text.strip() and task.style == "chat":
        raise AskedWronglyError("the input is empty", "input")
    if task.takes_pairs and not given.text_pair.strip():
        raise AskedWronglyError(f"task '{task.name}' is about two texts: give the second one as text_pair", "text_pair")
    if given.text_pair and not task.takes_pairs:
        raise AskedWronglyError(f"task '{task.name}' is about one text; leave text_pair out", "text_pair")
    if given.labels and task.kind not in ("classify", "tag"):
        raise AskedWronglyError(f"task '{task.name}' has no labels; leave labels out", "labels")
    if given.candidates and task.kind != "rank":
        raise AskedWronglyError(f"task '{task.name}' puts nothing in order; leave candidates out", "candidates")
    if task.kind in ("classify", "tag") and not labels:
        advice = f"name them in the request, or in tasks.{task.name}.labels"
        raise AskedWronglyError(f"task '{task.name}' has no labels: {advice}", "labels")
    _check_choices(given.candidates if task.kind == "rank" else labels, task)


def _check_choices(choices: Sequence[str], task: Task) -> None:
    field = "candidates" if task.kind == "rank" else "labels"
    if task.kind == "rank" and len(choices) < 2:
        raise AskedWronglyError("give two or more candidates to put in order", field)
    if len(set(choices)) < len(choices) or not all(choice.strip() for choice in choices):
        raise AskedWronglyError(f"{field} must differ, and none may be empty", field)
    if len(choices) > MOST_CANDIDATES:
        raise AskedWronglyError(f"{len(choices)} {field}; at most {MOST_CANDIDATES} are allowed", field)
