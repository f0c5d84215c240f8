"""What the kernels are given, as C lays it out."""

import ctypes

from torch import Tensor

_POINTER, _COUNT, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float


class Weight(ctypes.Structure):
    """``struct Weight`` of `operations.h`."""

    _fields_ = (
        ("format", _COUNT),
        ("outputs", _COUNT),
        ("inputs", _COUNT),
        ("packed", _POINTER),
        ("scales", _POINTER),
        ("bias", _POINTER),
    )


class Operation(ctypes.Structure):
    """``struct Operation`` of `operations.h`."""

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
        ("adapted", _COUNT),
        ("keys_at", _COUNT),
        ("values_at", _COUNT),
        ("cache_format", _COUNT),
        ("page_stride", _COUNT),
        ("heads", _COUNT),
        ("kv_heads", _COUNT),
        ("head", _COUNT),
        ("window", _COUNT),
        ("query_norm", _POINTER),
        ("key_norm", _POINTER),
        ("cosines", _POINTER),
        ("sines", _POINTER),
    )


class Factors(ctypes.Structure):
    """``struct Factors`` of `operations.h`."""

    _fields_ = (("a", Weight), ("b", Weight))


class Group(ctypes.Structure):
    """``struct Group`` of `operations.h`."""

    _fields_ = (("end", _COUNT), ("factors", _POINTER), ("cache", _POINTER))


class Tokens(ctypes.Structure):
    """``struct Tokens`` of `operations.h`."""

    _fields_ = (
        ("count", _COUNT),
        ("ids", _POINTER),
        ("rows", _POINTER),
        ("positions", _POINTER),
        ("table", _POINTER),
        ("table_width", _COUNT),
        ("groups", _POINTER),
        ("group_count", _COUNT),
        ("inner", _POINTER),
        ("inner_width", _COUNT),
    )


class Heads(ctypes.Structure):
    """``struct Heads`` of `causal_attention.cpp`."""

    _fields_ = (("first", _POINTER), ("row", _COUNT), ("head", _COUNT), ("position", _COUNT))

    @classmethod
    def of(cls, x_BHTE: Tensor) -> "Heads":
        """Where they lie; the numbers of a head have to lie side by side."""
        return cls(x_BHTE.data_ptr(), *x_BHTE.stride()[:3])


class CausalAttention(ctypes.Structure):
    """``struct CausalAttention`` of `causal_attention.cpp`."""

    _fields_ = (
        *((name, _COUNT) for name in ("rows", "heads", "kv_heads", "positions", "width")),
        ("begins", _POINTER),
        *((name, Heads) for name in ("queries", "keys", "values", "mixed")),
        *((name, Heads) for name in ("by_mixed", "by_queries", "by_keys", "by_values")),
    )


Operations = ctypes.Array[Operation]
