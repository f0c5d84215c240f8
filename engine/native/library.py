"""The boundary to the compiled kernel (`decoder.cpp`): its structures, and where it is found. Raw addresses live here.

The file's name holds a sum of the source, the compiler's options and the processor's abilities. So a kernel of other
source, or built for another machine, is not found, and torch computes instead.
"""

import ctypes
import functools
import hashlib
import platform
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

SOURCE = Path(__file__).with_name("decoder.cpp")
OPTIONS = ("-std=c++20", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fopenmp", "-shared", "-fPIC")

EMBED, NORM, LINEAR, ATTEND, GATE = range(5)
SET, ADD, GELU = range(3)
FORMATS = {"fp32": 0, "bf16": 1, "int8": 2, "int4": 3}
_POINTER, _COUNT, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float


class Weight(ctypes.Structure):
    """``struct Weight``."""

    _fields_ = (
        ("format", _COUNT),
        ("outputs", _COUNT),
        ("inputs", _COUNT),
        ("packed", _POINTER),
        ("scales", _POINTER),
        ("bias", _POINTER),
    )


class Operation(ctypes.Structure):
    """``struct Operation``."""

    _fields_ = (
        ("kind", _COUNT),
        ("source", _POINTER),
        ("target", _POINTER),
        ("source_width", _COUNT),
        ("target_width", _COUNT),
        ("weight", Weight),
        ("finish", _COUNT),
        ("scale", _POINTER),
        ("shift", _POINTER),
        ("epsilon", _FLOAT),
        ("keys", _POINTER),
        ("values", _POINTER),
        ("cache_format", _COUNT),
        ("length", _COUNT),
        ("heads", _COUNT),
        ("kv_heads", _COUNT),
        ("head", _COUNT),
        ("window", _COUNT),
        ("query_norm", _POINTER),
        ("key_norm", _POINTER),
        ("cosines", _POINTER),
        ("sines", _POINTER),
    )


Operations = ctypes.Array[Operation]


class Kernel:
    """The functions of the library."""

    def __init__(self, file: Path) -> None:
        library = ctypes.CDLL(str(file))
        self._run = library.thord_run
        self._run.restype = None
        self._run.argtypes = (_POINTER, _COUNT, _COUNT, *[_POINTER] * 4, *[_COUNT] * 3)
        self._scratch = library.thord_scratch
        self._scratch.restype = _COUNT
        self._scratch.argtypes = (_COUNT,) * 4

    def scratch_bytes(self, tokens: int, widest: int, longest: int, threads: int) -> int:
        """Room that `run` needs besides the buffers of the operations."""
        return int(self._scratch(tokens, widest, longest, threads))

    def run(
        self,
        operations: Operations,
        tokens_M: Tensor,
        rows_M: Tensor,
        positions_M: Tensor,
        scratch: Tensor,
        *,
        widest: int,
        longest: int,
        threads: int,
    ) -> None:
        """Carry the operations out on M tokens; the three are int64 and contiguous."""
        self._run(
            ctypes.addressof(operations),
            len(operations),
            len(tokens_M),
            tokens_M.data_ptr(),
            rows_M.data_ptr(),
            positions_M.data_ptr(),
            scratch.data_ptr(),
            widest,
            longest,
            threads,
        )


def array(operations: Sequence[Operation]) -> Operations:
    """As C wants them: side by side."""
    return (Operation * len(operations))(*operations)


@functools.cache
def kernel() -> Kernel | None:
    """The kernel for this machine; null where none was built."""
    file = path()
    return Kernel(file) if file.is_file() else None


def path() -> Path:
    """Where the kernel of this source for this machine is, or would be."""
    sum_ = hashlib.sha256(SOURCE.read_bytes() + " ".join(OPTIONS).encode() + _processor())
    return SOURCE.with_name(f"decoder-{sum_.hexdigest()[:16]}.so")


def _processor() -> bytes:
    """What this processor can do."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        lines = []
    abilities = next((line for line in lines if line.lower().startswith((b"flags", b"features"))), b"")
    return platform.machine().encode() + abilities
