"""Settings of models, tokenizers, training, evaluation, gate and inference. Plain data: torch is not imported here."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MOST_LAYERS, MOST_WIDE, MOST_TOKENS, MOST_ROWS = 1 << 10, 1 << 20, 1 << 30, 1 << 20
"""Far beyond any model and any step there is: what cannot be meant is refused before anything is made of it."""
Depth = Annotated[int, Field(gt=0, le=MOST_LAYERS)]
Width = Annotated[int, Field(gt=0, le=MOST_WIDE)]
Length = Annotated[int, Field(gt=0, le=MOST_TOKENS)]
Rounds = Annotated[int, Field(ge=0, le=MOST_LAYERS)]
Vocabulary = Annotated[int, Field(gt=0, le=1 << 24)]
WidthOrNone = Annotated[int, Field(ge=0, le=MOST_WIDE)]
LengthOrNone = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
Scale = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Family = Literal["thor", "gpt2", "char_lstm", "agiformer"]
RopeScaling = Literal["none", "linear", "ntk", "llama3", "yarn"]
Quantization = Literal["none", "int8", "int4"]
Recompute = Literal["none", "selective", "full"]
Strategy = Literal["ddp", "fsdp"]
TokenizerKind = Literal["bpe", "unigram", "sentencepiece-bpe", "bytes"]


class Section(BaseModel):
    """One table of ``thord.toml``: unknown keys are errors, values do not change once loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ThorShape(Section):
    """What decides the weights of a ``thor`` decoder, and what they compute."""

    hidden: Width
    layers: Depth
    heads: Width
    kv_heads: Width
    feed_forward: Width
    head_width: WidthOrNone = 0
    context: Length = 3072
    window: LengthOrNone = 0
    rope_theta: Scale = 10_000.0
    rope_scaling: RopeScaling = "none"
    rope_factor: Scale = 1.0
    rope_trained: LengthOrNone = 0
    norm_epsilon: Scale = 1e-5
    tied: bool = True
    qkv_bias: bool = False
    qk_norm: bool = False

    @property
    def width(self) -> int:
        """Width of one head."""
        return self.head_width or self.hidden // self.heads

    @model_validator(mode="after")
    def _is_possible(self) -> "ThorShape":
        if not self.head_width:
            _check_heads(self.hidden, self.heads)
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.width % 2:
            raise ValueError(f"the width of a head ({self.width}) must be even for rotary positions")
        if self.rope_scaling in ("llama3", "yarn") and not self.rope_trained:
            raise ValueError(f"rope_scaling '{self.rope_scaling}' needs rope_trained, the context before it was scaled")
        return self


class Gpt2Shape(Section):
    """What decides the weights of a ``gpt2`` decoder; inside the feed-forward part it is four times as wide."""

    hidden: Width
    layers: Depth
    heads: Width
    context: Length = 1024
    norm_epsilon: Scale = 1e-5

    @model_validator(mode="after")
    def _is_possible(self) -> "Gpt2Shape":
        _check_heads(self.hidden, self.heads)
        return self


class CharLstmShape(Section):
    """What decides the weights of a ``char_lstm``; tied, the embedding is the head too."""

    hidden: Width
    layers: Depth
    context: Length = 2048
    tied: bool = True


class AgiformerShape(Section):
    """What decides the weights of an ``agiformer``. ``context`` counts bytes, ``window`` patches of four."""

    hidden: Width
    layers: Depth
    heads: Width
    feed_forward: Width
    context: Length = 4096
    window: Length = 128
    thinking_steps: Rounds = 3
    rope_theta: Scale = 10_000.0
    norm_epsilon: Scale = 1e-5

    @model_validator(mode="after")
    def _is_possible(self) -> "AgiformerShape":
        _check_heads(self.hidden, self.heads)
        if (self.hidden // self.heads) % 2:
            raise ValueError(f"hidden / heads ({self.hidden // self.heads}) must be even for rotary positions")
        return self


def _check_heads(hidden: int, heads: int) -> None:
    if hidden % heads:
        raise ValueError(f"hidden ({hidden}) must be a multiple of heads ({heads})")


Shape = ThorShape | Gpt2Shape | CharLstmShape | AgiformerShape

PRESETS: dict[Family, dict[str, Shape]] = {
    "thor": {
        "tiny": ThorShape(hidden=192, layers=4, heads=6, kv_heads=3, feed_forward=512, context=512),
        "small": ThorShape(hidden=384, layers=6, heads=6, kv_heads=2, feed_forward=1024, context=1024),
        "base": ThorShape(hidden=768, layers=6, heads=12, kv_heads=4, feed_forward=2048),
        "large": ThorShape(hidden=1024, layers=8, heads=16, kv_heads=4, feed_forward=2816),
        "xl": ThorShape(hidden=1280, layers=10, heads=20, kv_heads=4, feed_forward=3456),
        "800m": ThorShape(hidden=1536, layers=28, heads=24, kv_heads=8, feed_forward=4608),
        "atlas-1.1b": ThorShape(
            hidden=2048, layers=22, heads=32, kv_heads=4, feed_forward=5632, context=2048, tied=False
        ),
        "1.5b": ThorShape(hidden=2048, layers=28, heads=16, kv_heads=8, feed_forward=6400),
    },
    "gpt2": {
        "tiny": Gpt2Shape(hidden=192, layers=4, heads=6, context=512),
        "small": Gpt2Shape(hidden=384, layers=6, heads=6),
        "124m": Gpt2Shape(hidden=768, layers=12, heads=12),
        "355m": Gpt2Shape(hidden=1024, layers=24, heads=16),
        "774m": Gpt2Shape(hidden=1280, layers=36, heads=20),
    },
    "char_lstm": {
        "tiny": CharLstmShape(hidden=256, layers=1, context=512),
        "small": CharLstmShape(hidden=512, layers=2),
        "large": CharLstmShape(hidden=1024, layers=3),
    },
    "agiformer": {
        "tiny": AgiformerShape(hidden=192, layers=2, heads=6, feed_forward=512, context=1024),
        "base": AgiformerShape(hidden=512, layers=6, heads=8, feed_forward=1408),
    },
}
"""Named sizes. The true parameter count depends on the vocabulary too and is printed, never quoted."""

DEFAULT_PRESETS: dict[Family, str] = {"thor": "base", "gpt2": "124m", "char_lstm": "small", "agiformer": "base"}
SHAPE_KEYS = frozenset(name for sizes in PRESETS.values() for shape in sizes.values() for name in shape.__dict__)
"""Keys of ``[model]`` that replace single values of a preset; each family knows some of them."""
_SIZES = "; ".join(f"{family}: {', '.join(sizes)}" for family, sizes in PRESETS.items())


class ModelSettings(Section):
    """``[model]``: the family, its size, and single values that differ from the preset."""

    family: Family = Field("thor", description="The model family.")
    preset: str | None = Field(
        None,
        examples=["base"],
        description=f"A named size; the keys below change parts of it, each where the family knows it. {_SIZES}.",
    )
    hidden: Width | None = Field(None, examples=[512], description="Width of the residual stream.")
    layers: Depth | None = Field(None, examples=[8], description="Number of blocks.")
    heads: Width | None = Field(None, examples=[8], description="Query heads.")
    kv_heads: Width | None = Field(None, examples=[4], description="Key and value heads; heads must be a multiple.")
    head_width: WidthOrNone | None = Field(None, examples=[64], description="Width of a head; 0 is hidden / heads.")
    feed_forward: Width | None = Field(None, examples=[1408], description="Width inside the feed-forward part.")
    context: Length | None = Field(
        None, examples=[2048], description="Longest sequence the model can attend to, in tokens."
    )
    window: LengthOrNone | None = Field(
        None,
        examples=[1024],
        description="How far attention looks back, itself included, in tokens (agiformer: in patches); 0 has no limit.",
    )
    rope_theta: float | None = Field(None, examples=[10_000.0], gt=0, description="Base of the rotary positions.")
    rope_scaling: RopeScaling | None = Field(
        None, examples=["linear"], description="How rotary positions are stretched beyond the length trained on."
    )
    rope_factor: float | None = Field(None, examples=[4.0], gt=0, description="How far they are stretched.")
    rope_trained: LengthOrNone | None = Field(
        None, examples=[3072], description="The length trained on before, which llama3 and yarn need."
    )
    norm_epsilon: float | None = Field(None, examples=[1e-5], gt=0, description="Added under the root of each norm.")
    tied: bool | None = Field(None, examples=[True], description="Whether the embedding is the head too.")
    qkv_bias: bool | None = Field(None, examples=[False], description="Biases on queries, keys and values, as Qwen2.")
    qk_norm: bool | None = Field(None, examples=[False], description="Norms on queries and keys, as Qwen3.")
    thinking_steps: Rounds | None = Field(None, examples=[3], description="Rounds of the refinement block; 0 has none.")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="Share of activations dropped in training.")

    @property
    def shape(self) -> Shape:
        """The preset with this table's own values in place of its."""
        preset = PRESETS[self.family][self.preset or DEFAULT_PRESETS[self.family]]
        own = self.model_dump(include=set(SHAPE_KEYS), exclude_none=True)
        return type(preset).model_validate({**preset.model_dump(), **own})

    @property
    def resolved(self) -> "ModelSettings":
        """The same with every value of the shape written out, so that it does not change with a preset."""
        return self.model_copy(update=self.shape.model_dump())

    @model_validator(mode="after")
    def _is_possible(self) -> "ModelSettings":
        sizes = PRESETS[self.family]
        if self.preset is not None and self.preset not in sizes:
            raise ValueError(f"family '{self.family}' has no preset '{self.preset}'; it has {', '.join(sizes)}")
        known = type(next(iter(sizes.values()))).model_fields.keys()
        strange = self.model_dump(include=set(SHAPE_KEYS), exclude_none=True).keys() - known
        if strange:
            names = ", ".join(sorted(strange))
            raise ValueError(f"family '{self.family}' does not know {names}; it knows {', '.join(known)}, dropout")
        _ = self.shape
        return self


class TokenizerSettings(Section):
    """``[tokenizer]``: trained on the first data, fixed from then on."""

    kind: TokenizerKind = Field(
        "bpe", description="Byte-level BPE, SentencePiece (unigram or BPE), or plain bytes, which learn nothing."
    )
    vocabulary: int = Field(
        8192, ge=400, le=262_144, description="Size of the vocabulary, special tokens included; bytes are always 264."
    )
    sample_megabytes: int = Field(64, gt=0, description="At most this much text is read to train it.")
    folder: str | None = Field(
        None,
        examples=["/srv/tokenizers/words"],
        description="One that 'thorctl tokenizer train' made, of this kind, instead of training one.",
    )


class DistributedSettings(Section):
    """``[training.distributed]``: one run on several processes, of one host or more."""

    processes: int = Field(
        1,
        gt=0,
        description="Processes on this host that train together, on GPUs each on its own; they share each step's rows.",
    )
    strategy: Strategy = Field(
        "ddp", description="Whole models side by side (ddp), or each process keeps a part of the weights (fsdp)."
    )
    hosts: int = Field(1, gt=0, description="Hosts that train together, each with as many processes.")
    rendezvous: str | None = Field(
        None,
        examples=["10.0.0.1:29400"],
        description="Address and port of this host, at which the others find it; needed where there are several.",
    )

    @property
    def world_size(self) -> int:
        """All processes on all hosts."""
        return self.processes * self.hosts

    @model_validator(mode="after")
    def _is_possible(self) -> "DistributedSettings":
        if self.hosts > 1 and self.rendezvous is None:
            raise ValueError(f"hosts ({self.hosts}) needs rendezvous, the address and port of this host")
        found = re.fullmatch(r".+:(\d{1,5})", self.rendezvous or "")
        if self.rendezvous is not None and not (found and 0 < int(found[1]) < 1 << 16):
            raise ValueError(f"rendezvous '{self.rendezvous}' is no address and port, such as 10.0.0.1:29400")
        return self


class TrainingSettings(Section):
    """``[training]``: one run of the loop."""

    device: Device = Field("auto", description="Where to train; auto takes a GPU where there is one.")
    precision: Precision = Field(
        "auto", description="Numbers that matrix products run in; auto measures what this processor does fast."
    )
    epochs: float | None = Field(
        None,
        examples=[3.0],
        gt=0,
        description="Passes over the cycle's conversations. Unset: three, or more for little data; a first training "
        "goes on until validation stops improving.",
    )
    max_steps: int | None = Field(
        None, examples=[1000], gt=0, description="Length of a run in optimizer steps, whatever epochs says."
    )
    initial_minutes: float = Field(
        10.0,
        gt=0,
        description="Longest first training, in minutes of this machine when it is otherwise idle; has no effect "
        "if epochs or max_steps is set.",
    )
    batch_size: int | None = Field(
        None, examples=[8], gt=0, description="Packed rows in one microbatch. Unset: few for little data, at most 8."
    )
    accumulation: int | None = Field(
        None, examples=[1], gt=0, description="Microbatches in one optimizer step. Unset: more than one for much data."
    )
    length: int = Field(512, gt=0, description="Tokens in a packed row.")
    learning_rate: float | None = Field(
        None,
        examples=[3e-4],
        gt=0,
        le=1,
        description="Peak learning rate. Unset: chosen by the size of the model, about a tenth for an imported one.",
    )
    schedule: Literal["constant", "linear", "cosine", "wsd"] = Field(
        "cosine",
        description="How the learning rate falls after warm-up; wsd: stable first, then it decays, and the next cycle "
        "goes on from before the decay.",
    )
    warmup_share: float = Field(0.03, ge=0, le=1, description="Share of the steps spent warming up.")
    decay_share: float = Field(0.2, ge=0, le=1, description="Share of the steps in which wsd decays.")
    final_share: float = Field(0.1, ge=0, le=1, description="Learning rate at the end, as a share of the peak.")
    optimizer: Literal["adamw", "muon", "adamw8bit"] = Field(
        "adamw",
        description="AdamW for every weight, or Muon for matrices and AdamW for the rest; adamw8bit is AdamW with a "
        "quarter of the state, by the extra torchao.",
    )
    weight_decay: float = Field(0.1, ge=0, description="On matrices only.")
    embedding_weight_decay: float = Field(0.1, ge=0, description="On embeddings and heads.")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's first moment.")
    beta2: float = Field(0.95, ge=0, lt=1, description="AdamW's second moment.")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    augmented_copies: int = Field(
        0, ge=0, description="Copies of each dialogue to learn from too, the user's turns in it typed carelessly."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each target spread over the vocabulary.")
    average: float = Field(
        0.0, ge=0, lt=1, examples=[0.999], description="Decay of a moving average of the weights, published instead."
    )
    kl_weight: float = Field(
        0.0, ge=0, description="Weight of staying close to the version in service, by KL divergence, in a later cycle."
    )
    recompute: Recompute = Field(
        "none", description="Blocks whose activations are computed again instead of kept: less memory, more time."
    )
    compile: bool = Field(
        False, description="Whether torch compiles the blocks: a minute at the start of a run, faster steps on a GPU."
    )
    seed: int = Field(0, ge=-(2**63), lt=2**63, description="Decides initial weights, order and dropout.")
    threads: int = Field(0, ge=0, description="Processor threads; 0 takes the physical cores.")
    minimum_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of one processor that a run gets even where other programs keep the machine busy; with 0 it "
        "always gives way to them.",
    )
    log_every: int = Field(10, gt=0, description="Steps between lines of the log and of metrics.jsonl.")
    look_every: int = Field(
        500,
        ge=0,
        description="Steps between histograms of weights and gradients and example predictions, besides the first and "
        "the last; 0 takes none.",
    )
    validate_every: int | None = Field(
        None, examples=[50], gt=0, description="Steps between validations. Unset: an epoch, but between 10 and 200."
    )
    checkpoint_folder: str = Field(
        "",
        examples=["/srv/checkpoints"],
        description="Checkpoints lie here, a folder a cycle, by its absolute path; empty: with the run.",
    )
    checkpoint_every: int = Field(50, gt=0, description="Steps between checkpoints.")
    keep_checkpoints: int = Field(2, ge=2, description="Checkpoints kept besides the best.")
    keep_epochs: bool = Field(False, description="Whether the checkpoint at the end of each epoch is kept too.")
    early_stopping_patience: int = Field(
        5, ge=0, description="Validations without improvement before a run ends; 0 never ends it early."
    )
    max_bad_steps: int = Field(
        5, gt=0, description="Steps with a non-finite or exploding loss before the run goes back to a checkpoint."
    )
    validation_share: float = Field(
        0.05, ge=0, le=1, description="Share of the training conversations kept for validation, by hash."
    )
    distributed: DistributedSettings = DistributedSettings()

    @field_validator("checkpoint_folder")
    @classmethod
    def _is_the_same_wherever_thord_starts(cls, value: str) -> str:
        if value and not Path(value).is_absolute():
            raise ValueError(f"{value!r} is no absolute path")
        return value

    @model_validator(mode="after")
    def _can_be_shared(self) -> "TrainingSettings":
        ranks = self.distributed.world_size
        rows = (self.batch_size or 1) * (self.accumulation or 1)
        if rows > MOST_ROWS:
            raise ValueError(
                f"batch_size x accumulation ({rows}) is more than the {MOST_ROWS} rows that a step may have"
            )
        if self.batch_size is not None and rows % ranks:
            raise ValueError(
                f"the rows of a step, batch_size x accumulation ({rows}), must be a multiple of the processes that "
                f"share them, distributed.processes x distributed.hosts ({ranks})"
            )
        if ranks > 1 and self.distributed.strategy == "fsdp" and self.optimizer == "adamw8bit":
            raise ValueError("optimizer 'adamw8bit' keeps whole moments, which fsdp cannot share; take strategy 'ddp'")
        return self


class EvaluationSettings(Section):
    """``[evaluation]``: what a version is judged on."""

    max_conversations: int = Field(
        200, gt=0, description="Held-out conversations judged on, in the order of their hash."
    )
    length: int = Field(512, gt=0, description="Tokens seen at once.")
    batch_size: int = Field(8, gt=0, description="Rows at once.")
    sample_prompts: tuple[str, ...] = Field(
        (), description="Prompts answered by every version; empty takes some of the held-out ones."
    )
    sample_tokens: int = Field(48, gt=0, description="Length of a sample answer.")


class GateSettings(Section):
    """``[gate]``: what a candidate must show to be promoted. Fails closed."""

    confidence: float = Field(0.95, gt=0.5, lt=1.0, description="Confidence that a candidate is better.")
    draws: int = Field(10_000, gt=0, description="Draws of the paired bootstrap.")
    min_conversations: int = Field(
        5, gt=0, description="Held-out conversations without which a cycle is skipped, and nothing is promoted."
    )
    min_improvement: float = Field(0.0, ge=0, description="Bits per byte by which a candidate must be better.")
    tolerance: float = Field(0.02, ge=0, description="Bits per byte by which a guarded slice may be worse.")


class InferenceSettings(Section):
    """``[inference]``: the engine that answers."""

    device: Device = Field("auto", description="Where to answer.")
    precision: Precision = Field(
        "auto",
        description="Numeric precision for inference; auto takes bf16 wherever the kernel is used.",
    )
    quantization: Quantization = Field(
        "none",
        description="Weights in 8 or 4 bits: less memory, faster, a little worse; 'thorctl version' says how much.",
    )
    max_batch: int = Field(16, gt=0, description="Requests decoded together.")
    max_queue: int = Field(256, gt=0, description="Requests that may wait; beyond it the answer is 429.")
    max_tokens: int | None = Field(
        None,
        examples=[1024],
        gt=0,
        description="Most tokens in any answer, whatever a client asks for; unset, the context is the limit.",
    )
    drain_seconds: float = Field(
        120.0, gt=0, description="How long requests may finish on a version that was replaced."
    )
    memory_megabytes: int = Field(
        0, ge=0, description="Most memory that weights and caches of all versions may take; 0: what the machine has."
    )
    threads: int = Field(0, ge=0, description="Processor threads; 0 takes the physical cores.")
