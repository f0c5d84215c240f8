"""Checkpoints of several ranks in one folder. On disk they are those of one process, so any number goes on from them.

A boundary module: torch.distributed.checkpoint has few types.
"""

import errno
import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor

from engine import artifacts, disk
from engine.distributed.group import PATIENCE
from engine.training.checkpoint import MODEL, OPTIMIZER, Checkpoint, Checkpoints, Marked, Progress


class _Ranks(Protocol):
    rank: int

    def sum(self, *numbers: float) -> list[float]: ...

    def barrier(self) -> None: ...


class SharedCheckpoints(Checkpoints):
    """Rank 0 writes what every rank holds; all read it."""

    def __init__(self, ranks: _Ranks, folder: Path, keep: int, marked: Marked) -> None:
        super().__init__(folder, keep, marked, writes=ranks.rank == 0)
        self._ranks = ranks

    def save(self, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor], progress: Progress) -> None:
        """As `Checkpoints`, on rank 0."""
        if self._ranks.rank == 0:
            super().save(weights, optimizer, progress)

    def latest(self) -> Checkpoint | None:
        """The one that rank 0 finds."""
        found = super().latest() if self._ranks.rank == 0 else None
        step = int(self._ranks.sum(found.progress.step + 1 if found else 0)[0]) - 1
        if found is None and step >= 0:
            found = super().load(step)
        if found:
            found.progress.halvings = max(found.progress.halvings, _remembered(self._folder))
        return found

    def load(self, step: int) -> Checkpoint:
        """As `Checkpoints`, once rank 0 has written what it is writing."""
        self.wait()
        self._ranks.barrier()
        return super().load(step)


class ShardedCheckpoints(SharedCheckpoints):
    """Every rank writes its parts, by torch.distributed.checkpoint, and rank 0 joins the files.

    What is said for it between ranks goes through a group of its own, for it goes on beside the loop.
    """

    def __init__(self, ranks: _Ranks, folder: Path, keep: int, marked: Marked) -> None:
        super().__init__(ranks, folder, keep, marked)
        self._group = dist.new_group(backend="gloo", timeout=PATIENCE)

    def save(self, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor], progress: Progress) -> None:
        """As `Checkpoints`, on every rank."""
        Checkpoints.save(self, weights, optimizer, progress)

    def _write(self, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor], progress: Progress) -> None:
        if self._ranks.rank == 0:
            with artifacts.publishing(self._at(progress.step)) as draft:
                self._write_parts(draft, weights, optimizer)
                self._finish(draft, progress)
            self._drop_old()
        else:
            self._write_parts(None, weights, optimizer)
        dist.barrier(self._group)

    def _write_parts(self, draft: Path | None, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]) -> None:
        """Model and optimizer, each as one file in the folder that rank 0 names."""
        said: list[object] = [str(draft)]
        dist.broadcast_object_list(said, src=0, group=self._group)
        for name, tensors in ((MODEL, weights), (OPTIMIZER, optimizer)):
            self._write_file(Path(str(said[0])) / name, tensors)

    def _write_file(self, file: Path, tensors: Mapping[str, Tensor]) -> None:
        """One file of whole tensors.

        Raises:
            OSError: a rank could not write its part; it is named.
        """
        from torch.distributed.checkpoint.api import CheckpointException
        from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
        from torch.distributed.checkpoint.state_dict_saver import save

        if not tensors:  # no optimizer state, for nothing goes on from here
            if self._ranks.rank == 0:
                save_file({}, file)
            return
        parts = file.with_suffix("")
        try:
            save(
                dict(tensors),
                storage_writer=HuggingFaceStorageWriter(str(parts), save_distributed=True, enable_consolidation=True),
                process_group=self._group,
            )
        except CheckpointException as error:
            said = "; ".join(f"rank {rank}: {failure[0]}" for rank, failure in error.failures.items())
            raise OSError(errno.EIO, said, str(file)) from error
        if self._ranks.rank == 0:
            next(parts.glob("*.safetensors")).rename(file)
            shutil.rmtree(parts)
            _write_scalars(file, tensors)

    def _is_written(self, step: int) -> bool:
        """As rank 0 sees it: on a network file system others may see it later, and all must write or none."""
        return self._ranks.sum(float(self._ranks.rank == 0 and super()._is_written(step)))[0] > 0

    def _check_space(self, *tensors: Mapping[str, Tensor]) -> None:
        """Parts and the whole lie side by side for a while."""
        super()._check_space(*tensors, *tensors)


def remember(folder: Path, halvings: int) -> None:
    """Have the next attempt begin with microbatches halved so often, whatever its checkpoint says."""
    disk.write_json(_memory(folder), {"halvings": halvings})


def _remembered(folder: Path) -> int:
    try:
        return int(json.loads(_memory(folder).read_text())["halvings"])
    except FileNotFoundError:
        return 0


def _memory(folder: Path) -> Path:
    return folder / "memory.json"


def _write_scalars(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Put tensors without dimensions where they belong: joining files leaves them zero (torch 2.13).

    A safetensors file is the length of its header, the header in JSON, and the bytes.
    """
    with file.open("r+b") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
        for name, tensor in tensors.items():
            if tensor.ndim == 0:
                stream.seek(8 + length + header[name]["data_offsets"][0])
                stream.write(tensor.reshape(1).cpu().view(torch.uint8).numpy().tobytes())
