"""What is wrong with the training settings of one cycle, in words."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_MOST = 5


def of_training(error: ValidationError) -> str:
    """The first faults, each with its key; that of a combination names its keys itself."""
    return "; ".join(map(_said, error.errors()[:_MOST]))


def _said(fault: ErrorDetails) -> str:
    words = fault["msg"].removeprefix("Value error, ")
    return f"{'.'.join(('training', *map(str, fault['loc'])))}: {words}" if fault["loc"] else words
