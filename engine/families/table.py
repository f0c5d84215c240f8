"""The table of families. A new one costs a file here, one for its network in `engine.models`, and two lines below."""

from typing import Annotated

from pydantic import AfterValidator

from engine.families.agiformer import AGIFORMER
from engine.families.char_lstm import CHAR_LSTM
from engine.families.family import Family
from engine.families.gpt2 import GPT2
from engine.families.thor import THOR

FAMILIES: dict[str, Family] = {
    "thor": THOR,
    "gpt2": GPT2,
    "char_lstm": CHAR_LSTM,
    "agiformer": AGIFORMER,
}


def _known(name: str) -> str:
    if name not in FAMILIES:
        *most, last = (f"'{known}'" for known in FAMILIES)
        raise ValueError(f"Input should be {', '.join(most)} or {last}")
    return name


FamilyName = Annotated[str, AfterValidator(_known)]
"""One of the table."""
