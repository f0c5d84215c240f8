"""The documented body of a training as what a job is asked for: keys of ``[training]`` and ``[model]``, files, a base.

| documented                | thord                                                        |
|---------------------------|--------------------------------------------------------------|
| num_epochs                | training.epochs                                              |
| max_seq_len               | training.sequence_length                                     |
| gradient_clipping         | training.max_grad_norm                                       |
| holdout_fraction          | training.validation_share                                    |
| test_split_ratio          | training.test_share                                          |
| early_stopping_patience   | training.early_stopping_epochs                               |
| finetuning_strategy, lora | training.method, training.lora.rank, training.lora.alpha     |
| finetune_lr_cap           | the highest training.learning_rate of a run with a base      |
| model_family, model_size  | model.family, model.preset                                   |
"""

from pathlib import Path

from control.answers import Json
from daemon.workers.server.api.runs.schemas import TrainBody
from engine.config.model import ModelSettings

_PLAIN_TEXT = frozenset({".txt", ".text", ".md"})
"""Ends of names of files that are plain text, as are folders; all others are read by what is in them."""
_OF_A_SHAPE = [name for name, field in ModelSettings.model_fields.items() if field.default is None]
"""Keys of ``[model]`` that may not fit another family: what the settings say of them is left out of a new model."""
_SAME = ("max_steps", "batch_size", "learning_rate", "seed", "device", "precision", "optimizer")
"""Keys of ``[training]`` that are documented under the same name."""
_RENAMED = {
    "epochs": "num_epochs",
    "sequence_length": "max_seq_len",
    "max_grad_norm": "gradient_clipping",
    "validation_share": "holdout_fraction",
    "test_share": "test_split_ratio",
    "early_stopping_epochs": "early_stopping_patience",
    "method": "finetuning_strategy",
}


def request(body: TrainBody, corpus: Path, base: int | None) -> dict[str, Json]:
    """What the job is asked for."""
    sent: dict[str, Json] = body.model_dump(mode="json", exclude_none=True)
    overrides: dict[str, Json] = {key: sent[key] for key in _SAME if key in sent}
    overrides |= {ours: sent[theirs] for ours, theirs in _RENAMED.items() if theirs in sent}
    if base is not None and body.finetune_lr_cap is not None:
        overrides["learning_rate"] = min(body.learning_rate or body.finetune_lr_cap, body.finetune_lr_cap)
    if body.lora is not None:
        lora: dict[str, Json] = {}
        if body.lora.r is not None:
            lora["rank"] = body.lora.r
        if body.lora.lora_alpha is not None:
            lora["alpha"] = body.lora.lora_alpha
        overrides["lora"] = lora
    model: dict[str, Json] = {}
    if body.model_family is not None:
        model = dict.fromkeys(_OF_A_SHAPE) | {"family": body.model_family, "preset": body.model_size}
    return {
        "corpus" if corpus.is_dir() or corpus.suffix.lower() in _PLAIN_TEXT else "train_files": [str(corpus)],
        "base": base,
        "overrides": overrides,
        "model": model or None,
        "tokenizer_id": body.tokenizer_id,
        "labels": sent,
    }
