"""All by which a sample is recognised, computed in one pass: the ledger asks for it of everything that is read."""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from pydantic_core import to_json

from engine.data.samples import Dialogue, Message, Role, Sample

_PREFIX = re.compile(r"[0-9a-f]{6,64}")
_PLAIN = Message("user", "")[2:]
"""What is left of a turn of which role and content are all there is: such a turn is stored as what identifies it."""


class Digest(NamedTuple):
    """What the properties of a sample say, each of them costing as much as this.

    Attributes:
        canonical: as UTF-8.
        identity: SHA-256 in hexadecimal, as the next two.
        beginnings: identities of the shorter beginnings of a dialogue that hold an answer, longest first: what it may
            have grown from. A question alone is shared by dialogues that differ.
        group: of samples that begin alike.
    """

    canonical: bytes
    identity: str
    beginnings: tuple[str, ...]
    group: str


def digest_of(sample: Sample) -> Digest:
    """The digest of a sample of any kind."""
    if not isinstance(sample, Dialogue):
        return Digest(sample.canonical.encode(), sample.identity, (), sample.group)
    if all(message[2:] == _PLAIN for message in sample.messages):
        return digest_of_plain(
            tuple([message.role for message in sample.messages]), [message.content for message in sample.messages]
        )
    roles = [message.role for message in sample.messages]
    longer = len(roles) - roles.index("assistant") - 1 if "assistant" in roles else 0
    beginnings = tuple(sample.prefix_identities()[:longer])
    return Digest(sample.canonical.encode(), sample.identity, beginnings, sample.group)


def digest_of_plain(roles: tuple[Role, ...], texts: Sequence[str]) -> Digest:
    """That of a dialogue of which roles and texts are all there is.

    `to_json` writes strings as `json` does, in a fraction of the time.
    """
    turns = list(map(to_json, zip(roles, texts, strict=True)))
    canonical = _written(turns)
    identity = sha256(canonical).hexdigest()
    opening, answered = _outline(roles)
    group = sha256(_written([turns[number] for number in opening])).hexdigest() if opening else identity
    return Digest(canonical, identity, _beginnings(turns, answered) if answered < len(turns) else (), group)


def identities_from(prefix: str) -> tuple[bytes, bytes] | None:
    """The lowest and the highest identity that begin with these digits; none where no identity can begin so."""
    if not _PREFIX.fullmatch(prefix):
        return None
    return bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))


def _written(turns: list[bytes]) -> bytes:
    return b'{"messages":[%b]}' % b",".join(turns)


@lru_cache(maxsize=64)
def _outline(roles: tuple[Role, ...]) -> tuple[tuple[int, ...], int]:
    """Which turns open the dialogue (`Dialogue.group`), and how many end with an answer; most dialogues are alike."""
    asked = roles.index("user") + 1 if "user" in roles else len(roles)
    opening = tuple(number for number in range(asked) if roles[number] != "system")
    if "user" not in roles:  # the first who says anything
        opening = opening[:1]
    return opening, roles.index("assistant") + 1 if "assistant" in roles else len(roles)


def _beginnings(turns: list[bytes], answered: int) -> tuple[str, ...]:
    running = sha256(b'{"messages":[' + b",".join(turns[:answered]))
    beginnings: list[str] = []
    for turn in turns[answered:]:
        beginning = running.copy()
        beginning.update(b"]}")
        beginnings.append(beginning.hexdigest())
        running.update(b"," + turn)
    return tuple(reversed(beginnings))
