"""What is wrong with the settings of one cycle or job, in words."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_MOST = 5


def of_training(error: ValidationError) -> str:
    """The first faults, each with its key; that of a combination names its keys itself."""
    return "; ".join(_said(fault, "training") for fault in error.errors()[:_MOST])


def of_model(error: ValidationError) -> str:
    """The same of ``[model]``."""
    return "; ".join(_said(fault, "model") for fault in error.errors()[:_MOST])


def _said(fault: ErrorDetails, table: str) -> str:
    words = fault["msg"].removeprefix("Value error, ")
    return f"{'.'.join((table, *map(str, fault['loc'])))}: {words}" if fault["loc"] else words
