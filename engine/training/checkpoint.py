"""Checkpoints of a run: complete or absent, found by looking, verified before use, copied and written beside the loop.

A folder ``NNNNNN`` (the step) with ``model.safetensors``, ``optimizer.safetensors`` (averages of the weights too, where
there are any), ``progress.json`` and ``manifest.json``. There is no random state in it: order and dropout follow from
seed and step.

Kept are the newest few, for each of them the best by validation, the one to roll back to and the one to go on from in
the next cycle, and, if asked for, the one at the end of each epoch. Those that hold weights only count beside the
others: a run cannot go on from them, unless it is at its end.
"""

import contextlib
import errno
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine import artifacts, cgroup
from engine.artifacts import ArtifactError, FileRecord
from engine.training.epochs import EpochSoFar
from engine.training.guard import Health

MODEL, OPTIMIZER, _PROGRESS = "model.safetensors", "optimizer.safetensors", "progress.json"
_SPARE_BYTES = 16 << 20
_logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a run has come; with weights and optimizer, all that its continuation depends on.

    Attributes:
        tokens: positions computed; ``supervised`` of them were learned from.
        seconds: time spent in the loop, over all attempts.
        fallback_step: where a roll-back goes; not a checkpoint that is there only because the run was stopped.
        trunk_step: where the decay of wsd began, and the next cycle is to go on from.
        best_validation_loss: the lowest; ``best_step`` had it, or a later one that came near enough.
        worse: validations in a row that did not improve on the best.
        weights_only: a checkpoint of it has no optimizer state.
        loss_scale: keeps small gradients above zero in fp16; 1 in other dtypes. ``scale_age``: steps since it changed.
        halvings: how often the microbatch was halved, because memory ran out.
        early_stopped: ``finished`` before the last step.
        epoch: what is known of the one under way.
    """

    step: int = 0
    tokens: int = 0
    supervised: int = 0
    seconds: float = 0.0
    loss: float | None = None
    validation_loss: float | None = None
    best_validation_loss: float | None = None
    best_step: int | None = None
    fallback_step: int = 0
    trunk_step: int | None = None
    worse: int = 0
    finished: bool = False
    weights_only: bool = False
    loss_scale: float = 1.0
    scale_age: int = 0
    halvings: int = 0
    early_stopped: bool = False
    health: Health = field(default_factory=Health)
    epoch: EpochSoFar = field(default_factory=EpochSoFar)


@dataclass(frozen=True)
class Checkpoint:
    """Tensors mapped from a checkpoint's files."""

    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    progress: Progress


Marked = Callable[[int], bool]
"""Whether the checkpoint of a step is kept whatever comes later."""
_Copies = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Of weights and optimizer state."""
_FILES_JSON = TypeAdapter(dict[str, FileRecord])
_PROGRESS_JSON = TypeAdapter(Progress)


def none(step: int) -> bool:
    """No step is marked."""
    del step
    return False


class Checkpoints:
    """The checkpoints under one folder. As a context, it waits at its end for what is still being written."""

    def __init__(self, folder: Path, keep: int, marked: Marked = none, *, writes: bool = True) -> None:
        """``keep`` of the newest, and those of steps that are ``marked``, are kept.

        Of several processes on one folder, one ``writes`` and cleans up.
        """
        self._folder = folder
        self._keep = keep
        self._marked = marked
        self._copying: Future[_Copies] | None = None
        self._writing: Future[None] | None = None
        if writes:
            folder.mkdir(parents=True, exist_ok=True)
            artifacts.sweep_drafts(folder)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.wait()
        elif self._writing and (failure := self._writing.exception()):
            _logger.warning("the last checkpoint was not written: %s", failure)

    def save(self, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor], progress: Progress) -> None:
        """Return at once; everything is copied and written meanwhile, one at a time. One of this step is there already.

        The tensors must not change before `await_copies`. Those on a GPU and sharded ones are copied before this
        returns. Where memory is too short for copies, return when everything is written.

        Raises:
            OSError: no space, or the disk refused, now or in writing the one before; earlier ones are untouched.
        """
        self.wait()
        if self._is_written(progress.step):
            return
        self._check_space(weights, optimizer)
        if not _is_room_for_copies(weights, optimizer):
            self._write(weights, optimizer, progress)
            return
        thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        now = replace(progress)
        if _are_plain(weights, optimizer):
            self._copying = thread.submit(_copy, weights, optimizer)
            self._writing = thread.submit(self._write_copies, self._copying, now)
        else:
            self._writing = thread.submit(self._write, *_copy(weights, optimizer), now)
        thread.shutdown(wait=False)

    def await_copies(self) -> None:
        """Until what was given to `save` may change."""
        copying, self._copying = self._copying, None
        if copying:
            copying.result()

    def wait(self) -> None:
        """Until what is being written is on disk.

        Raises:
            OSError: it could not be written.
        """
        writing, self._writing, self._copying = self._writing, None, None
        if writing:
            writing.result()

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that a run can go on from. Damaged ones are removed: the run will write them again."""
        for step in reversed(self._steps()):
            folder = self._at(step)
            try:
                found = read(folder)
            except ArtifactError as error:
                _logger.warning("checkpoint is damaged, going back to the one before: %s", error)
                shutil.rmtree(folder)
                continue
            if found.progress.finished or not found.progress.weights_only:
                return found
        return None

    def load(self, step: int) -> Checkpoint:
        """The checkpoint of one step.

        Raises:
            ArtifactError: it is missing or damaged.
            OSError: it was being written, and could not be.
        """
        self.wait()
        return read(self._at(step))

    def _at(self, step: int) -> Path:
        return self._folder / f"{step:06d}"

    def _is_written(self, step: int) -> bool:
        return self._at(step).exists()

    def _steps(self) -> list[int]:
        return sorted(int(folder.name) for folder in self._folder.iterdir() if folder.name.isdecimal())

    def _write_copies(self, copying: Future[_Copies], progress: Progress) -> None:
        self._write(*copying.result(), progress)

    def _write(self, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor], progress: Progress) -> None:
        with artifacts.publishing(self._at(progress.step)) as draft:
            _write(draft / MODEL, weights)
            _write(draft / OPTIMIZER, optimizer)
            self._finish(draft, progress)
        self._drop_old()

    def _finish(self, draft: Path, progress: Progress) -> None:
        """The files that are written when the tensors are there."""
        (draft / _PROGRESS).write_bytes(_PROGRESS_JSON.dump_json(progress))
        (draft / artifacts.MANIFEST).write_bytes(_FILES_JSON.dump_json(artifacts.record_files(draft)))

    def _drop_old(self) -> None:
        """Only after a new one is complete."""
        steps = self._steps()
        known = []
        for step in steps:
            with contextlib.suppress(ArtifactError):  # found by `latest`, should it ever be needed
                known.append(_read_progress(self._at(step)))
        for step in set(steps) - needed(steps, known, self._keep, self._marked):
            shutil.rmtree(self._at(step))

    def _check_space(self, *tensors: Mapping[str, Tensor]) -> None:
        needed = sum(tensor.nbytes for group in tensors for tensor in group.values()) + _SPARE_BYTES
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            message = f"a checkpoint needs {needed >> 20} MB and {free >> 20} MB are free"
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {message}", str(self._folder))


def needed(steps: list[int], known: Sequence[Progress], keep: int, marked: Marked) -> set[int]:
    """Which of these checkpoints, in order, are not to be dropped. Any of the ``keep`` newest may be continued.

    ``known`` says how far a run had come in each, in the same order; some may be missing.
    """
    whole = [progress for progress in known if not progress.weights_only]
    named = {
        step
        for progress in (*whole[-keep:], *known[-1:])
        for step in (progress.best_step, progress.fallback_step, progress.trunk_step)
        if step is not None
    }
    newest = {progress.step for progress in (*whole[-keep:], *known[-1:])} | set(steps[-1:])
    unread = set(steps) - {progress.step for progress in known}
    return newest | unread & set(steps[-keep:]) | named | set(filter(marked, steps))


def _is_room_for_copies(*tensors: Mapping[str, Tensor]) -> bool:
    """Whether they would take less than half of the memory that is free."""
    return 2 * sum(tensor.nbytes for group in tensors for tensor in group.values()) < cgroup.memory().available


def _are_plain(*tensors: Mapping[str, Tensor]) -> bool:
    """Whether all lie in this process's memory, so that another thread may read them in no order with anything."""
    return all(type(tensor) is Tensor and tensor.device.type == "cpu" for group in tensors for tensor in group.values())


def _copy(weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]) -> _Copies:
    """On the CPU, so that the loop may go on changing the originals."""
    return _on_cpu(weights), _on_cpu(optimizer)


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def _write(file: Path, tensors: Mapping[str, Tensor]) -> None:
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
    except SafetensorError as error:
        raise OSError(errno.EIO, str(error), str(file)) from error


def read(folder: Path) -> Checkpoint:
    """The checkpoint in a folder, verified.

    Raises:
        ArtifactError: there is none, or it is damaged.
    """
    try:
        files = _FILES_JSON.validate_json((folder / artifacts.MANIFEST).read_bytes())
        artifacts.check_files(folder, files)
        return Checkpoint(load_file(folder / MODEL), load_file(folder / OPTIMIZER), _read_progress(folder))
    except (OSError, ValidationError, SafetensorError) as error:
        raise ArtifactError(f"{folder}: {error}") from error


def _read_progress(folder: Path) -> Progress:
    try:
        return _PROGRESS_JSON.validate_json((folder / _PROGRESS).read_bytes())
    except (OSError, ValidationError) as error:
        raise ArtifactError(f"{folder / _PROGRESS}: {error}") from error
