"""Who may do what over the control socket, by the credentials the kernel gives of the peer."""

import errno
import socket
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

_SO_PEERGROUPS = 59
"""Linux: the supplementary groups of the peer; Python does not name it."""

_LONGEST_OPTION = 1024
"""Bytes that Python reads of an option: room for 256 groups."""


class Access(StrEnum):
    """What an operation needs."""

    READ = "read"
    WORK = "work"
    """Train, evaluate, predict."""
    ADMIN = "admin"


@dataclass(frozen=True)
class Peer:
    """The process at the other end, as it was when it connected."""

    uid: int
    gid: int
    pid: int
    groups: frozenset[int]


class SocketOptions(Protocol):
    """A socket, or asyncio's view of one."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """Read an option of ``buflen`` bytes."""
        ...


def peer_of(stream: SocketOptions) -> Peer:
    """Read the credentials of the peer of a Unix socket."""
    pid, uid, gid = struct.unpack("3i", stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    try:
        packed = stream.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _LONGEST_OPTION)
    except OSError as error:  # a user in more groups than that is judged by the primary one
        if error.errno != errno.ERANGE:
            raise
        packed = b""
    groups = struct.unpack(f"{len(packed) // struct.calcsize('I')}I", packed)
    return Peer(uid, gid, pid, frozenset((gid, *groups)))


def may(peer: Peer, access: Access, *, owner: int, group: int | None) -> bool:
    """Whether a peer may do what needs ``access``.

    The service's own user and root may do everything; members of the group of the socket (null: there is none) may
    read and give work; nobody else may do anything.
    """
    if peer.uid in (0, owner):
        return True
    return group is not None and group in peer.groups and access is not Access.ADMIN
