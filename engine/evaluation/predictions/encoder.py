"""A local encoder in the layout of Hugging Face, such as all-MiniLM-L6-v2. It needs the extra ``encoders``."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from engine.evaluation.predictions.measure import UnmeasurableError
from engine.evaluation.predictions.similarity import Encode, States

_WEIGHTS = "model.safetensors"
_AT_ONCE = 32


def load(folder: Path) -> tuple[Encode, str]:
    """What encodes texts, and the beginning of the sum of its weights. Nothing is fetched.

    Texts are cut at the length that the encoder can read.

    Raises:
        UnmeasurableError: the extra is not installed, or the folder holds no encoder.
    """
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise UnmeasurableError("similarity needs the extra 'encoders': pip install 'thord[encoders]'") from error
    if not (folder / _WEIGHTS).is_file():
        raise UnmeasurableError(f"{folder} is not the folder of an encoder: it has no {_WEIGHTS}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    except (OSError, ValueError, KeyError) as error:
        raise UnmeasurableError(f"{folder} cannot be loaded as an encoder: {error}") from error
    length = int(model.config.max_position_embeddings)

    def encode(texts: Sequence[str]) -> list[States]:
        found: list[States] = []
        for start in range(0, len(texts), _AT_ONCE):
            batch = tokenizer(
                list(texts[start : start + _AT_ONCE]),
                padding=True,
                truncation=True,
                max_length=length,
                return_tensors="pt",
                return_special_tokens_mask=True,
            )
            counts_BT = (batch.pop("special_tokens_mask") == 0) & (batch["attention_mask"] == 1)
            with torch.inference_mode():
                hidden_BTD = model(**batch).last_hidden_state
            found += [hidden_TD[counts_T].numpy() for hidden_TD, counts_T in zip(hidden_BTD, counts_BT, strict=True)]
        return found

    with (folder / _WEIGHTS).open("rb") as file:
        return encode, hashlib.file_digest(file, "sha256").hexdigest()[:12]
