"""What an archive holds: members with names, of which some cannot be read."""

import io
import re
from dataclasses import dataclass
from typing import BinaryIO

from engine.data.readers.packed.streams import MemberStream

_LONGEST_NAME = 200
_UPWARDS = re.compile(r"[/\\]|[A-Za-z]:[/\\]|(?:.*[/\\])?\.\.(?:[/\\]|$)", re.DOTALL)
_OWN = re.compile(r"(?:.*/)?(?:\.[^/]*|__MACOSX/.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive; ``stream`` is to be read before the next member is asked for.

    Attributes:
        problem: why it cannot be read; the stream is then empty.
    """

    name: str
    stream: BinaryIO
    problem: str = ""


def refused(name: str, problem: str) -> Member:
    """A member that is not read."""
    return Member(shown(name), io.BytesIO(), problem)


def shown(name: str) -> str:
    """A name as refusals say it."""
    return name if len(name) <= _LONGEST_NAME else f"…{name[-_LONGEST_NAME:]}"


def leads_out(name: str) -> bool:
    """Whether a name is absolute or goes upwards, as no honest packer writes it."""
    return _UPWARDS.match(name) is not None


def is_ignored(name: str) -> bool:
    """Whether it is a hidden file, or one that macOS adds: those are not read in the inbox either."""
    return _OWN.match(name) is not None


def buffered(stream: MemberStream) -> BinaryIO:
    """As a stream that reads lines fast."""
    return io.BufferedReader(stream, 1 << 16)
