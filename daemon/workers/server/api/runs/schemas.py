"""What clients send to have something trained or evaluated; what they ask of a version is in `runs.bodies`."""

from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, Field, model_validator

from daemon.workers.server.api.fields import RefusedField, Rules
from daemon.workers.server.api.request_body import RequestBody
from daemon.workers.server.api.schemas import Finite

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What a run or a tokenizer may be called: it becomes the name of a folder."""
Name = Annotated[str, Field(pattern=NAME)]
Share = Annotated[Finite, Field(ge=0, le=0.5)]
_UserId = Annotated[int, Field(gt=-(1 << 63), lt=1 << 63)]
_Count = Annotated[int, Field(ge=1, le=1 << 31)]


class JobBody(RequestBody):
    """What every job may be given. A field that is null has its default, which ``[jobs]`` says."""

    user_id: _UserId | None = Field(None, description="Whose job it is, for events.")
    queue: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        None, description="The queue whose workers carry it out."
    )
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] | None = Field(None, description="Higher goes first.")
    retries: Annotated[int, Field(ge=0, le=1000)] | None = Field(None, description="Attempts after a failed one.")
    retry_interval_seconds: Annotated[Finite, Field(ge=0, le=31_536_000)] | None = None
    time_limit_seconds: Annotated[Finite, Field(gt=0, le=31_536_000)] | None = None


class CorpusBody(JobBody):
    """A job that reads a corpus."""

    corpus_file_id: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="A file that was uploaded to /v1/files."
    )
    corpus_path: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        None,
        validation_alias=AliasChoices("corpus_path", "corpus"),
        description="A file or folder below api.file_roots, in place of corpus_file_id.",
    )

    @model_validator(mode="after")
    def _has_one_corpus(self) -> "CorpusBody":
        if (self.corpus_file_id is None) == (self.corpus_path is None):
            raise ValueError("corpus_file_id: give it or corpus_path, and not both")
        return self


class LoraBody(RequestBody):
    """The field ``lora``: an adapter's size."""

    rules: ClassVar[Rules] = Rules(
        neutral=frozenset({"enabled"}),
        refused={
            "bias": RefusedField(("none",), "biases are not trained"),
            "lora_dropout": RefusedField((0, 0.0), "adapters are trained without dropout"),
        },
    )

    r: Annotated[int, Field(ge=1, le=1024)] | None = None
    lora_alpha: Annotated[Finite, Field(gt=0, le=4096)] | None = None


_TRAIN_RULES = Rules(
    neutral=frozenset({"data_num_workers", "data_pin_memory"}),
    refused={
        "freeze_embed": RefusedField((False,), "train an adapter instead: finetuning_strategy 'lora'"),
        "hub_model_id": RefusedField((), "import the model (thorctl import hf), and name its version in base"),
        "quantization": RefusedField((), "a base is trained in its own precision"),
        "unsloth": RefusedField((), "it is not used here"),
    },
)


class TrainBody(CorpusBody):
    """The body of ``/runs/train``. What is left out is as ``[training]`` and ``[model]`` say."""

    rules: ClassVar[Rules] = _TRAIN_RULES

    run_id: Name | None = Field(None, description="What the run is called; thord finds a name where there is none.")
    model_family: Literal["thor", "gpt2", "char_lstm", "agiformer"] | None = Field(
        None, description="Train a new model of this family; without it, and without a base, what serves goes on."
    )
    model_size: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="The size of a new model: a preset of its family, such as small."
    )
    pretrained_run_id: Name | None = Field(None, description="Go on from the version that this run made.")
    base: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="Go on from this version, such as thor@000012."
    )
    tokenizer_id: Name | None = Field(None, description="The tokenizer of a new model, by the name of its training.")
    max_seq_len: Annotated[int, Field(ge=8, le=1 << 31)] | None = None
    num_epochs: Annotated[Finite, Field(gt=0, le=1e6)] | None = Field(
        None, validation_alias=AliasChoices("num_epochs", "epochs")
    )
    max_steps: _Count | None = None
    batch_size: _Count | None = None
    learning_rate: Annotated[Finite, Field(gt=0, le=10)] | None = None
    finetune_lr_cap: Annotated[Finite, Field(gt=0, le=10)] | None = Field(
        None, description="The highest learning rate of a run that has a base."
    )
    seed: Annotated[int, Field(ge=0, lt=1 << 31)] | None = None
    device: Literal["cpu", "cuda", "auto"] | None = None
    precision: Literal["fp32", "fp16", "bf16", "auto"] | None = None
    optimizer: Literal["adamw", "muon", "adamw8bit"] | None = None
    gradient_clipping: Annotated[Finite, Field(ge=0, le=1e6)] | None = None
    holdout_fraction: Share | None = Field(None, description="Share of the data to validate on.")
    test_split_ratio: Share | None = Field(None, description="Share of the data to measure the finished model on.")
    early_stopping_patience: Annotated[int, Field(ge=0, le=1 << 31)] | None = Field(
        None, description="End the run after this many epochs without improvement; 0 does not."
    )
    finetuning_strategy: Literal["full", "lora"] | None = None
    lora: LoraBody | None = None
    promote: Literal["never", "gate", "force"] | None = Field(
        None,
        description="Whether the version that the run makes comes to serve: never, which is the default, if the gate "
        "says so, or, for keys with the scope admin, at once.",
    )

    @model_validator(mode="after")
    def _begins_somewhere(self) -> "TrainBody":
        begun = [self.model_family, self.pretrained_run_id, self.base]
        if sum(each is not None for each in begun) > 1:
            raise ValueError("model_family: give it, pretrained_run_id or base, and only one of them")
        if self.model_family is None and (self.model_size is not None or self.tokenizer_id is not None):
            raise ValueError("model_family: model_size and tokenizer_id are of a new model: give its family too")
        return self


class EvaluateBody(JobBody):
    """The body of ``/runs/{run_id}/evaluate``."""

    split: Literal["validation", "test"] | None = Field(
        None, description="Which part of its data the run kept back to measure on; validation by default."
    )
    path_override: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        None, description="A file below api.file_roots to evaluate on instead."
    )


class TokenizerBody(CorpusBody):
    """The body of ``/tokenizers/train``."""

    tokenizer_id: Name | None = Field(None, description="What it is called; thord finds a name where there is none.")
    method: Literal["bpe", "sentencepiece", "unigram", "bytes"] = "bpe"
    vocab_size: Annotated[int, Field(ge=400, le=262_144)] = 8000
    min_frequency: Annotated[int, Field(ge=1, le=1 << 31)] | None = Field(
        None, description="Has no effect: the vocabulary alone bounds the pieces."
    )
    holdout_fraction: Annotated[Finite, Field(ge=0, lt=1)] | None = Field(
        None, description="Has no effect: all of the corpus is read."
    )
    seed: Annotated[int, Field(ge=0, lt=1 << 31)] | None = Field(None, description="Has no effect: nothing is drawn.")
