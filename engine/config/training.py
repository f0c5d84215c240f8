"""``[training]``: how a run is carried out."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from engine.config import renamed
from engine.config.distributed import DistributedSettings
from engine.config.lora import LoraSettings
from engine.config.placement import Device, Precision
from engine.objectives import OBJECTIVES
from engine.section import MOST_ROWS, Section

ActivationCheckpointing = Literal["none", "selective", "full"]
Method = Literal["full", "lora"]


class TrainingSettings(Section):
    """``[training]``: how a run trains."""

    device: Device = Field("auto", description="Device to train on; auto uses a GPU if there is one.")
    precision: Precision = Field(
        "auto", description="Numeric precision of matrix products; auto measures what this processor computes fast."
    )
    method: Method | None = Field(
        None,
        examples=["full"],
        description="Whether a run changes all weights (full), or learns an adapter beside them (lora): much less "
        "memory and disk. Unset: lora on an imported model, full on one that was trained from scratch.",
    )
    epochs: float | None = Field(
        None,
        examples=[3.0],
        gt=0,
        description="Passes over the cycle's conversations. Unset: three, four on an imported model, or more if there "
        "is little data; a first training continues until validation stops improving.",
    )
    max_steps: int | None = Field(
        None, examples=[1000], gt=0, description="Length of a run in optimizer steps; overrides epochs."
    )
    initial_minutes: float = Field(
        10.0,
        gt=0,
        description="Maximum length of a first training, in minutes of this machine when it is otherwise idle; has no"
        " effect if epochs or max_steps is set.",
    )
    batch_size: int | None = Field(
        None,
        examples=[8],
        gt=0,
        description="Packed rows in one microbatch. Unset: chosen by the amount of data, at most 8.",
    )
    gradient_accumulation: int | None = Field(
        None, examples=[1], gt=0, description="Microbatches in one optimizer step. Unset: chosen by the amount of data."
    )
    sequence_length: int = Field(512, gt=0, description="Tokens in a packed row.")
    learning_rate: float | None = Field(
        None,
        examples=[3e-4],
        gt=0,
        le=1,
        description="Peak learning rate. Unset: chosen by the size of the model; about a third of that for an "
        "imported one, and fifteen times as much for an adapter of it.",
    )
    learning_rate_multiplier: float = Field(
        1.0, gt=0, le=1000, description="Factor on the peak learning rate, be it set or chosen."
    )
    schedule: Literal["constant", "linear", "cosine", "wsd"] = Field(
        "cosine",
        description="How the learning rate falls after warm-up; wsd (warmup-stable-decay) holds it, then lets it "
        "decay, and the next cycle continues from the weights before the decay.",
    )
    warmup_share: float = Field(0.03, ge=0, le=1, description="Share of the steps spent warming up.")
    decay_share: float = Field(0.2, ge=0, le=1, description="Share of the steps during which wsd decays.")
    final_share: float = Field(0.1, ge=0, le=1, description="Final learning rate, as a share of the peak.")
    objective: str = Field("language", description=f"What training minimises: {', '.join(OBJECTIVES)}.")
    optimizer: Literal["adamw", "muon", "adamw8bit"] = Field(
        "adamw",
        description="adamw uses AdamW for all weights; muon uses Muon for matrices and AdamW for the rest; adamw8bit "
        "is AdamW with a quarter of the state and needs the extra torchao.",
    )
    weight_decay: float = Field(0.1, ge=0, description="Weight decay on matrices.")
    embedding_weight_decay: float = Field(0.1, ge=0, description="Weight decay on embeddings and heads.")
    beta1: float = Field(0.9, ge=0, lt=1, description="Decay rate of AdamW's first moment.")
    beta2: float = Field(0.95, ge=0, lt=1, description="Decay rate of AdamW's second moment.")
    max_grad_norm: float = Field(
        1.0, gt=0, description="Maximum norm of the gradient; a larger gradient is scaled down to it."
    )
    augmented_copies: int = Field(
        0, ge=0, description="Augmented copies per dialogue, with simulated typos in the user's turns."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of each target's probability spread over the vocabulary."
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        examples=[0.999],
        description="Decay of an exponential moving average of the weights, which is published in their place; 0 "
        "turns it off.",
    )
    kl_weight: float | None = Field(
        None,
        examples=[0.3],
        ge=0,
        description="Weight of a KL penalty that keeps a later cycle's model close to the version in service; 0 turns"
        " it off. Unset: 0.3 on an imported model, which keeps what it knew, and 0 on any other.",
    )
    activation_checkpointing: ActivationCheckpointing = Field(
        "none",
        description="Blocks whose activations are recomputed in the backward pass instead of stored: less memory, "
        "more time.",
    )
    compile: bool = Field(
        False,
        description="Whether to compile the blocks with torch.compile: a minute at the start of a run, faster steps "
        "on a GPU.",
    )
    seed: int = Field(
        0, ge=-(2**63), lt=2**63, description="Seed of the initial weights, the order of the data and dropout."
    )
    threads: int = Field(0, ge=0, description="Number of processor threads; 0 uses one per physical core.")
    minimum_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of one processor that a run gets even if other programs keep the machine busy; 0 always "
        "gives way to them.",
    )
    log_every: int = Field(10, gt=0, description="Steps between entries in the log and in metrics.jsonl.")
    inspect_every: int = Field(
        500,
        ge=0,
        description="Steps between histograms of weights and gradients and example predictions; the first and the "
        "last step are always included, and 0 turns them off.",
    )
    validate_every: int | None = Field(
        None,
        examples=[50],
        gt=0,
        description="Steps between validations. Unset: one epoch, but at least 10 and at most 200 steps.",
    )
    validate_epochs: bool = Field(False, description="Whether to validate at the end of each epoch too.")
    checkpoint_folder: str = Field(
        "",
        examples=["/srv/checkpoints"],
        description="Absolute path of the folder for checkpoints, with one subfolder per cycle; empty: they are "
        "stored with the run.",
    )
    checkpoint_every: int = Field(50, gt=0, description="Steps between checkpoints.")
    keep_checkpoints: int = Field(2, ge=2, description="Number of checkpoints to keep in addition to the best.")
    keep_epochs: bool = Field(False, description="Whether to keep the checkpoint at the end of each epoch too.")
    early_stopping_patience: int = Field(
        5,
        ge=0,
        description="End a run after this many validations without improvement; 0 does not end it for that reason.",
    )
    early_stopping_epochs: int = Field(
        0,
        ge=0,
        description="End a run after this many epochs without improvement, validating at the end of each; 0 does not "
        "end it for that reason.",
    )
    max_bad_steps: int = Field(
        5, gt=0, description="Return to a checkpoint after this many steps with a non-finite or exploding loss."
    )
    validation_share: float = Field(
        0.05, ge=0, le=1, description="Share of the training conversations used for validation, chosen by hash."
    )
    test_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the new conversations used only to measure the finished model, chosen by hash: a run "
        "neither trains on them nor stops by them.",
    )
    lora: LoraSettings = LoraSettings()
    distributed: DistributedSettings = DistributedSettings()

    @field_validator("objective")
    @classmethod
    def _is_in_the_table(cls, value: str) -> str:
        if value not in OBJECTIVES:
            raise ValueError(f"there is no objective '{value}'; there are {', '.join(OBJECTIVES)}")
        return value

    @model_validator(mode="before")
    @classmethod
    def _recorded_under_old_names(cls, given: object) -> object:
        return renamed.with_new_names("training", given) if isinstance(given, dict) else given

    @field_validator("checkpoint_folder")
    @classmethod
    def _is_the_same_wherever_thord_starts(cls, value: str) -> str:
        if value and not Path(value).is_absolute():
            raise ValueError(f"{value!r} is not an absolute path")
        return value

    @model_validator(mode="after")
    def _can_be_shared(self) -> "TrainingSettings":
        ranks = self.distributed.world_size
        rows = (self.batch_size or 1) * (self.gradient_accumulation or 1)
        if rows > MOST_ROWS:
            raise ValueError(
                f"batch_size x gradient_accumulation ({rows}) is more than the {MOST_ROWS} rows that a step may have"
            )
        if self.batch_size is not None and rows % ranks:
            raise ValueError(
                f"the rows of a step, batch_size x gradient_accumulation ({rows}), must be a multiple of the "
                f"processes that share them, distributed.processes x distributed.hosts ({ranks})"
            )
        if ranks > 1 and self.distributed.strategy == "fsdp" and self.optimizer == "adamw8bit":
            raise ValueError("optimizer 'adamw8bit' keeps whole moments, which fsdp cannot shard; use strategy 'ddp'")
        return self
