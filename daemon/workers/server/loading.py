"""Loads versions into memory: for a swap beside the one that serves or in its place, and for jobs as guests.

One thing is loaded at a time: how much memory there is would otherwise be answered twice for the same bytes.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from daemon import log
from daemon.workers.runtime import Context
from daemon.workers.server.metrics import Metrics
from engine.config.inference import Form
from engine.device import Placement
from engine.inference.versions import footprint, preparing
from engine.inference.versions.loaded_model import LoadedModel
from engine.inference.versions.slots import Need, WeightSlots
from engine.inference.versions.swap_policy import Admission, Room

DRAIN_MARGIN = 30.0
"""Beyond the deadline of requests on a version, until the engine must have let go of it; in seconds."""
NICENESS = 10
"""Whole weights are loaded with what time the requests leave; that takes seconds, most of them without Python."""
_NOTHING_FITS = Need(bytes=1 << 62)
_logger = log.get(__name__)


def give_way() -> None:
    """Let this thread have what time the others leave."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class VersionLoader:
    """Loads the versions of one server. Its methods may be called from any thread.

    Attributes:
        busy: held while something is loaded; whoever replaces what serves holds it, too.
        giving_way: one thread that has what time the requests leave.
    """

    def __init__(self, context: Context, slots: WeightSlots, placement: Placement, metrics: Metrics) -> None:
        self.busy = threading.RLock()
        self.giving_way = ThreadPoolExecutor(1, "loading", initializer=give_way)
        self._paths = context.paths
        self._settings = context.settings.inference
        self._slots = slots
        self._placement = placement
        self._metrics = metrics
        self._forms: dict[int, Form] = {}

    def close(self) -> None:
        """Begin nothing more in the thread that gives way; what it is loading need not be waited for."""
        self.giving_way.shutdown(wait=False, cancel_futures=True)

    def form(self, version: int) -> Form:
        """The form in which a version is loaded, or would be."""
        return self._forms.get(version, "merged")

    def beside(self, version: int) -> Room:
        """Have a version checked that is not in memory, and loaded where it fits beside the one that serves.

        Raises:
            UnfitVersionError: it must never serve.
            NotNowError: it cannot be read, or memory does not hold it even alone.
            TimeoutError: the versions that must make room stayed in use.
        """
        folder = self._paths.version(version)
        preparing.check(folder, self._slots.serving)
        needed = self._need(folder)
        room = preparing.room(folder, self._slots, needed)
        if room == "in place":
            preparing.check_weights(folder)
        elif self._slots.admit(version, self._slots.drain_seconds + DRAIN_MARGIN, needed):
            self._install_beside(version)
        return room

    def alone(self, version: int) -> None:
        """Load a version into empty memory; the errors are those of `beside`, without the last."""
        footprint.give_back(self._placement.device)
        self._slots.install(self._loaded(version))

    def as_guest(self, version: int) -> Admission:
        """Have a version in memory for jobs, whatever its tokenizer, where it disturbs nothing.

        Returns:
            ``ready``: it is there. ``wait``: there is no room for it now.

        Raises:
            UnfitVersionError: it is damaged.
            NotNowError: it cannot be read, or memory does not hold it even alone.
        """
        if not self.busy.acquire(blocking=False):
            return "wait"
        try:
            if self._slots.invite(version, _NOTHING_FITS) == "ready":
                return "ready"
            folder = self._paths.version(version)
            preparing.check(folder, None)
            needed = replace(self._need(folder), reserve=self._growth_of_serving())
            preparing.room(folder, self._slots, needed)
            footprint.give_back(self._placement.device)
            admission = self._slots.invite(version, needed)
            if admission == "load":
                self._slots.receive(self._loaded(version))
                _logger.info("a version is loaded for jobs", version=version, form=self.form(version))
                return "ready"
            return admission
        finally:
            self.busy.release()

    def see_off(self, version: int) -> None:
        """Let a guest go that nobody uses, and give its memory back."""
        self._slots.see_off(version)
        if not self._slots.holds(version):
            footprint.give_back(self._placement.device)
            _logger.info("a version that was loaded for jobs is unloaded", version=version)

    def _need(self, folder: Path) -> Need:
        settings = self._settings
        version, placement = int(folder.name), preparing.place(folder, settings)
        if version not in self._forms:
            self._forms[version] = preparing.form_of(folder, placement, self._slots, settings)
        return preparing.need(folder, placement, self._slots, settings, self._forms[version])

    def _growth_of_serving(self) -> int:
        """Bytes that the cache of the version that serves may come to need in ordinary use."""
        serving = self._slots.serving
        return 0 if serving is None else footprint.growth(serving.cache)

    def _install_beside(self, version: int) -> None:
        """Load a version while another answers.

        An adapter whose base is in memory takes a tenth of a second, nearly all of it in Python: a thread that gives
        way would hold Python's lock while it waits for a processor, and all answers would wait with it.
        """
        folder, beside = self._paths.version(version), self._slots.in_memory
        is_thin = self.form(version) == "unmerged" and preparing.has_base(folder, beside)
        if self._slots.serving is None or is_thin:
            self._slots.install(self._loaded(version))
        else:
            self._slots.install(self.giving_way.submit(self._loaded, version).result())

    def _loaded(self, version: int) -> LoadedModel:
        turn, began = self._slots.turns.alone, time.monotonic()
        folder, settings = self._paths.version(version), self._settings
        placement, chosen = preparing.place(folder, settings), self.form(version)
        rows, quantization = settings.max_batch, settings.quantization
        loaded = preparing.load(folder, placement, rows, quantization, turn, chosen, self._slots.in_memory)
        self._metrics.load_seconds.observe(time.monotonic() - began)
        return loaded
