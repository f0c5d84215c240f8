"""All by which a sample is recognised, computed in one pass: the ledger asks for it of everything that is read."""

import re
from hashlib import sha256
from json.encoder import encode_basestring
from typing import NamedTuple

from engine.data.samples import Dialogue, Message, Sample

_PREFIX = re.compile(r"[0-9a-f]{6,64}")
_OPEN, _CLOSE = b'{"messages":[', b"]}"


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
    roles = [message.role for message in sample.messages]
    answered = roles.index("assistant") + 1 if "assistant" in roles else None
    if all(message.is_plain for message in sample.messages):
        return _of_plain(sample.messages, answered)
    longer = len(sample.messages) - answered if answered else 0
    beginnings = tuple(sample.prefix_identities()[:longer])
    return Digest(sample.canonical.encode(), sample.identity, beginnings, sample.group)


def identities_from(prefix: str) -> tuple[bytes, bytes] | None:
    """The lowest and the highest identity that begin with these digits; null where nobody calls a sample so."""
    if not _PREFIX.fullmatch(prefix):
        return None
    return bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))


def _of_plain(messages: tuple[Message, ...], answered: int | None) -> Digest:
    """That of a dialogue; ``answered`` is the number of its first answer."""
    turns = [f'["{message.role}",{encode_basestring(message.content)}]'.encode() for message in messages]
    canonical = _list_of(turns)
    identity = sha256(canonical).hexdigest()
    opening = _opening(messages, turns)
    beginnings: list[str] = []
    if answered and answered < len(turns):
        running = sha256(_OPEN + b",".join(turns[:answered]))
        for turn in turns[answered:]:
            beginning = running.copy()
            beginning.update(_CLOSE)
            beginnings.append(beginning.hexdigest())
            running.update(b"," + turn)
    group = sha256(_list_of(opening)).hexdigest() if opening else identity
    return Digest(canonical, identity, tuple(reversed(beginnings)), group)


def _opening(messages: tuple[Message, ...], turns: list[bytes]) -> list[bytes]:
    """The turns up to the first of the user's, without the system's; where there is none, the first one."""
    opening: list[bytes] = []
    for message, turn in zip(messages, turns, strict=True):
        if message.role != "system":
            opening.append(turn)
        if message.role == "user":
            return opening
    return opening[:1]


def _list_of(turns: list[bytes]) -> bytes:
    return _OPEN + b",".join(turns) + _CLOSE
