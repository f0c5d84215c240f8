"""How much text a first version would have needed where it did not beat the baseline.

The rule of thumb: ten times the text takes half a bit per byte off what a small model comes to (`docs/first-version.md`
has the figures). So to move the unfavourable end of the difference by ``d`` bits below zero takes ``10 ** (d / 0.5)``
times the text, and twice at least.
"""

from engine.evaluation.gate import Verdict

_BITS_PER_TENFOLD = 0.5
_LEAST, _MOST = 2.0, 1000.0


def bytes_needed(text_bytes: int, verdict: Verdict) -> int:
    """Bytes of text from which a first version may be expected to pass."""
    missing = (verdict.overall.upper or 0.0) + verdict.settings.min_improvement
    return round(text_bytes * min(max(10 ** (missing / _BITS_PER_TENFOLD), _LEAST), _MOST))


def advice(text_bytes: int, verdict: Verdict) -> str:
    """What to say to somebody whose first version did not beat the baseline; empty where more text is not the point."""
    if verdict.kind not in {"worse", "not_shown"} or not text_bytes:
        return ""
    return (
        f"; it had {_size(text_bytes)} of text, and by the rule that ten times the text takes "
        f"{_BITS_PER_TENFOLD:g} bits per byte off, about {_size(bytes_needed(text_bytes, verdict))} are needed; or "
        "start from a model that knows a language already: thorctl import starter"
    )


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{max(1, round(size / 1e3))} KB"
