"""Which names are this server's own: those that a ``Host`` header may hold, and those of pages that come from here.

A page of another site can have its name resolve to this machine and then reach an open port as its own (DNS rebinding).
Its browser still sends the page's name, so a name that is not ours is refused.
"""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import psutil

ANY = "*"
"""In ``api.hosts``: every name."""
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104  (compared with, not bound to)


class Hosts:
    """The names of one server.

    Args:
        addresses: those that it listens on.
        names: by which people reach it besides: ``api.host`` and ``api.hosts``.
    """

    def __init__(self, addresses: Iterable[str], names: Sequence[str]) -> None:
        bound = {_plain(address) for address in addresses}
        self._named = {name_of(name) for name in names}
        self._any = ANY in names
        self._wildcard = bool(bound & _WILDCARDS)
        self._named.discard("")
        self._known = {"localhost", *bound, *self._named} - _WILDCARDS
        if self._wildcard:
            own = socket.gethostname().lower()
            self._known |= {own, own.partition(".")[0], f"{own.partition('.')[0]}.local"}

    def knows(self, authority: str) -> bool:
        """Whether ``authority``, a name or address with or without a port, is this server."""
        name = name_of(authority)
        return self._any or name in self._known or (self._wildcard and name in _own_addresses())

    def serves_page(self, origin: str, authority: str) -> bool:
        """Whether a page of this origin came from here: from what the request was sent to, or from a name given."""
        try:
            page = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        return page == authority.lower() != "" or name_of(page) in self._named


def name_of(authority: str) -> str:
    """The host of ``host:port``, in lower case; empty where it is none."""
    text = authority.strip().lower()
    if text.startswith("["):
        return _plain(text[1:].partition("]")[0])
    name = text if text.count(":") > 1 else text.partition(":")[0]
    return _plain(name.removesuffix("."))


def _plain(name: str) -> str:
    """An address in its one usual spelling; anything else as it is."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def _own_addresses() -> set[str]:
    """Of this machine now: they change while a server runs."""
    return {_plain(each.address.partition("%")[0]) for found in psutil.net_if_addrs().values() for each in found}
