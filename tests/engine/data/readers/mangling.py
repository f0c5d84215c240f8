"""Bytes that begin like a format and go on like nothing."""

from collections.abc import Sequence

from hypothesis import strategies as st


@st.composite
def mangled(draw: st.DrawFn, marks: Sequence[bytes]) -> bytes:
    """One of ``marks``, which may be whole files, with other bytes behind and inside it."""
    raw = bytearray(draw(st.sampled_from(marks)) + draw(st.binary(max_size=40)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 5))] = draw(st.binary(max_size=5))
    return bytes(raw)
