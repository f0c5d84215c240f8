"""Follows the events of the store from where it got to, across restarts: nothing between two looks is missed."""

from collections.abc import Awaitable, Callable, Sequence

from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.records import Event
from daemon.supervisor.store.store import Store

_AT_ONCE = 100


class Follower:
    """Hands over events in order. How far it got is in the store, written after each hand-over.

    So an event is handed over at least once: again where thord was killed between the two.

    Args:
        store: whose events.
        key: names this follower in the store. One that is new begins with what happens from now on.
        wanted: whether an event is to be handed over.
        take: is given the events that are wanted, and returns when they are safe.
        degradations: is told while the store cannot be written.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        wanted: Callable[[Event], bool],
        take: Callable[[Sequence[Event]], Awaitable[None]],
        degradations: Degradations,
    ) -> None:
        self._store = store
        self._key = key
        self._wanted = wanted
        self._take = take
        self._degradations = degradations
        self.position = 0

    async def follow(self) -> None:
        """Hand over events until cancelled."""
        self.position = await self._begin()
        while True:
            events = await retry_until_stored(
                lambda: self._store.events_after(self.position, _AT_ONCE), self._degradations
            )
            if not events:
                await self._store.news_after(self.position)
                continue
            if wanted := [event for event in events if self._wanted(event)]:
                await self._take(wanted)
                await self._keep(events[-1].id)
            self.position = events[-1].id

    async def _begin(self) -> int:
        newest = await retry_until_stored(lambda: self._store.newest_events(1), self._degradations)
        last = newest[0].id if newest else 0
        kept = await retry_until_stored(lambda: self._store.meta(self._key), self._degradations)
        if kept is None:
            await self._keep(last)
            return last
        return min(int(kept), last)  # the store may be a copy that is older than that

    async def _keep(self, position: int) -> None:
        await retry_until_stored(lambda: self._store.set_meta(self._key, str(position)), self._degradations)
