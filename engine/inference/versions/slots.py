"""The versions in memory with their caches, and the one pointer that says where new requests go.

What may happen is decided in `engine.inference.versions.swap_policy`; here it happens, under one lock. A flip is the
change of that pointer: it cannot fail, and because requests bind only at the start of an engine iteration it falls
between two.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.inference.requests import Sampling, sampling_of
from engine.inference.runners.graphs import StepGraphs
from engine.inference.scheduling import admission
from engine.inference.scheduling.admission import Admission
from engine.inference.scheduling.rows import Rows
from engine.inference.versions import footprint, swap_policy
from engine.inference.versions.turns import Turns
from engine.models.base import Decoder
from engine.tokenizers.base import Tokenizer
from engine.version import LoadedVersion


@dataclass(frozen=True)
class Outline:
    """What writing a prompt needs to know of a version. It stays while its weights make way for another's."""

    version: int
    tokenizer: Tokenizer
    vocabulary: int
    context: int
    defaults: Sampling
    """How the model is meant to be sampled from, where a request does not say."""


class Resident:
    """One version in memory.

    Attributes:
        cache: rows for the sequences that run on this version, and one for padding.
        rows: who has which of them; all but the padding's.
        graphs: what decodes on a GPU; empty elsewhere.
    """

    def __init__(self, loaded: LoadedVersion, rows: int, model: Decoder) -> None:
        """``model`` is what computes: the version's own module, or what was made of its weights."""
        self.version = loaded.manifest.version
        self.model = model
        self.tokenizer = loaded.tokenizer
        self.manifest = loaded.manifest
        self.context = loaded.model.context
        self.cache = model.make_cache(rows, loaded.model.context)
        defaults = sampling_of(loaded.generation)
        self.outline = Outline(self.version, loaded.tokenizer, loaded.model.vocabulary, self.context, defaults)
        self.device = next(loaded.model.parameters()).device
        self.graphs = StepGraphs()
        self.padding_row = rows
        self.rows = Rows(self.cache, rows)

    @property
    def weight_bytes(self) -> int:
        """What weights take."""
        return footprint.of_weights(self.model)

    @property
    def bytes(self) -> int:
        """What weights take, and now the cache."""
        return self.weight_bytes + self.cache.held_bytes


class VersionGoneError(LookupError):
    """No such version is in memory."""


class WeightSlots:
    """Safe to use from any thread.

    Attributes:
        on_settled: called when it is decided again where new requests go: after a flip, or when there is nothing.
        memory_limit: bytes that weights and caches of all versions may take; 0: what the machine has.
        turns: who may use the device.
    """

    def __init__(self, drain_seconds: float, memory_limit: int = 0) -> None:
        self.on_settled: Callable[[], None] = lambda: None
        self.drain_seconds = drain_seconds
        self.memory_limit = memory_limit
        self.turns = Turns()
        self._table: swap_policy.Table = swap_policy.EMPTY
        self._residents: dict[int, Resident] = {}
        self._served_until: dict[int, float] = {}
        self._replaced: Outline | None = None
        self._changed = threading.Condition()

    @property
    def serving(self) -> Resident | None:
        """Where new requests go."""
        with self._changed:
            version = swap_policy.only(self._table, "serving")
            return None if version is None else self._residents[version]

    @property
    def replacing(self) -> bool:
        """Nothing serves because one version makes way for another: requests wait."""
        with self._changed:
            return self._replaced is not None

    @property
    def outline(self) -> Outline | None:
        """Of what serves, or of what did before it made way. Null: nothing serves, and no version is on its way."""
        serving = self.serving
        return self._replaced if serving is None else serving.outline

    @property
    def previous(self) -> int | None:
        """The version that served before, while it is in memory; also while it is about to serve again."""
        with self._changed:
            found = swap_policy.only(self._table, "previous")
            prepared = swap_policy.only(self._table, "prepared")
            return prepared if found is None and prepared in self._served_until else found

    @property
    def resident(self) -> tuple[int, ...]:
        """Versions that a request may ask for."""
        with self._changed:
            return tuple(sorted(v for v, place in self._table.items() if place.state in ("serving", "previous")))

    @property
    def held_bytes(self) -> tuple[int, int]:
        """What weights, and what caches of all versions take now."""
        with self._changed:
            residents = list(self._residents.values())
        return sum(each.weight_bytes for each in residents), sum(each.cache.held_bytes for each in residents)

    def holds(self, version: int) -> bool:
        """Whether it is in memory, in whatever state."""
        with self._changed:
            return version in self._table

    def room(self, version: int, needed: int, free: Callable[[int], int]) -> swap_policy.Room:
        """Where a version of ``needed`` bytes can be loaded; ``free`` tells from the bytes held how many are left."""
        with self._changed:
            residents = self._residents.items()
            taken = {number: resident.bytes for number, resident in residents}
            promised = {number: resident.rows.promised_bytes for number, resident in residents}
            unclaimed = free(sum(taken.values())) - sum(promised.values())
            held = {number: taken[number] + promised[number] for number in taken}
            return swap_policy.room(self._table, version, needed, unclaimed, held)

    def judge(self, resident: Resident, prompt: Sequence[int], positions: int, *, reuse: bool) -> Admission:
        """Whether a sequence that may come to so many positions can begin on a version: see `admission`.

        Prompts that rows keep are forgotten as far as that is needed, those of other versions first. Only the engine's
        thread may ask, because rows are its own.
        """
        with self._changed:
            residents = sorted(self._residents.values(), key=lambda each: each is resident)
        while True:
            others = sum(other.rows.memory_for((), 0, reuse=False) for other in residents if other is not resident)
            held = sum(each.bytes for each in residents)
            verdict = admission.admit(
                others + resident.rows.memory_for(prompt, positions, reuse=reuse),
                footprint.free_for_caches(resident.device, self.memory_limit, held),
                kept=any(each.rows.keeps for each in residents),
                running=any(each.rows.busy for each in residents),
            )
            if verdict != "forget":
                return verdict
            next(each for each in residents if each.rows.keeps).rows.forget_oldest()

    def admit(self, version: int, wait_seconds: float) -> bool:
        """Make room for a version that is to be prepared. True: load it. False: it is in memory already.

        Raises:
            TimeoutError: two versions stayed in use for ``wait_seconds``.
        """
        end = time.monotonic() + wait_seconds
        with self._changed:
            while True:
                table, admission = swap_policy.admit(self._table, version)
                self._become(table)
                if admission != "wait":
                    return admission == "load"
                if not self._changed.wait(end - time.monotonic()):
                    held = ", ".join(f"{v} ({place.state})" for v, place in sorted(self._table.items()))
                    raise TimeoutError(f"no room beside the versions in memory: {held}")

    def install(self, resident: Resident) -> None:
        """Hold a loaded, checked version beside the one that serves."""
        with self._changed:
            table = swap_policy.loaded(self._table, resident.version)
            self._residents[resident.version] = resident
            self._become(table)

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
                self._replaced = self._residents[serving].outline
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
        """Forget a prepared version."""
        with self._changed:
            self._become(swap_policy.abandon(self._table, version))

    def enter(self, pin: int | None) -> Resident | None:
        """Bind a request to the version that serves, or to the one it asked for. Null: one is on its way, wait for it.

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
            return self._residents[version]

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

    def get(self, version: int) -> Resident:
        """A version that the caller knows to be in memory, because something is bound to it."""
        with self._changed:
            return self._residents[version]

    def _become(self, table: swap_policy.Table) -> None:
        for version in self._table.keys() - table.keys():
            del self._residents[version]
            self._served_until.pop(version, None)
        self._table = table
        self._changed.notify_all()
