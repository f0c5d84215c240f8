"""One evaluation: measure candidate and incumbent on the same conversations in the same run, judge, let both answer."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from engine.config.evaluation import EvaluationSettings, GateSettings
from engine.config.inference import Quantization
from engine.data.held_out import is_sealed
from engine.data.samples import Conversation
from engine.data.snapshot import Example
from engine.data.tasks.posed import posed
from engine.data.tasks.ready_made import READY_MADE
from engine.data.tasks.task import Task
from engine.evaluation import gate, sample_answers
from engine.evaluation.budgets import Budget
from engine.evaluation.gate import GuardedSet, Verdict
from engine.evaluation.likelihood import Likelihood, encode_documents, measure
from engine.evaluation.likelihood_cache import LikelihoodCache
from engine.evaluation.measures import registry
from engine.evaluation.measures.bits_per_byte import BITS_PER_BYTE
from engine.evaluation.results import By, Names, Results, slices_of
from engine.evaluation.sample_answers import Prompt
from engine.evaluation.slice_figures import SliceFigures, slice_figures
from engine.evaluation.suites import suite
from engine.evaluation.suites.suite import Suite, SuiteFigures
from engine.evaluation.tasks.measures import TaskFindings, measure_tasks
from engine.evaluation.unigram import Unigram
from engine.inference.runners import decoders
from engine.tasks.calibrating import FittedTemperature
from engine.version import LoadedVersion

Load = Callable[[], LoadedVersion]
"""Loads a version. Candidate and incumbent are in memory one after the other, never both."""

Advance = Callable[[str, int, int], None]
"""Told what is under way, how much of it is done, and of how much; both are 0 where that is not known."""

UNIGRAM = "the unigram baseline"


class SampleAnswer(BaseModel):
    """What both versions say to one prompt; ``expected`` is what a person wrote there."""

    model_config = ConfigDict(frozen=True)

    prompt: str
    expected: str | None
    candidate: str
    incumbent: str | None


class SuitePair(BaseModel):
    """What both versions come to on a suite; ``incumbent`` is empty where none serves."""

    model_config = ConfigDict(frozen=True)

    samples: int
    candidate: dict[str, float]
    incumbent: dict[str, float]


class Evaluation(BaseModel):
    """The outcome. ``metrics`` holds the candidate's figures by name, the incumbent's behind ``incumbent_``.

    Those of replayed conversations are behind ``replay_``, those of what was held out before this cycle behind
    ``earlier_``; ``forgetting_bits_per_byte`` tells by how much the candidate is worse on the latter than the
    incumbent. On what it replayed it has just been trained, and is mostly better. They decide nothing.
    ``temperatures`` are those fitted for the tasks of the candidate, whose measures are behind ``task_``.
    ``slices`` has the measures on parts of what was held out, by way of slicing and by name of the slice.
    """

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    metrics: dict[str, float]
    samples: tuple[SampleAnswer, ...]
    slices: dict[By, dict[str, SliceFigures]] = {}
    temperatures: dict[str, FittedTemperature] = {}
    suites: dict[str, SuitePair] = {}


@dataclass(frozen=True)
class _Exam:
    """What both versions are asked."""

    held_out: Sequence[Conversation]
    slices: Mapping[By, Names]
    replayed: Sequence[Conversation]
    prompts: Sequence[Prompt]
    suites: Sequence[Suite]
    tasks: Mapping[str, Task]


@dataclass(frozen=True)
class _Findings:
    """What one version showed: results on both sets of conversations, and an answer to each prompt."""

    held_out: Results
    replayed: Results
    answers: list[str]
    tasks: TaskFindings
    suites: dict[str, SuiteFigures]


def choose(examples: Iterable[Example], limit: int, tasks: Mapping[str, Task] = READY_MADE) -> list[Example]:
    """Of what has a likelihood among the examples, at most ``limit`` with something to score.

    Chosen by identity: mostly the same ones again and again, whatever their order and whatever was added.
    """
    scored = (example for example in examples if is_scored(example, tasks))
    return nsmallest(limit, scored, key=lambda example: example.identity)


def is_scored(example: Example, tasks: Mapping[str, Task]) -> bool:
    """Whether an example has something to score."""
    return any(conversation.supervised_bytes for conversation in conversations([example], tasks))


def divide(
    examples: Sequence[Example], limit: int, tasks: Mapping[str, Task] = READY_MADE
) -> tuple[list[Example], list[Example]]:
    """What gates read of what is held out, and what is sealed.

    Where fewer than ``limit`` others are there, gates read those that are missing of the sealed ones too, and nothing
    counts as sealed.
    """
    sealed = [example for example in examples if is_sealed(example.identity)]
    read = choose((example for example in examples if not is_sealed(example.identity)), limit, tasks)
    missing = limit - len(read)
    return (choose([*read, *choose(sealed, missing, tasks)], limit, tasks), []) if missing else (read, sealed)


def conversations(examples: Iterable[Example], tasks: Mapping[str, Task] = READY_MADE) -> list[Conversation]:
    """The dialogues, texts and labelled samples among the examples, as they are learned: what has a likelihood."""
    found = (posed(example.sample, tasks) for example in examples)
    return [conversation for conversation in found if conversation is not None]


def judge(
    candidate: Load,
    incumbent: Load | None,
    held_out: Sequence[Conversation],
    training: Callable[[], Iterator[Example]],
    settings: EvaluationSettings,
    gate_settings: GateSettings,
    advance: Advance = lambda activity, done, total: None,
    quantization: Quantization = "none",
    earlier: Collection[str] = (),
    sources: Mapping[str, str] = MappingProxyType({}),
    tasks: Mapping[str, Task] = READY_MADE,
    cache: LikelihoodCache | None = None,
    suites: Sequence[Suite] = (),
    budgets: Mapping[str, Budget] = MappingProxyType({}),
) -> Evaluation:
    """Judge a candidate against the version in service, or against a unigram model where none is.

    ``training`` reads what the candidate learned from: the baseline is fitted on it, and forgetting is measured on the
    replayed part of it, and on those held out whose identity is in ``earlier``: on what others than this cycle's
    conversations are like. The rest of those held out is the gate's second look. ``sources`` has the files that
    held-out conversations came from, by identity. ``advance`` is called, often, with what is under way. Both versions
    are judged as they were trained; what ``quantization`` takes from the candidate is measured besides, and decides
    nothing. What ``cache`` knows of them is not measured again.
    Suites with a tolerance guard, and so do ``budgets``.

    Raises:
        ArtifactError: a version cannot be loaded.
    """
    replay = (example for example in training() if example.origin == "replay")
    replayed = conversations(choose(replay, settings.max_conversations, tasks), tasks)
    prompts = sample_answers.prompts(settings.sample_prompts, held_out)
    slices = slices_of(held_out, sources)
    version = candidate()
    against = UNIGRAM
    exam = _Exam(held_out, slices, replayed, prompts, suites, tasks)
    ours = _examine(version, exam, settings, advance, cache, "the candidate")
    quantized = _quantized(version, ours, held_out, settings, quantization, advance)
    theirs: _Findings | None = None
    if incumbent is None:
        fitted = conversations_of(training(), tasks, lambda: advance("fitting the baseline", 0, 0))
        documents = (each for one in fitted for each in encode_documents(version.tokenizer, [one]))
        baseline = Unigram(version.tokenizer.vocabulary, documents)
        reference = Results(baseline.measure(encode_documents(version.tokenizer, held_out)), slices)
    else:
        del version  # its memory is wanted for the other
        other = incumbent()
        against = f"version {other.manifest.version}"
        theirs = _examine(other, exam, settings, advance, cache, "the incumbent")
        reference = theirs.held_out
    advance("resampling the differences", 0, 0)
    earlier_C = np.array([conversation.identity in earlier for conversation in held_out], np.bool_)
    fresh_C = ~earlier_C if theirs is not None and earlier else None
    return Evaluation(
        verdict=gate.judge(
            ours.held_out,
            reference,
            gate_settings,
            against,
            fresh_C=fresh_C,
            sets=[] if theirs is None else _guarded_sets(suites, ours, theirs),
            budgets=budgets,
        ),
        metrics=_metrics(ours, reference, theirs, earlier_C) | quantized | _on_suites(ours),
        samples=_samples(prompts, ours, theirs),
        slices=slice_figures(ours.held_out, reference),
        temperatures=ours.tasks.temperatures,
        suites={
            one.name: SuitePair(
                samples=len(one),
                candidate=ours.suites[one.name].metrics,
                incumbent={} if theirs is None else theirs.suites[one.name].metrics,
            )
            for one in suites
        },
    )


def _guarded_sets(suites: Sequence[Suite], ours: _Findings, theirs: _Findings) -> list[GuardedSet]:
    return [
        GuardedSet(
            name=one.name,
            measure=one.primary,
            tolerance=one.settings.tolerance,
            candidate=ours.suites[one.name].terms,
            incumbent=theirs.suites[one.name].terms,
        )
        for one in suites
        if one.settings.tolerance is not None
    ]


def measure_version(
    version: LoadedVersion,
    conversations: Sequence[Conversation],
    settings: EvaluationSettings,
    advance: Callable[[int, int], None] = lambda done, total: None,
    cache: LikelihoodCache | None = None,
) -> Likelihood:
    """The likelihood of each conversation under one version; what ``cache`` knows of it is not measured again."""
    documents = encode_documents(version.tokenizer, conversations)
    length, batch_size = settings.sequence_length, settings.batch_size
    kept = None if cache is None else cache.of(version, conversations, length, batch_size)
    return measure(version.model, documents, length=length, batch_size=batch_size, advance=advance, kept=kept)


def _examine(
    version: LoadedVersion,
    exam: _Exam,
    settings: EvaluationSettings,
    advance: Advance,
    cache: LikelihoodCache | None,
    who: str,
) -> _Findings:
    def measuring(done: int, total: int) -> None:
        advance(f"measuring {who}", done, total)

    def remembering(done: int, total: int) -> None:
        advance(f"measuring {who} on what was replayed", done, total)

    def answering(done: int, total: int) -> None:
        advance(f"measuring the tasks of {who}", done, total)

    answers = []
    for number, prompt in enumerate(exam.prompts):
        advance(f"sampling answers of {who}", number, len(exam.prompts))
        answers.append(sample_answers.answer(version.model, version.tokenizer, prompt, settings.sample_tokens))
    measuring(0, 0)
    return _Findings(
        held_out=Results(measure_version(version, exam.held_out, settings, measuring, cache), exam.slices),
        replayed=Results(
            measure_version(version, exam.replayed, settings, remembering, cache), slices_of(exam.replayed)
        ),
        answers=answers,
        tasks=measure_tasks(version, exam.held_out, exam.tasks, answering),
        suites={one.name: suite.run(one, version, settings, advance, cache, exam.tasks) for one in exam.suites},
    )


def _quantized(
    version: LoadedVersion,
    ours: _Findings,
    held_out: Sequence[Conversation],
    settings: EvaluationSettings,
    quantization: Quantization,
    advance: Advance,
) -> dict[str, float]:
    """Bits per byte of a version with quantized weights, and how much worse that is; empty if it is never so, or no
    number comes of it.

    Its weights stay rounded.
    """
    if not decoders.round_weights(version.model, quantization):
        return {}

    def measuring(done: int, total: int) -> None:
        advance("measuring the candidate quantized", done, total)

    found = Results(measure_version(version, held_out, settings, measuring), ours.held_out.slices)
    rounded, exact = BITS_PER_BYTE.value(found), BITS_PER_BYTE.value(ours.held_out)
    figures = {"quantized_bits_per_byte": rounded, "quantization_loss_bits_per_byte": rounded - exact}
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def conversations_of(
    training: Iterator[Example], tasks: Mapping[str, Task], advance: Callable[[], None]
) -> Iterator[Conversation]:
    """The same as `conversations`, one by one; ``advance`` is called for each example."""
    for example in training:
        yield from conversations([example], tasks)
        advance()


def _metrics(
    ours: _Findings, reference: Results, theirs: _Findings | None, earlier_C: NDArray[np.bool_]
) -> dict[str, float]:
    parts = {"": ours.held_out, "incumbent_": reference, "replay_": ours.replayed}
    if theirs is not None:
        parts["incumbent_replay_"] = theirs.replayed
        parts["earlier_"] = ours.held_out.part(earlier_C)
        parts["incumbent_earlier_"] = theirs.held_out.part(earlier_C)
    figures = {prefix + name: value for prefix, part in parts.items() for name, value in registry.values(part).items()}
    before, after = figures.get("incumbent_earlier_bits_per_byte"), figures.get("earlier_bits_per_byte")
    if before is not None and after is not None:
        figures["forgetting_bits_per_byte"] = after - before
    before_tasks = {} if theirs is None else theirs.tasks.figures
    figures |= ours.tasks.figures | {f"incumbent_{name}": value for name, value in before_tasks.items()}
    return figures | ours.held_out.likelihood.counts


def _on_suites(ours: _Findings) -> dict[str, float]:
    return {f"{name}.{key}": value for name, one in ours.suites.items() for key, value in one.metrics.items()}


def _samples(prompts: Sequence[Prompt], ours: _Findings, theirs: _Findings | None) -> tuple[SampleAnswer, ...]:
    return tuple(
        SampleAnswer(
            prompt=prompt.shown,
            expected=prompt.expected,
            candidate=ours.answers[position],
            incumbent=theirs.answers[position] if theirs else None,
        )
        for position, prompt in enumerate(prompts)
    )
