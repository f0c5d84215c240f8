"""Measures one version on one suite.

| the samples are     | the measure that a guard compares | besides                                      |
| ------------------- | --------------------------------- | -------------------------------------------- |
| conversations       | ``bits_per_byte``                 | loss, perplexity, and measures of answers    |
| rows with one label | ``accuracy``                      | precision, recall, F1, calibration           |

Where a suite has both, the rows count: a labelled text is read as a text too. For measures of answers the model
answers the last turn of each dialogue, greedily.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.config.evaluation import EvaluationSettings, SuiteSettings
from engine.data.records.limits import Limits
from engine.data.samples import Conversation, Dialogue, Labelled, Text
from engine.data.tasks.ready_made import READY_MADE
from engine.data.tasks.task import Task
from engine.evaluation import sample_answers
from engine.evaluation.likelihood import Likelihood, encode_documents, measure
from engine.evaluation.likelihood_cache import LikelihoodCache
from engine.evaluation.measures import registry
from engine.evaluation.measures.bits_per_byte import BITS_PER_BYTE
from engine.evaluation.measures.measure import Measure, Terms
from engine.evaluation.predictions.classification import Confusion, confusion, labels_of
from engine.evaluation.predictions.measure import UnmeasurableError
from engine.evaluation.predictions.pairs import LabelPair, TextPair
from engine.evaluation.predictions.registry import TEXT_MEASURES, label_measures
from engine.evaluation.results import Results, slices_of
from engine.evaluation.sample_answers import Prompt
from engine.evaluation.suites import files, labels
from engine.evaluation.suites.files import BadFilesError
from engine.version import LoadedVersion

Advance = Callable[[str, int, int], None]
"""Told what is under way, how much of it is done, and of how much."""

ACCURACY = Measure("accuracy", "accuracy", "higher", frozenset(), lambda _: Terms(np.zeros(0), np.zeros(0)))
"""Of a suite of labelled rows; its terms are made here."""


@dataclass(frozen=True)
class Suite:
    """A suite whose files were read: the conversations, or the rows, that versions are measured on.

    Attributes:
        left_out: records that cannot be measured.
        sha256: of what is in the files.
    """

    name: str
    settings: SuiteSettings
    conversations: tuple[Conversation, ...]
    rows: tuple[Labelled, ...]
    sources: tuple[str, ...]
    left_out: int
    sha256: str

    def __len__(self) -> int:
        return len(self.conversations) or len(self.rows)

    @property
    def primary(self) -> Measure:
        """What a guard compares by."""
        return BITS_PER_BYTE if self.conversations else ACCURACY


@dataclass(frozen=True)
class SuiteFigures:
    """What a version comes to on a suite.

    Attributes:
        terms: of the primary measure, by sample.
        likelihood: of the conversations; null in a suite of labels.
        pairs: predicted and right labels, by row.
        answers: what was said to each dialogue, where that is measured.
        cached: likelihoods were known already.
    """

    metrics: dict[str, float]
    terms: Terms
    likelihood: Likelihood | None = None
    pairs: tuple[LabelPair, ...] = ()
    confusion: Confusion | None = None
    answers: tuple[TextPair, ...] = ()
    cached: bool = False


def read(
    name: str, settings: SuiteSettings, limits: Limits, advance: Callable[[str], None] = lambda activity: None
) -> Suite:
    """Read the files of a suite.

    Raises:
        BadFilesError: they cannot be read, or there is nothing to measure.
    """
    data = files.read(files.inside(Path(settings.path).expanduser()), limits, advance)
    return of(name, settings, data)


def of(name: str, settings: SuiteSettings, data: files.SuiteData) -> Suite:
    """The suite of what was read.

    Raises:
        BadFilesError: there is nothing to measure.
    """
    conversations, rows, sources = list[Conversation](), list[Labelled](), list[str]()
    for example in data.examples:
        sample = example.sample
        if isinstance(sample, Dialogue | Text) and sample.supervised_bytes:
            conversations.append(sample)
            sources.append(example.source)
        elif isinstance(sample, Labelled) and labels.is_measurable(sample):
            rows.append(sample)
    most = settings.max_samples
    if len({str(row.label) for row in rows[:most]}) > 1:
        texts = {text for row in rows for text in row.texts}
        others = sum(not (isinstance(one, Text) and one.text in texts) for one in conversations)
        return Suite(name, settings, (), tuple(rows[:most]), (), data.refused + others, data.sha256)
    if not conversations:
        raise BadFilesError(f"suite '{name}': no conversation and no two labels to measure in {settings.path}")
    others = len(data.examples) - len(conversations)
    chosen = tuple(conversations[:most])
    return Suite(name, settings, chosen, (), tuple(sources[:most]), data.refused + others, data.sha256)


def run(
    suite: Suite,
    version: LoadedVersion,
    settings: EvaluationSettings,
    advance: Advance = lambda activity, done, total: None,
    cache: LikelihoodCache | None = None,
    tasks: Mapping[str, Task] = READY_MADE,
) -> SuiteFigures:
    """Measure a version."""

    def measuring(done: int, total: int) -> None:
        advance(f"measuring suite {suite.name}", done, total)

    measuring(0, 0)
    length, batch_size = settings.sequence_length, settings.batch_size
    known, asked = labels.questions(suite.rows, tasks) if suite.rows else ([], suite.conversations)
    documents = encode_documents(version.tokenizer, asked)
    kept = None if cache is None else cache.of(version, asked, length, batch_size)
    found = measure(version.model, documents, length=length, batch_size=batch_size, advance=measuring, kept=kept)
    cached = kept is not None and kept.was_complete
    if suite.rows:
        return _of_labels(labels.pairs(suite.rows, known, found.nats_C), cached=cached)
    results = Results(found, slices_of(suite.conversations))
    metrics, answers = registry.values(results), tuple[TextPair, ...]()
    if suite.settings.measures:
        answers = _answers(suite, version, advance)
        metrics |= _of_answers(suite.settings.measures, answers)
    return SuiteFigures(metrics, BITS_PER_BYTE.terms(results), likelihood=found, answers=answers, cached=cached)


def _of_labels(pairs: Sequence[LabelPair], *, cached: bool) -> SuiteFigures:
    known = labels_of(pairs)
    are_right_C = np.array([pair.prediction == pair.reference for pair in pairs], np.float64)
    return SuiteFigures(
        metrics={name: measure.score(pairs).value for name, measure in label_measures(known).items()},
        terms=Terms(are_right_C, np.ones(len(pairs))),
        pairs=tuple(pairs),
        confusion=confusion(pairs, known),
        cached=cached,
    )


def _answers(suite: Suite, version: LoadedVersion, advance: Advance) -> tuple[TextPair, ...]:
    """What the version says to the last turn of each dialogue that ends with an answer."""
    dialogues = [
        one
        for one in suite.conversations
        if isinstance(one, Dialogue) and len(one.messages) > 1 and one.messages[-1].is_supervised
    ]
    pairs = []
    for number, dialogue in enumerate(dialogues):
        advance(f"answering suite {suite.name}", number, len(dialogues))
        said = sample_answers.answer(
            version.model, version.tokenizer, Prompt(dialogue.messages[:-1]), suite.settings.answer_tokens
        )
        pairs.append(TextPair(said, (dialogue.messages[-1].content,)))
    return tuple(pairs)


def _of_answers(names: Sequence[str], pairs: Sequence[TextPair]) -> dict[str, float]:
    """The measures named; those that these answers do not allow are left out."""
    found = {}
    for name in names if pairs else ():
        try:
            found[name] = TEXT_MEASURES[name].score(pairs).value
        except UnmeasurableError:
            continue
    return found
