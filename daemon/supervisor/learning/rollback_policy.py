"""The way back: when to leave a version that a server cannot serve, and for which."""

from collections.abc import Sequence

from daemon.supervisor.store.store import NoSuchRecordError, Store

DEATHS = 3
DEATH_WINDOW = 60.0
"""A server that died this often within these seconds, on a version it never served, will not serve it."""


def gives_up(deaths: Sequence[float], now: float, *, proven: bool) -> bool:
    """Whether to go back to the previous version, given when the server died (monotonic seconds)."""
    recent = [death for death in deaths if now - death <= DEATH_WINDOW]
    return not proven and len(recent) >= DEATHS


async def previous(store: Store, number: int | None) -> int | None:
    """The nearest version on the way back that is fit to serve; null where there is none."""
    seen: set[int] = set()
    while number is not None and number not in seen:
        seen.add(number)
        try:
            number = (await store.version(number)).previous
            found = None if number is None else await store.version(number)
            if found is not None and found.state != "quarantined" and not found.is_purged:
                return None if number in seen else number
        except NoSuchRecordError:
            return None
    return None
