"""Versions that jobs ask for: one in memory is used as it is, another is loaded as a guest, and unloaded when idle."""

import asyncio
from collections.abc import Callable

from daemon.workers.server.loading import VersionLoader
from engine.inference.versions.slots import WeightSlots


class Guests:
    """Sees to it that the versions of jobs are in memory. Used in the event loop.

    Args:
        slots: what is in memory.
        loader: loads them, in its thread that gives way.
        idle_seconds: gives how long a guest stays that no job has asked for.
    """

    def __init__(self, slots: WeightSlots, loader: VersionLoader, idle_seconds: Callable[[], float]) -> None:
        self._slots = slots
        self._loader = loader
        self._idle_seconds = idle_seconds
        self._leaving: dict[int, asyncio.TimerHandle] = {}

    def holds(self, version: int) -> bool:
        """Whether a version is in memory and takes requests."""
        return self._slots.takes(version)

    def serves(self, version: int) -> bool:
        """Whether it is in memory whatever jobs ask for."""
        return version in self._slots.addressable

    async def ready(self, version: int) -> bool:
        """Have a version in memory, until `idle` is called and its time is over. False: there is no room now.

        Raises:
            UnfitVersionError: it is damaged.
            NotNowError: it cannot be read, or memory does not hold it even alone.
        """
        if (timer := self._leaving.pop(version, None)) is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._loader.giving_way, self._loader.as_guest, version) == "ready"

    async def visit(self, version: int) -> bool:
        """As `ready`, for a single request: the version stays while it is used, and for a while after it was asked for.

        Raises:
            UnfitVersionError: as `ready`.
            NotNowError: as `ready`.
        """
        try:
            return await self.ready(version)
        finally:
            self.idle(version)

    def idle(self, version: int) -> None:
        """No job uses the version now."""
        if (timer := self._leaving.pop(version, None)) is not None:
            timer.cancel()
        self._leaving[version] = asyncio.get_running_loop().call_later(self._idle_seconds(), self._see_off, version)

    def _see_off(self, version: int) -> None:
        self._leaving.pop(version, None)
        self._loader.giving_way.submit(self._loader.see_off, version)
