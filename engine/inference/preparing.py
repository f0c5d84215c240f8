"""The first phase of a swap: all that can go wrong with a version goes wrong here, beside the one that serves."""

from pathlib import Path

import torch

from engine import artifacts, version
from engine.artifacts import ArtifactError
from engine.device import Placement
from engine.inference.batching import CHUNK, SMALLEST_BUCKET
from engine.inference.slots import Resident
from engine.tokenizers.base import BOS


class UnfitVersionError(Exception):
    """This version must never serve; the message says why."""


class NoRoomError(Exception):
    """There is no memory for it now; the version is not at fault."""


def prepare(folder: Path, placement: Placement, rows: int, beside: Resident | None) -> Resident:
    """Check, load and warm a version. Requests for ``beside``, the version that serves, go on meanwhile.

    In order: sums of every file, the tokenizer against that of ``beside``, tensors (names, shapes, finite), one token
    generated in each shape that the engine uses.

    Raises:
        UnfitVersionError: it fails one of these.
        NoRoomError: memory is exhausted.
    """
    try:
        manifest = artifacts.verify(folder)
        _check_tokenizer(manifest.tokenizer_sha256, manifest.files, beside)
        resident = Resident(version.load(folder, placement, check_finite=True), rows)
    except ArtifactError as error:
        raise UnfitVersionError(str(error)) from error
    except (MemoryError, RuntimeError) as error:  # what is left, and torch reports exhausted memory as a RuntimeError
        raise NoRoomError(f"{folder} cannot be loaded: {error}") from error
    if f"{resident.version:06d}" != folder.name:
        raise UnfitVersionError(f"{folder}: its manifest says that it is version {resident.version}")
    _warm(resident)
    return resident


def _check_tokenizer(stated: str, files: dict[str, artifacts.FileRecord], beside: Resident | None) -> None:
    """The tokenizer is fixed for the life of a thord: prompts that wait are already in its tokens."""
    record = files.get(version.TOKENIZER)
    if record is None or record.sha256 != stated:
        raise UnfitVersionError(f"the manifest names tokenizer {stated[:12]}, but {version.TOKENIZER} is another file")
    if beside is not None and beside.manifest.tokenizer_sha256 != stated:
        raise UnfitVersionError(
            f"it has a foreign tokenizer ({stated[:12]}); version {beside.version}, which serves, has "
            f"{beside.manifest.tokenizer_sha256[:12]}"
        )


@torch.inference_mode()
def _warm(resident: Resident) -> None:
    """Read a chunk and decode a token as the engine will, and refuse scores that are no numbers."""
    model, cache = resident.model, resident.cache
    row = torch.tensor([resident.padding_row])
    bos = resident.tokenizer.special(BOS)
    device = resident.device
    for rows, length in ((1, min(CHUNK, resident.context)), (SMALLEST_BUCKET, 1)):
        tokens_BT = torch.full((rows, length), bos, device=device)
        rows_B = row.expand(rows).to(device)
        starts_B = torch.zeros(rows, dtype=torch.long, device=device)
        try:
            logits_BV = model.logits(model.step(tokens_BT, cache, rows_B, starts_B)[:, -1])
        except (MemoryError, RuntimeError) as error:
            raise NoRoomError(f"version {resident.version} cannot compute: {error}") from error
        if not torch.isfinite(logits_BV).all():
            raise UnfitVersionError(f"version {resident.version} computes scores that are NaN or infinite")
