"""The versions in memory with their caches, and the one pointer that says where new requests go.

What may happen is decided in `engine.inference.versions.swap_policy`; here it happens, under one lock. A flip is the
change of that pointer: it cannot fail, and because requests bind only at the start of an engine iteration it falls
between two.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.config.inference import Form
from engine.inference.versions import footprint, loaded_model, swap_policy
from engine.inference.versions.loaded_model import LoadedModel, PromptSpec
from engine.inference.versions.turns import Turns


class VersionGoneError(LookupError):
    """No such version is in memory."""


@dataclass(frozen=True)
class Need:
    """What a version needs that is to be loaded.

    Attributes:
        bytes: of weights that are not in memory yet, and of its cache.
        base: the sum of weights that it shares with others; empty where it shares none.
        free: tells from the bytes that versions hold how many are left.
        reserve: bytes to leave to the version that serves, besides.
    """

    bytes: int = 0
    base: str = ""
    free: Callable[[int], int] = lambda _: 0
    reserve: int = 0


class WeightSlots:
    """Safe to use from any thread.

    Attributes:
        on_settled: called when it is decided again where new requests go: after a flip, or when there is nothing.
        on_gone: called, with the lock held, when versions have left memory: it must be quick and not call back.
        memory_limit: bytes that weights and caches of all versions may take; 0: what the machine has.
        most: versions in memory at once.
        turns: who may use the device.
    """

    def __init__(self, drain_seconds: float, memory_limit: int = 0, most: int = swap_policy.SLOTS) -> None:
        self.on_settled: Callable[[], None] = lambda: None
        self.on_gone: Callable[[], None] = lambda: None
        self.drain_seconds = drain_seconds
        self.memory_limit = memory_limit
        self.most = most
        self.turns = Turns()
        self._table: swap_policy.Table = swap_policy.EMPTY
        self._models: dict[int, LoadedModel] = {}
        self._served_until: dict[int, float] = {}
        self._replaced: PromptSpec | None = None
        self._changed = threading.Condition()

    @property
    def serving(self) -> LoadedModel | None:
        """Where new requests go."""
        with self._changed:
            version = swap_policy.only(self._table, "serving")
            return None if version is None else self._models[version]

    @property
    def replacing(self) -> bool:
        """Nothing serves because one version is taking the place of another: requests wait."""
        with self._changed:
            return self._replaced is not None

    @property
    def prompt_spec(self) -> PromptSpec | None:
        """Of the version that serves, or is being replaced. None: nothing serves, and no version is on its way."""
        serving = self.serving
        return self._replaced if serving is None else serving.prompt_spec

    @property
    def expects_one(self) -> bool:
        """Some version serves, or takes the place of one that did."""
        return self.prompt_spec is not None

    @property
    def previous(self) -> int | None:
        """The version that served before, while it is in memory; also while it is about to serve again."""
        with self._changed:
            found = swap_policy.only(self._table, "previous")
            prepared = swap_policy.only(self._table, "prepared")
            return prepared if found is None and prepared in self._served_until else found

    @property
    def addressable(self) -> tuple[int, ...]:
        """Versions that a request may ask for."""
        with self._changed:
            states = "serving", "previous", "kept"
            return tuple(sorted(v for v, place in self._table.items() if place.state in states))

    @property
    def kept(self) -> tuple[int, ...]:
        """Those of them that nothing needs: they go when there is no room for another."""
        with self._changed:
            return tuple(sorted(v for v, place in self._table.items() if place.state == "kept"))

    @property
    def forms(self) -> dict[int, Form]:
        """The form of each version in memory."""
        with self._changed:
            return {version: model.form for version, model in self._models.items()}

    @property
    def held_bytes(self) -> tuple[int, int]:
        """What weights, and what caches of all versions take now."""
        with self._changed:
            models = list(self._models.values())
        weights = loaded_model.shares({each.version: each for each in models}, None)
        return sum(weights.values()), sum(each.cache.held_bytes for each in models)

    def holds(self, version: int) -> bool:
        """Whether a version is in memory, in whatever state."""
        with self._changed:
            return version in self._table

    def takes(self, version: int) -> bool:
        """Whether a version is in memory and takes requests."""
        with self._changed:
            place = self._table.get(version)
            return place is not None and place.state != "retiring"

    def room(self, version: int, need: Need) -> swap_policy.Room:
        """Where a version can be loaded."""
        with self._changed:
            unclaimed, held = self._memory(need.free)
            return swap_policy.room(self._table, version, need.bytes, unclaimed, held)

    def capacity(self, free: Callable[[int], int]) -> int:
        """Bytes that versions may take in all; ``free`` as in `Need`."""
        with self._changed:
            unclaimed, held = self._memory(free)
            return unclaimed + sum(held.values())

    @property
    def in_memory(self) -> list[LoadedModel]:
        """Every version that takes memory, in whatever state."""
        with self._changed:
            return list(self._models.values())

    def free_for_caches(self, version: int) -> int:
        """Bytes that the caches of a version in memory may still grow into."""
        with self._changed:
            held = sum(self._taken().values())
            return footprint.free_for_caches(self._models[version].device, self.memory_limit, held)

    def admit(self, version: int, wait_seconds: float, need: Need | None = None) -> bool:
        """Make room for a version that is to be prepared. True: load it. False: it is in memory already.

        Raises:
            TimeoutError: other versions stayed in use for ``wait_seconds``.
        """
        end, need = time.monotonic() + wait_seconds, Need() if need is None else need
        with self._changed:
            while True:
                unclaimed, held = self._memory(need.free)
                budget = swap_policy.Budget(self.most, need.bytes, unclaimed, held)
                table, admission = swap_policy.admit(self._table, version, need.base, budget)
                self._become(table)
                if admission != "wait":
                    return admission == "load"
                if not self._changed.wait(end - time.monotonic()):
                    held_now = ", ".join(f"{v} ({place.state})" for v, place in sorted(self._table.items()))
                    raise TimeoutError(f"no room beside the versions in memory: {held_now}")

    def install(self, model: LoadedModel) -> None:
        """Hold a loaded, checked version beside the one that serves."""
        with self._changed:
            base = "" if model.base is None else model.base.sha256
            table = swap_policy.loaded(self._table, model.version, base, self.most)
            self._models[model.version] = model
            self._become(table)

    def invite(self, version: int, need: Need) -> swap_policy.Admission:
        """Make room for a version that a job asks for, without sending away anything but an idle guest.

        Returns:
            Whether it is in memory, may be loaded, or must wait.
        """
        with self._changed:
            unclaimed, held = self._memory(need.free)
            budget = swap_policy.Budget(self.most, need.bytes + need.reserve, unclaimed, held)
            table, admission = swap_policy.invite(self._table, version, need.base, budget)
            self._become(table)
            return admission

    def receive(self, model: LoadedModel) -> None:
        """Hold a loaded, checked version as a guest."""
        with self._changed:
            base = "" if model.base is None else model.base.sha256
            table = swap_policy.received(self._table, model.version, base)
            self._models[model.version] = model
            self._become(table)

    def see_off(self, version: int) -> None:
        """Let a guest go that nobody uses."""
        with self._changed:
            self._become(swap_policy.see_off(self._table, version))

    def commit(self, version: int) -> None:
        """Flip: from now on new requests go to this version.

        Raises:
            VersionGoneError: it is not in memory.
        """
        with self._changed:
            if version not in self._table:
                raise VersionGoneError(version)
            before = swap_policy.only(self._table, "serving")
            if before is not None and before != version:
                self._served_until[before] = time.monotonic()
            self._become(swap_policy.commit(self._table, version))
            self._replaced = None
        self.on_settled()

    def clear(self, wait_seconds: float) -> None:
        """Let everything go, so that another version finds room; new requests wait until `commit` or `give_up`.

        Raises:
            TimeoutError: some version stayed in use for ``wait_seconds``.
        """
        end = time.monotonic() + wait_seconds
        with self._changed:
            serving = swap_policy.only(self._table, "serving")
            if serving is not None:
                self._served_until[serving] = time.monotonic()
                self._replaced = self._models[serving].prompt_spec
            self._become(swap_policy.clear(self._table))
            while self._table:
                if not self._changed.wait(end - time.monotonic()):
                    raise TimeoutError(f"version {', '.join(map(str, self._table))} is still in use")

    def give_up(self) -> None:
        """No version could be loaded after `clear`: nothing serves, and nobody need wait."""
        with self._changed:
            self._replaced = None
        self.on_settled()

    def abandon(self, version: int) -> None:
        """Forget a prepared version, or one that is kept."""
        with self._changed:
            self._become(swap_policy.abandon(self._table, version))

    def let_one_go(self) -> bool:
        """Drop the version that is kept, has no users, and was asked for longest ago. False: there is none."""
        with self._changed:
            version = swap_policy.expendable(self._table)
            if version is not None:
                self._become(swap_policy.abandon(self._table, version))
        return version is not None

    def enter(self, pin: int | None) -> LoadedModel | None:
        """Bind a request to the version that serves, or to the one it asked for. None: one is on its way, wait for it.

        Raises:
            VersionGoneError: nothing serves, or the version asked for takes no requests.
        """
        with self._changed:
            version = swap_policy.only(self._table, "serving") if pin is None else pin
            if version is None:
                if self._replaced is not None:
                    return None
                raise VersionGoneError(version)
            try:
                self._become(swap_policy.enter(self._table, version))
            except KeyError:
                raise VersionGoneError(version) from None
            return self._models[version]

    def leave(self, version: int) -> None:
        """A request that `enter` bound has ended."""
        with self._changed:
            self._become(swap_policy.leave(self._table, version))

    def is_overdue(self, version: int) -> bool:
        """Its slot is needed, and its requests have had their time to finish."""
        with self._changed:
            place = self._table.get(version)
            if place is None or place.state != "retiring":
                return False
            return time.monotonic() > self._served_until.get(version, 0.0) + self.drain_seconds

    def get(self, version: int) -> LoadedModel:
        """A version that the caller knows to be in memory, because something is bound to it."""
        with self._changed:
            return self._models[version]

    def _taken(self) -> dict[int, int]:
        """Bytes of each version: its cache, and its weights, those that several share counted once."""
        serving = swap_policy.only(self._table, "serving")
        weights = loaded_model.shares(self._models, serving)
        return {number: weights[number] + each.cache.held_bytes for number, each in self._models.items()}

    def _memory(self, free: Callable[[int], int]) -> tuple[int, dict[int, int]]:
        """Bytes that nobody has, and those that each version would give back."""
        taken = self._taken()
        promised = {number: each.rows.promised_bytes for number, each in self._models.items()}
        unclaimed = free(sum(taken.values())) - sum(promised.values())
        return unclaimed, {number: taken[number] + promised[number] for number in taken}

    def _become(self, table: swap_policy.Table) -> None:
        gone = self._table.keys() - table.keys()
        for version in gone:
            del self._models[version]
            self._served_until.pop(version, None)
        for version, place in table.items():
            if place.state == "retiring" and self._table[version].state in {"kept", "guest"}:
                self._served_until[version] = time.monotonic()  # requests that pinned it have their time from now on
        self._table = table
        self._changed.notify_all()
        if gone:
            self.on_gone()
