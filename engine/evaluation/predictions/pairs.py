"""What is compared: a prediction and its reference, as text, as a label, or as spans of a text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextPair:
    """A text and the texts that would have been right; none where a question has no answer."""

    prediction: str
    references: tuple[str, ...]


@dataclass(frozen=True)
class LabelPair:
    """A label and the right one; ``probability`` is what the model gave the label it predicted."""

    prediction: str
    reference: str
    probability: float | None = None


@dataclass(frozen=True, order=True)
class TypedSpan:
    """Characters ``start`` to ``end`` (exclusive, in code points) of a text, and what they are."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class SpanPair:
    """The spans found in a text, and those that are in it."""

    predictions: tuple[TypedSpan, ...]
    references: tuple[TypedSpan, ...]
