"""What to do where memory runs out: smaller microbatches, more of them, the same rows in a step."""

import gc

import torch
from torch import OutOfMemoryError

from engine.config.training import TrainingSettings

_SAID = (
    "DefaultCPUAllocator",
    "not enough memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""By the CPU's allocator, and where a library of the GPU, not torch itself, found no memory."""


def size(batch_size: int, halvings: int) -> int:
    """Rows in a microbatch after it was halved so often."""
    return max(1, batch_size >> halvings)


def check_smaller_helps(error: RuntimeError | MemoryError, rows: int, settings: TrainingSettings) -> None:
    """Return if memory ran out in a microbatch of so many ``rows`` that can be halved.

    Raises:
        RuntimeError, MemoryError: the very error, where it is about something else.
        OutOfMemoryError: there is one row only; the message says what to change.
    """
    if not _is_out_of_memory(error):
        raise error
    if rows == 1:
        advice = (
            "" if settings.activation_checkpointing == "full" else ', or set training.activation_checkpointing = "full"'
        )
        raise OutOfMemoryError(
            f"there is not enough memory for one row of {settings.sequence_length} tokens: "
            f"lower training.sequence_length{advice} ({error})"
        ) from error


def free_memory(device: torch.device) -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    if isinstance(error, MemoryError | OutOfMemoryError):
        return True
    return any(words in str(error) for words in _SAID)
