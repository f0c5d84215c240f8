"""One evaluation: measure candidate and incumbent on the same conversations in the same run, judge, let both answer."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from engine.config.evaluation import EvaluationSettings, GateSettings
from engine.config.inference import Quantization
from engine.data.samples import Conversation, Dialogue, SampleProtocol, Text
from engine.data.snapshot import Example
from engine.evaluation import gate, samples
from engine.evaluation.gate import Verdict
from engine.evaluation.likelihood import Document, Likelihood, encode_documents, measure
from engine.evaluation.samples import Prompt
from engine.evaluation.unigram import Unigram
from engine.inference.runners import decoders
from engine.tokenizers.base import Tokenizer
from engine.version import LoadedVersion

Load = Callable[[], LoadedVersion]
"""Loads a version. Candidate and incumbent are in memory one after the other, never both."""

Advance = Callable[[str, int, int], None]
"""Told what is under way, how much of it is done, and of how much; both are 0 where that is not known."""

UNIGRAM = "the unigram baseline"


class Sample(BaseModel):
    """What both versions say to one prompt; ``expected`` is what a person wrote there."""

    model_config = ConfigDict(frozen=True)

    prompt: str
    expected: str | None
    candidate: str
    incumbent: str | None


class Evaluation(BaseModel):
    """The outcome. ``metrics`` holds the candidate's figures by name, the incumbent's behind ``incumbent_``.

    Those of replayed conversations are behind ``replay_``, those of what was held out before this cycle behind
    ``earlier_``; ``forgetting_bits_per_byte`` tells by how much the candidate is worse on the latter than the
    incumbent. On what it replayed it has just been trained, and is mostly better. They decide nothing.
    """

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    metrics: dict[str, float]
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class _Findings:
    """What one version shows."""

    held_out: Likelihood
    replayed: Likelihood
    answers: list[str]


def choose(samples: Iterable[SampleProtocol], limit: int) -> list[Conversation]:
    """Of the dialogues and texts among the samples, at most ``limit`` conversations with something to score.

    Chosen by identity: mostly the same ones again and again, whatever their order and whatever was added.
    """
    scored = (sample for sample in samples if isinstance(sample, Dialogue | Text) and sample.supervised_bytes)
    return nsmallest(limit, scored, key=lambda conversation: conversation.identity)


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
) -> Evaluation:
    """Judge a candidate against the version in service, or against a unigram model where none is.

    ``training`` reads what the candidate learned from: the baseline is fitted on it, and forgetting is measured on the
    replayed part of it, and on those held out whose identity is in ``earlier``: on what others than this cycle's
    conversations are like. ``advance`` is called, often, with what is under way. Both versions are judged as they were
    trained; what ``quantization`` takes from the candidate is measured besides, and decides nothing.

    Raises:
        ArtifactError: a version cannot be loaded.
    """
    replayed = choose((e.sample for e in training() if e.origin == "replay"), settings.max_conversations)
    prompts = samples.prompts(settings.sample_prompts, held_out)
    version = candidate()
    against = UNIGRAM
    ours = _examine(version, held_out, replayed, prompts, settings, advance, "the candidate")
    quantized = _quantized(version, ours, held_out, settings, quantization, advance)
    theirs: _Findings | None = None
    if incumbent is None:
        documents = _training_documents(version.tokenizer, training(), lambda: advance("fitting the baseline", 0, 0))
        baseline = Unigram(version.tokenizer.vocabulary, documents)
        reference = baseline.measure(encode_documents(version.tokenizer, held_out))
    else:
        del version  # its memory is wanted for the other
        other = incumbent()
        against = f"version {other.manifest.version}"
        theirs = _examine(other, held_out, replayed, prompts, settings, advance, "the incumbent")
        reference = theirs.held_out
    advance("drawing", 0, 0)
    kinds = ["chat" if isinstance(conversation, Dialogue) else "text" for conversation in held_out]
    earlier_C = np.array([conversation.identity in earlier for conversation in held_out], np.bool_)
    return Evaluation(
        verdict=gate.judge(ours.held_out, reference, kinds, gate_settings, against),
        metrics=_metrics(ours, reference, theirs, earlier_C) | quantized,
        samples=_samples(prompts, ours, theirs),
    )


def measure_version(
    version: LoadedVersion,
    conversations: Sequence[Conversation],
    settings: EvaluationSettings,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Likelihood:
    """The likelihood of each conversation under one version."""
    documents = encode_documents(version.tokenizer, conversations)
    length, batch_size = settings.length, settings.batch_size
    return measure(version.model, documents, length=length, batch_size=batch_size, advance=advance)


def _examine(
    version: LoadedVersion,
    held_out: Sequence[Conversation],
    replayed: Sequence[Conversation],
    prompts: Sequence[Prompt],
    settings: EvaluationSettings,
    advance: Advance,
    who: str,
) -> _Findings:
    def measuring(done: int, total: int) -> None:
        advance(f"measuring {who}", done, total)

    def remembering(done: int, total: int) -> None:
        advance(f"measuring {who} on what was replayed", done, total)

    answers = []
    for number, prompt in enumerate(prompts):
        advance(f"having {who} answer", number, len(prompts))
        answers.append(samples.answer(version.model, version.tokenizer, prompt, settings.sample_tokens))
    measuring(0, 0)
    return _Findings(
        held_out=measure_version(version, held_out, settings, measuring),
        replayed=measure_version(version, replayed, settings, remembering),
        answers=answers,
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

    found = measure_version(version, held_out, settings, measuring)
    figures = {
        "quantized_bits_per_byte": found.bits_per_byte,
        "quantization_loss_bits_per_byte": found.bits_per_byte - ours.held_out.bits_per_byte,
    }
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _training_documents(
    tokenizer: Tokenizer, training: Iterator[Example], advance: Callable[[], None]
) -> Iterator[Document]:
    for example in training:
        if isinstance(example.sample, Dialogue | Text):
            yield from encode_documents(tokenizer, [example.sample])
        advance()


def _metrics(
    ours: _Findings, reference: Likelihood, theirs: _Findings | None, earlier_C: NDArray[np.bool_]
) -> dict[str, float]:
    parts = {"": ours.held_out, "incumbent_": reference, "replay_": ours.replayed}
    if theirs is not None:
        parts["incumbent_replay_"] = theirs.replayed
        parts["earlier_"] = ours.held_out.part(earlier_C)
        parts["incumbent_earlier_"] = theirs.held_out.part(earlier_C)
    figures = {prefix + name: value for prefix, part in parts.items() for name, value in part.figures.items()}
    before, after = figures.get("incumbent_earlier_bits_per_byte"), figures.get("earlier_bits_per_byte")
    if before is not None and after is not None:
        figures["forgetting_bits_per_byte"] = after - before
    return figures | ours.held_out.counts


def _samples(prompts: Sequence[Prompt], ours: _Findings, theirs: _Findings | None) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            prompt=prompt.shown,
            expected=prompt.expected,
            candidate=ours.answers[position],
            incumbent=theirs.answers[position] if theirs else None,
        )
        for position, prompt in enumerate(prompts)
    )
