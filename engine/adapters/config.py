"""``adapter_config.json`` of PEFT: what is read, what is written, and what is refused by name. Torch is not needed.

A field that changes what an adapter means is either understood here or refused: an adapter that was computed another
way than it was trained would answer worse, and nothing would say so.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from engine import disk
from engine.artifacts import ArtifactError

FILE = "adapter_config.json"
_READ = frozenset({"peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern"})
_OF_TRAINING = frozenset(
    {
        "auto_mapping", "base_model_name_or_path", "revision", "task_type", "inference_mode", "peft_version",
        "lora_dropout", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
        "fan_in_fan_out", "init_lora_weights", "loftq_config", "eva_config", "corda_config", "lora_ga_config",
        "runtime_config", "megatron_core", "qalora_group_size", "ensure_weight_tying",
    }
)  # fmt: skip
"""How an adapter was made, or what its tensors' names and shapes say anyway."""
_OTHER_BASES = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Values of ``init_lora_weights`` that change the base's weights too."""
_NO_PATTERN = re.compile(r"[^\w.^]")


class AdapterConfig(BaseModel):
    """What of PEFT's configuration decides the numbers.

    Attributes:
        rank: of a map that no pattern names; the factors themselves have the last word.
        alpha: with the rank r, the change is alpha / r times B A; with ``rslora`` alpha / sqrt(r) times.
        rank_pattern: other ranks, by the name of a map or the end of it.
        alpha_pattern: other alphas, likewise.
        base_name: what the base calls itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(gt=0)
    alpha: float = Field(gt=0, allow_inf_nan=False)
    rslora: bool = False
    rank_pattern: dict[str, int] = Field(default_factory=dict)
    alpha_pattern: dict[str, float] = Field(default_factory=dict)
    base_name: str | None = None

    def rank_of(self, name: str) -> int:
        """The rank of a new change to the map of that name."""
        return int(_matching(name, self.rank_pattern, self.rank))

    def scale(self, name: str, rank: int) -> float:
        """What the product of the factors of a map is multiplied by."""
        alpha = _matching(name, self.alpha_pattern, self.alpha)
        return alpha / math.sqrt(rank) if self.rslora else alpha / rank


def read(folder: Path) -> AdapterConfig:
    """What the file in a folder says.

    Raises:
        ArtifactError: it is missing, damaged, or says what thord does not compute; the message names the field.
    """
    file = folder / FILE
    try:
        said: JsonValue = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{file}: {error}") from error
    if not isinstance(said, dict):
        raise ArtifactError(f"{file}: an object is expected")
    if refusal := _refusal(said):
        raise ArtifactError(f"{file}: {refusal}")
    try:
        return AdapterConfig.model_validate(
            {
                "rank": said.get("r"),
                "alpha": said.get("lora_alpha"),
                "rslora": said.get("use_rslora") or False,
                "rank_pattern": said.get("rank_pattern") or {},
                "alpha_pattern": said.get("alpha_pattern") or {},
                "base_name": said.get("base_model_name_or_path"),
            }
        )
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ArtifactError(f"{file}: {faults}") from error


def write(folder: Path, config: AdapterConfig, targets: Sequence[str], *, across: bool) -> None:
    """Write the file as PEFT does; ``across``: weights of the base lie as [inputs, outputs].

    Raises:
        OSError: the disk refused.
    """
    said: dict[str, JsonValue] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": config.base_name,
        "inference_mode": True,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": 0.0,
        "use_rslora": config.rslora,
        "rank_pattern": dict(config.rank_pattern),
        "alpha_pattern": dict(config.alpha_pattern),
        "target_modules": list(targets),
        "fan_in_fan_out": across,
        "bias": "none",
        "use_dora": False,
        "modules_to_save": None,
        "init_lora_weights": True,
    }
    disk.write_json(folder / FILE, said)


def _refusal(said: Mapping[str, JsonValue]) -> str:
    """Why such an adapter is not taken; "" where it is."""
    kind = said.get("peft_type")
    if kind != "LORA":
        return f"peft_type {kind!r} is not read, only LORA (PEFT's save_as_lora converts some others)"
    begun = said.get("init_lora_weights")
    if isinstance(begun, str) and begun.lower().startswith(_OTHER_BASES):
        return f"init_lora_weights {begun!r} changes the base's weights too, and this adapter does not fit the base"
    for name, value in said.items():
        if name not in _READ | _OF_TRAINING and value not in (None, False, "none", [], {}):
            return f"{name} = {json.dumps(value)} is not supported"
    for field in ("rank_pattern", "alpha_pattern"):
        patterns = said.get(field)
        for pattern in patterns if isinstance(patterns, dict) else ():
            if _NO_PATTERN.search(pattern):
                return f"{field}: {pattern!r} is a regular expression; only names of modules are read"
    return ""


def _matching(name: str, patterns: Mapping[str, float], otherwise: float) -> float:
    """The value of the first pattern that a name ends with, as PEFT looks for it; one with ``^`` must be all of it."""
    for pattern, value in patterns.items():
        if name == pattern.removeprefix("^") or (not pattern.startswith("^") and name.endswith("." + pattern)):
            return value
    return otherwise
