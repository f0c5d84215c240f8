"""Likelihoods that were measured before, on disk: equal questions are answered at once, broken-off ones go on.

There is one file for each question: which weights, cut into tokens how, on which conversations, in which batches and
in which numbers. It holds the rows of windows that are done and the nats of every conversation so far, and no text.
"""

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from engine import disk
from engine.data.samples import Conversation
from engine.evaluation.likelihood import Floats
from engine.version import LoadedVersion

_METHOD = 1
"""Count on when windows, rows or the order of sums change: what was measured otherwise is another answer."""
_MOST_FILES = 200
_SECONDS = 5.0
"""Between two writings of a file that is not complete."""
_logger = logging.getLogger(__name__)


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    nats: list[float]
    complete: bool


class KeptLikelihood:
    """The answer to one question, as far as it is known.

    Attributes:
        rows: of windows that are done.
        was_complete: it was known already, all of it.
    """

    def __init__(self, file: Path, conversations: int) -> None:
        self.rows, self.was_complete = 0, False
        self._file = file
        self._nats: list[float] = [0.0] * conversations
        self._written = time.monotonic()
        try:
            found = _Kept.model_validate_json(file.read_bytes())
        except (OSError, ValidationError):
            return
        if len(found.nats) == conversations:
            self.rows, self._nats, self.was_complete = found.rows, found.nats, found.complete

    @property
    def nats(self) -> Sequence[float]:
        """Of each conversation, in the rows that are done."""
        return self._nats

    def reached(self, rows: int, nats_C: Floats, *, complete: bool) -> None:
        """So many rows are done. A disk that refuses costs only the time to measure again."""
        now = time.monotonic()
        if not complete and now - self._written < _SECONDS:
            return
        self.rows, self._written = rows, now
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            disk.write(self._file, json.dumps({"rows": rows, "nats": nats_C.tolist(), "complete": complete}))
        except OSError as error:
            _logger.warning("%s cannot be written: %s", self._file, error.strerror)


class LikelihoodCache:
    """The files in ``folder``, the most recent ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(
        self, version: LoadedVersion, conversations: Sequence[Conversation], length: int, batch_size: int
    ) -> KeptLikelihood:
        """What is known of a version on these conversations, in this order."""
        manifest, weight = version.manifest, next(version.model.parameters())
        question = [
            _METHOD,
            manifest.sha256,
            "" if manifest.base is None else manifest.base.sha256,
            version.base_quantization,
            manifest.tokenizer_sha256,
            length,
            batch_size,
            str(weight.dtype),
            weight.device.type,
            torch.get_num_threads(),
            torch.__version__,
        ]
        digest = hashlib.sha256(json.dumps(question).encode())
        for conversation in conversations:
            digest.update(conversation.canonical.encode() + b"\n")
        name = digest.hexdigest()
        self._remove_oldest()
        return KeptLikelihood(self._folder / f"{name}.json", len(conversations))

    def _remove_oldest(self) -> None:
        try:
            files = sorted(self._folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
            for file in files[: -_MOST_FILES or None]:
                file.unlink(missing_ok=True)
        except OSError as error:
            _logger.warning("%s: %s", self._folder, error.strerror)
