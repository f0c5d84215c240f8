"""``[training]``: how a run is carried out."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from engine.config import renamed
from engine.config.distributed import DistributedSettings
from engine.config.placement import Device, Precision
from engine.objectives import OBJECTIVES
from engine.section import MOST_ROWS, Section

Recompute = Literal["none", "selective", "full"]


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
    gradient_accumulation: int | None = Field(
        None, examples=[1], gt=0, description="Microbatches in one optimizer step. Unset: more than one for much data."
    )
    sequence_length: int = Field(512, gt=0, description="Tokens in a packed row.")
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
    objective: str = Field("language", description=f"What training minimises: {', '.join(OBJECTIVES)}.")
    optimizer: Literal["adamw", "muon", "adamw8bit"] = Field(
        "adamw",
        description="AdamW for every weight, or Muon for matrices and AdamW for the rest; adamw8bit is AdamW with a "
        "quarter of the state, by the extra torchao.",
    )
    weight_decay: float = Field(0.1, ge=0, description="On matrices only.")
    embedding_weight_decay: float = Field(0.1, ge=0, description="On embeddings and heads.")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's first moment.")
    beta2: float = Field(0.95, ge=0, lt=1, description="AdamW's second moment.")
    max_grad_norm: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    augmented_copies: int = Field(
        0, ge=0, description="Copies of each dialogue to learn from too, the user's turns in it typed carelessly."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each target spread over the vocabulary.")
    ema_decay: float = Field(
        0.0, ge=0, lt=1, examples=[0.999], description="Decay of a moving average of the weights, published instead."
    )
    kl_weight: float = Field(
        0.0, ge=0, description="Weight of staying close to the version in service, by KL divergence, in a later cycle."
    )
    activation_checkpointing: Recompute = Field(
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
    inspect_every: int = Field(
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
            raise ValueError(f"{value!r} is no absolute path")
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
            raise ValueError("optimizer 'adamw8bit' keeps whole moments, which fsdp cannot share; take strategy 'ddp'")
        return self
