"""What the kernels are given, as C lays it out."""

import ctypes

from torch import Tensor

POINTER, COUNT, FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float


class Weight(ctypes.Structure):
    """``struct Weight`` of `operations.h`."""

    _fields_ = (
        ("format", COUNT),
        ("outputs", COUNT),
        ("inputs", COUNT),
        ("packed", POINTER),
        ("scales", POINTER),
        ("bias", POINTER),
    )


class Operation(ctypes.Structure):
    """``struct Operation`` of `operations.h`."""

    _fields_ = (
        ("kind", COUNT),
        ("source", POINTER),
        ("target", POINTER),
        ("source_width", COUNT),
        ("target_width", COUNT),
        ("weight", Weight),
        ("finish", COUNT),
        ("scale", POINTER),
        ("shift", POINTER),
        ("epsilon", FLOAT),
        ("adapted", COUNT),
        ("keys_at", COUNT),
        ("values_at", COUNT),
        ("cache_format", COUNT),
        ("page_stride", COUNT),
        ("heads", COUNT),
        ("kv_heads", COUNT),
        ("head", COUNT),
        ("window", COUNT),
        ("query_norm", POINTER),
        ("key_norm", POINTER),
        ("cosines", POINTER),
        ("sines", POINTER),
    )


class Span(ctypes.Structure):
    """``struct Span`` of `operations.h`."""

    _fields_ = (("at", COUNT), ("first", COUNT), ("count", COUNT))


class Factors(ctypes.Structure):
    """``struct Factors`` of `operations.h`."""

    _fields_ = (("a", Weight), ("b", POINTER), ("spans", POINTER))


class Group(ctypes.Structure):
    """``struct Group`` of `operations.h`."""

    _fields_ = (("end", COUNT), ("factors", POINTER), ("cache", POINTER))


class Tokens(ctypes.Structure):
    """``struct Tokens`` of `operations.h`."""

    _fields_ = (
        ("count", COUNT),
        ("ids", POINTER),
        ("rows", POINTER),
        ("positions", POINTER),
        ("table", POINTER),
        ("table_width", COUNT),
        ("groups", POINTER),
        ("group_count", COUNT),
        ("inner", POINTER),
        ("inner_width", COUNT),
    )


class Heads(ctypes.Structure):
    """``struct Heads`` of `causal_attention.cpp`."""

    _fields_ = (("first", POINTER), ("row", COUNT), ("head", COUNT), ("position", COUNT))

    @classmethod
    def of(cls, x_BHTE: Tensor) -> "Heads":
        """Where they lie; the numbers of a head have to lie side by side."""
        return cls(x_BHTE.data_ptr(), *x_BHTE.stride()[:3])


class CausalAttention(ctypes.Structure):
    """``struct CausalAttention`` of `causal_attention.cpp`."""

    _fields_ = (
        *((name, COUNT) for name in ("rows", "heads", "kv_heads", "positions", "width")),
        ("begins", POINTER),
        *((name, Heads) for name in ("queries", "keys", "values", "mixed")),
        *((name, Heads) for name in ("by_mixed", "by_queries", "by_keys", "by_values")),
    )


Operations = ctypes.Array[Operation]
