"""Error analysis of tasks: which labels are confused, which answers were won and lost. Pure functions.

| kind     | an answer is right where                    | what is confused                                          |
| -------- | ------------------------------------------- | --------------------------------------------------------- |
| classify | it is the label                             | the labels of rows                                        |
| tag      | all spans and their labels are those marked | the labels of spans; `NONE` where nothing is at the place |
| extract  | it is a reference, as SQuAD compares them   | nothing                                                   |
| generate | it is the answer, letter by letter          | nothing; won and lost are by the first measure            |

Texts are cut and lists end early, so that an analysis stays small however much was measured.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from engine.data.samples import Labelled
from engine.evaluation.predictions.registry import TEXT_MEASURES
from engine.evaluation.tasks.answers import AnsweredTask, expected
from engine.evaluation.tasks.measures import measures_of

NONE = "(none)"
"""Where nothing is marked, or nothing was found."""
MOST_CASES, MOST_PAIRS, MOST_LABELS = 8, 8, 20
_EXAMPLES, _CHARACTERS = 3, 400
_HIGHER_IS_BETTER = ("chrf", "chrf++", "bleu", "rougeL", "rougeLsum", "rouge1", "rouge2", "squad2_f1", "squad_f1")


@dataclass(frozen=True)
class TaskCase:
    """One row: its text, the right answer, and what both versions say.

    Attributes:
        probability: that the candidate gives its label; null for kinds without.
    """

    text: str
    expected: str
    candidate: str
    incumbent: str | None
    probability: float | None


@dataclass(frozen=True)
class ConfusedPair:
    """How often ``predicted`` was said for ``expected``, with a few of the texts."""

    expected: str
    predicted: str
    candidate: int
    incumbent: int | None
    examples: list[str]


@dataclass(frozen=True)
class TaskAnalysis:
    """One task: the measures of both versions, and where their answers differ.

    Attributes:
        rows: that were measured.
        labels: of ``counts``, whose rows are what is right and whose columns what the candidate says; empty for kinds
            without labels, and where there are more than `MOST_LABELS`.
        better: rows that the candidate answers better than the incumbent.
        wrong: what the candidate answers wrongly, the surest first.
    """

    kind: str
    rows: int
    right: int
    incumbent_right: int | None
    candidate: dict[str, float]
    incumbent: dict[str, float]
    labels: list[str]
    counts: list[list[int]]
    confused: list[ConfusedPair]
    wrong: list[TaskCase]
    better: int = 0
    worse: int = 0
    won: list[TaskCase] = field(default_factory=list)
    lost: list[TaskCase] = field(default_factory=list)


def analyse_tasks(
    candidate: Mapping[str, AnsweredTask], incumbent: Mapping[str, AnsweredTask] | None
) -> dict[str, TaskAnalysis]:
    """Compare the answers of two versions to the same rows, or look at those of one, task by task."""
    return {
        name: _analyse(answered, None if incumbent is None else incumbent.get(name))
        for name, answered in candidate.items()
    }


def _analyse(ours: AnsweredTask, theirs: AnsweredTask | None) -> TaskAnalysis:
    scores, are_right = _scores(ours), _are_right(ours)
    before = None if theirs is None else _scores(theirs)
    places = range(len(ours.rows))

    def case(place: int) -> TaskCase:
        row, answer = ours.rows[place], ours.answers[place]
        other = None if theirs is None else theirs.answers[place].text
        return TaskCase(_shown(row), expected(ours.task, row), answer.text, other, answer.probability)

    wrong = [place for place in places if not are_right[place]]
    wrong.sort(key=lambda place: (scores[place], -(ours.answers[place].probability or 0.0)))
    gains = [0.0] * len(scores) if before is None else [a - b for a, b in zip(scores, before, strict=True)]
    won = sorted((place for place in places if gains[place] > 0), key=lambda place: -gains[place])
    lost = sorted((place for place in places if gains[place] < 0), key=gains.__getitem__)
    labels, counts = _confusion(ours)
    return TaskAnalysis(
        kind=ours.task.kind,
        rows=len(ours.rows),
        right=sum(are_right),
        incumbent_right=None if theirs is None else sum(_are_right(theirs)),
        candidate=measures_of(ours),
        incumbent={} if theirs is None else measures_of(theirs),
        labels=labels,
        counts=counts,
        confused=_confused(ours, theirs),
        wrong=[case(place) for place in wrong[:MOST_CASES]],
        better=len(won),
        worse=len(lost),
        won=[case(place) for place in won[:MOST_CASES]],
        lost=[case(place) for place in lost[:MOST_CASES]],
    )


def _scores(answered: AnsweredTask) -> list[float]:
    """How good each answer is: 1 where it is right, or what the first measure of generated answers says of it alone."""
    if answered.task.kind != "generate":
        return [float(right) for right in _are_right(answered)]
    by = next((name for name in answered.task.measured_by if name in _HIGHER_IS_BETTER), _HIGHER_IS_BETTER[0])
    return [TEXT_MEASURES[by].score([pair]).value for pair in answered.text_pairs]


def _are_right(answered: AnsweredTask) -> list[bool]:
    match answered.task.kind:
        case "classify":
            return [pair.prediction == pair.reference for pair in answered.label_pairs]
        case "tag":
            return [set(pair.predictions) == set(pair.references) for pair in answered.span_pairs]
        case "extract":
            exact = TEXT_MEASURES["squad2_exact_match"]
            return [exact.score([pair]).value > 0 for pair in answered.text_pairs]
        case _:
            return [pair.prediction.strip() in pair.references for pair in answered.text_pairs]


def _labels_said(answered: AnsweredTask) -> Iterator[tuple[int, str, str]]:
    """For each label of a row or of a span: the row, what is right, and what was said."""
    if answered.task.kind == "classify":
        for place, pair in enumerate(answered.label_pairs):
            yield place, pair.reference, pair.prediction
    elif answered.task.kind == "tag":
        for place, spans in enumerate(answered.span_pairs):
            right = {(each.start, each.end): each.label for each in spans.references}
            said = {(each.start, each.end): each.label for each in spans.predictions}
            for where in sorted(right.keys() | said.keys()):
                yield place, right.get(where, NONE), said.get(where, NONE)


def _confusion(answered: AnsweredTask) -> tuple[list[str], list[list[int]]]:
    found = Counter((right, said) for _, right, said in _labels_said(answered))
    labels = [*(answered.labels or answered.task.labels), *([NONE] if answered.task.kind == "tag" else [])]
    if not found or len(labels) > MOST_LABELS:
        return [], []
    return labels, [[found[right, said] for said in labels] for right in labels]


def _confused(ours: AnsweredTask, theirs: AnsweredTask | None) -> list[ConfusedPair]:
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, right, said in _labels_said(ours):
        if right != said:
            places[right, said].append(place)
    before = Counter((right, said) for _, right, said in _labels_said(theirs)) if theirs is not None else None
    most = sorted(places.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_PAIRS]
    return [
        ConfusedPair(
            expected=right,
            predicted=said,
            candidate=len(rows),
            incumbent=None if before is None else before[right, said],
            examples=[_shown(ours.rows[row]) for row in dict.fromkeys(rows)][:_EXAMPLES],
        )
        for (right, said), rows in most
    ]


def _shown(row: Labelled) -> str:
    text = f"{row.text}\n\n{row.text_pair}" if row.text_pair else row.text
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…"
