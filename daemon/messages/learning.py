"""What the supervisor asks of trainer and evaluator, and how far they say they have come."""

from typing import Literal

from pydantic import Field, JsonValue

from daemon.messages.base import Answer, Command, Message
from engine.data.validation import Part
from engine.variation import Variation

Layout = Literal["hf", "gguf", "checkpoint", "peft"]
"""Of a folder that becomes a version: Hugging Face's, that of a checkpoint of a run, or a PEFT adapter."""


class Train(Command):
    """Trainer: run the loop of a cycle or a job and publish ``versions/<version>``, resuming what is there."""

    kind: Literal["train"] = "train"
    cycle: int | None
    job: int | None = None
    """In place of the cycle; one of the two is null."""
    attempt: int
    version: int
    base: int | None
    overrides: dict[str, JsonValue] = Field(default_factory=dict)
    """Keys of ``[training]`` that this run was asked to do differently."""
    model: dict[str, JsonValue] = Field(default_factory=dict)
    """Keys of ``[model]`` that this run was asked to do differently."""
    tokenizer: dict[str, JsonValue] = Field(default_factory=dict)
    """Keys of ``[tokenizer]`` that this run was asked to do differently."""
    variation: Variation = Variation()
    """How it differs from earlier attempts that came to nothing."""


class Trained(Answer):
    """The run ended, and its candidate is published under ``versions/``: its manifest says everything about it."""

    kind: Literal["trained"] = "trained"
    version: int


class Import(Command):
    """Trainer: publish the model in ``folder`` as ``versions/<version>``."""

    kind: Literal["import"] = "import"
    version: int
    layout: Layout
    folder: str
    generation: dict[str, JsonValue] = Field(default_factory=dict)
    """Keys of ``generation_config.json`` that count in place of the model's own."""


class Fold(Command):
    """Trainer: publish the adapter in ``versions/<adapter>``, merged into its base, as ``versions/<version>``."""

    kind: Literal["fold"] = "fold"
    version: int
    adapter: int


class MakeTokenizer(Command):
    """Trainer: publish a tokenizer of texts in ``files`` at ``artifacts/tokenizers/<name>``, or find that done."""

    kind: Literal["make_tokenizer"] = "make_tokenizer"
    job: int
    name: str
    files: tuple[str, ...]
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """Keys of ``[tokenizer]`` that differ from those of the settings."""


class TokenizerMade(Answer):
    """A tokenizer is published, of so many tokens."""

    kind: Literal["tokenizer_made"] = "tokenizer_made"
    tokenizer_kind: str
    vocabulary: int


class Imported(Answer):
    """A model from elsewhere, a checkpoint or a folded adapter is published under ``versions/``."""

    kind: Literal["imported"] = "imported"
    version: int


class Evaluate(Command):
    """Evaluator: judge ``version`` against ``incumbent`` (null: the unigram baseline).

    The held-out set is that of the snapshot of ``cycle`` (null: of the cycle or the job that made the version), or
    ``files`` where given, or the ``part`` of what the run learned from.
    """

    kind: Literal["evaluate"] = "evaluate"
    version: int
    incumbent: int | None
    cycle: int | None
    files: tuple[str, ...] = ()
    part: Part | None = None
    """What the run that made the version validated with, or measured its end on."""
    suites_only: bool = False
    """On the suites of the settings, and on nothing else."""
    sealed: bool = False
    """On the part of the held-out set that no gate reads: an anchor test."""
    decides: bool = False
    """The cycle itself asks, so its verdict is written down beside the version. False: a person asks."""


class Evaluated(Answer):
    """The verdict on a version, with every figure behind it."""

    kind: Literal["evaluated"] = "evaluated"
    version: int
    passed: bool
    reason: str
    gate: dict[str, JsonValue]
    metrics: dict[str, float]
    slices: dict[str, JsonValue] = Field(default_factory=dict)
    """Measures on parts of what was held out: by ``kind``, ``task`` or ``source``, then by the name of the slice."""
    suites: dict[str, JsonValue] = Field(default_factory=dict)
    """Measures on the suites of the settings, by name."""


class TrainProgress(Message):
    """Where a run is. ``eta_seconds`` counts to the end of training, ``epoch`` from 1, ``samples`` in packed rows."""

    kind: Literal["train_progress"] = "train_progress"
    cycle: int | None
    job: int | None = None
    """In place of the cycle."""
    step: int
    steps: int
    loss: float | None
    learning_rate: float
    tokens_per_second: float
    eta_seconds: float | None
    validation_loss: float | None = None
    epoch: int | None = None
    epochs: int | None = None
    samples: int | None = None
    samples_per_second: float | None = None
    gradient_norm: float | None = None
    memory_bytes: int | None = None
    processes: int = 1
    """How many train together."""
    train_loss: float | None = None
    """The mean over the epoch so far."""
    best_validation_loss: float | None = None
    epochs_without_improvement: int = 0


class PhaseProgress(Message):
    """How far a run or an evaluation has come with work other than training steps.

    ``to`` is the id of the command under way; ``eta_seconds`` counts to the end of the phase.
    """

    kind: Literal["phase_progress"] = "phase_progress"
    to: int
    activity: str
    done: int
    total: int | None
    eta_seconds: float | None
