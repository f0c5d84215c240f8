"""What was forgotten, by its hash alone, so that it is not learned when it is read again.

The table is the intake's; the server reads it to erase chats.

| what comes | it is forgotten where |
| --- | --- |
| any sample | it was forgotten itself, or is an answered beginning of what was |
| a dialogue | it begins with one that was forgotten as a whole |

An earlier form of a forgotten dialogue is forgotten too, but not as a whole: others may begin as it does.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain

from daemon import sqlite
from daemon.clock import utc_now_with_offset
from engine.data.digest import identities_from
from engine.data.samples import Dialogue, Sample


class Forgotten:
    """The table. Calls that write belong inside a transaction; it may be read by any connection."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add(self, identities: Iterable[str], *, whole: bool) -> None:
        """Write down what is forgotten from now on."""
        at = utc_now_with_offset("milliseconds")
        self._database.executemany(
            "INSERT INTO forgotten VALUES (?1, ?2, ?3)"
            " ON CONFLICT (identity) DO UPDATE SET whole = max(whole, excluded.whole)",
            [(bytes.fromhex(identity), int(whole), at) for identity in identities],
        )

    def among(self, identities: Sequence[str], beginnings: Sequence[Sequence[str]]) -> set[str]:
        """Those of the identities that are not to be learned; each has its beginnings (`engine.data.digest`)."""
        if self._database.execute("SELECT 1 FROM forgotten LIMIT 1").fetchone() is None:
            return set()
        found = sqlite.hashes_found(self._database, "SELECT identity FROM forgotten WHERE identity", identities)
        whole = sqlite.hashes_found(
            self._database, "SELECT identity FROM forgotten WHERE whole AND identity", [*chain(*beginnings)]
        )
        return found | {
            identity for identity, own in zip(identities, beginnings, strict=True) if not whole.isdisjoint(own)
        }

    def since(self, identity_prefix: str) -> str | None:
        """When something whose identity begins like this was forgotten; null where nothing was."""
        if (between := identities_from(identity_prefix)) is None:
            return None
        query = "SELECT at FROM forgotten WHERE identity BETWEEN ? AND ?"
        found: tuple[str] | None = self._database.execute(query, between).fetchone()
        return found[0] if found else None

    def holds(self, sample: Sample, identity: str) -> bool:
        """Whether a sample is not to be learned."""
        if self._has("SELECT 1 FROM forgotten WHERE identity = ?", identity):
            return True
        query = "SELECT 1 FROM forgotten WHERE identity = ? AND whole"
        beginnings = sample.prefix_identities() if isinstance(sample, Dialogue) else ()
        return any(self._has(query, beginning) for beginning in beginnings)

    def _has(self, query: str, identity: str) -> bool:
        return self._database.execute(query, (bytes.fromhex(identity),)).fetchone() is not None
