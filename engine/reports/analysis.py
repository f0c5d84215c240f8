"""Error analysis: what a version does worst on, and what it won and lost against another one. Pure functions.

Texts are cut, and long lists are sampled, so that an analysis stays small however much was measured.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from engine.data.samples import Conversation, Dialogue
from engine.evaluation.likelihood import Floats, Likelihood
from engine.evaluation.results import slices_of
from engine.reports.scripts import script_of

WORST, WON = 10, 8
_BINS, _POINTS, _CHARACTERS, _MOST_SLICES = 24, 300, 600, 12


@dataclass(frozen=True)
class Case:
    """One conversation: what was asked, what a person answered, and the bits per byte of both versions."""

    source: str
    prompt: str
    answer: str
    candidate: float
    incumbent: float | None


@dataclass(frozen=True)
class SliceRow:
    """Part of the conversations, and the bits per byte of both versions on it."""

    by: str
    name: str
    conversations: int
    candidate: float
    incumbent: float | None


@dataclass(frozen=True)
class Analysis:
    """What was found.

    Attributes:
        edges: of the bins of the histograms of bits per byte.
        differences: the candidate's bits per byte less the incumbent's, sorted; some of them where there are many.
    """

    conversations: int
    candidate: float
    incumbent: float | None
    edges: list[float]
    candidate_counts: list[int]
    incumbent_counts: list[int]
    worst: list[Case]
    won: list[Case] = field(default_factory=list)
    lost: list[Case] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    better: int = 0
    worse: int = 0
    slices: list[SliceRow] = field(default_factory=list)


def analyse(
    conversations: Sequence[Conversation],
    sources: Sequence[str],
    candidate: Likelihood,
    incumbent: Likelihood | None,
) -> Analysis:
    """Compare two versions, or look at one, conversation by conversation."""
    ours_C = _bits(candidate)
    theirs_C = None if incumbent is None else _bits(incumbent)

    def case(index: int) -> Case:
        prompt, answer = _texts(conversations[index])
        theirs = None if theirs_C is None else float(theirs_C[index])
        return Case(sources[index], prompt, answer, float(ours_C[index]), theirs)

    both = ours_C if theirs_C is None else np.concatenate([ours_C, theirs_C])
    edges = np.histogram_bin_edges(both, bins=_BINS)
    found = Analysis(
        conversations=len(conversations),
        candidate=_ratio(candidate),
        incumbent=None if incumbent is None else _ratio(incumbent),
        edges=edges.tolist(),
        candidate_counts=np.histogram(ours_C, edges)[0].tolist(),
        incumbent_counts=[] if theirs_C is None else np.histogram(theirs_C, edges)[0].tolist(),
        worst=[case(int(index)) for index in np.argsort(-ours_C, kind="stable")[:WORST]],
        slices=_slices(conversations, sources, candidate, incumbent),
    )
    if theirs_C is None:
        return found
    differences_C = ours_C - theirs_C
    order_C = np.argsort(differences_C, kind="stable")
    won = [case(int(index)) for index in order_C[:WON] if differences_C[index] < 0]
    lost = [case(int(index)) for index in order_C[::-1][:WON] if differences_C[index] > 0]
    chosen = np.unique(np.linspace(0, len(order_C) - 1, min(_POINTS, len(order_C))).round().astype(int))
    return replace(
        found,
        won=won,
        lost=lost,
        differences=differences_C[order_C][chosen].tolist(),
        better=int((differences_C < 0).sum()),
        worse=int((differences_C > 0).sum()),
    )


def _slices(
    conversations: Sequence[Conversation], sources: Sequence[str], ours: Likelihood, theirs: Likelihood | None
) -> list[SliceRow]:
    """By kind, task, role, source, length, turns and script; the largest of each.

    What a way says nothing of is left out: a dialogue is of no task, and a text answers nobody.
    """
    known = slices_of(conversations, {one.identity: file for one, file in zip(conversations, sources, strict=True)})
    ways: Mapping[str, Callable[[int], str]] = {
        "kind": lambda index: str(known["kind"][index]),
        "task": lambda index: str(known["task"][index]),
        "role": lambda index: _role(conversations[index]),
        "source": lambda index: str(known["source"][index]),
        "length": lambda index: _length(float(ours.bytes_C[index])),
        "turns": lambda index: _turns(conversations[index]),
        "script": lambda index: script_of(_texts(conversations[index])[1]),
    }
    rows = []
    for by, name_of in ways.items():
        names_C = np.array([name_of(index) for index in range(len(conversations))], np.str_)
        names, counts = np.unique(names_C, return_counts=True)
        largest = sorted(zip(counts.tolist(), names.tolist(), strict=True), key=lambda one: (-one[0], one[1]))
        for count, name in largest[:_MOST_SLICES]:
            if not name:
                continue
            part_C: NDArray[np.bool_] = names_C == name
            other = None if theirs is None else _ratio(theirs.part(part_C))
            rows.append(SliceRow(by, name, count, _ratio(ours.part(part_C)), other))
    return rows


def _role(conversation: Conversation) -> str:
    """What the last answer of a dialogue is: to whom, or a call of a tool."""
    if not isinstance(conversation, Dialogue):
        return ""
    answers = [index for index, one in enumerate(conversation.messages) if one.is_supervised]
    if not answers:
        return ""
    if conversation.messages[answers[-1]].tool_calls:
        return "calls a tool"
    before = conversation.messages[answers[-1] - 1].role if answers[-1] else ""
    return {"tool": "answers a tool", "user": "answers a user"}.get(before, "begins")


def _length(size: float) -> str:
    return "up to 100 bytes" if size <= 100 else "101 to 1,000 bytes" if size <= 1000 else "more than 1,000 bytes"


def _turns(conversation: Conversation) -> str:
    if not isinstance(conversation, Dialogue):
        return "plain text"
    answers = sum(message.is_supervised for message in conversation.messages)
    system = ", with a system prompt" if conversation.messages[0].role == "system" else ""
    return f"{'one answer' if answers == 1 else 'several answers'}{system}"


def _texts(conversation: Conversation) -> tuple[str, str]:
    """The last question and its answer; of a text its beginning."""
    if not isinstance(conversation, Dialogue):
        return "", conversation.text[:_CHARACTERS]
    last = max((index for index, one in enumerate(conversation.messages) if one.is_supervised), default=0)
    asked = conversation.messages[last - 1].plain_content if last else ""
    return asked[-_CHARACTERS:], conversation.messages[last].plain_content[:_CHARACTERS]


def _bits(likelihood: Likelihood) -> Floats:
    bits_C: Floats = likelihood.nats_C / np.log(2) / np.maximum(likelihood.bytes_C, 1.0)
    return bits_C


def _ratio(likelihood: Likelihood) -> float:
    return float(likelihood.nats_C.sum() / np.log(2) / max(likelihood.bytes_C.sum(), 1.0))
