"""The engine: one thread that answers everybody. It joins the `Scheduler`, which decides, and runners, which compute.

One iteration: take in what other threads submitted and cancelled; schedule; compute and settle each version in use,
those that share a base in one pass; hand out the events, in one batch, to the listener. Other threads only
`Engine.submit` and `Engine.cancel`.
"""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Protocol

import torch

from engine import device
from engine.inference.requests import Event, Failed, QueueFullError, Request
from engine.inference.runners import together
from engine.inference.scheduling.scheduler import Iteration, Scheduler
from engine.inference.versions.slots import WeightSlots

_logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Who hears what the engine does; called in the engine's thread, so it must be quick."""

    def happened(self, events: Sequence[tuple[Request, Event]]) -> None:
        """What one iteration brought about, in order."""
        ...

    def idle(self) -> None:
        """There is nothing more to compute."""
        ...


class DeviceLostError(Exception):
    """No request of this process will be answered any more; a new process may find the device as it was."""


class Engine:
    """Continuous batching over the versions in ``slots``. `run` is the thread.

    Attributes:
        max_queue: how many sequences may wait besides those that find a row at once.
    """

    def __init__(self, slots: WeightSlots, listener: Listener, max_queue: int) -> None:
        self.max_queue = max_queue
        self._slots = slots
        self._listener = listener
        self._scheduler = Scheduler(slots)  # of the engine's thread, except for its counts
        self._changed = threading.Condition()  # guards what other threads touch: the three below
        self._submitted: list[Request] = []
        self._cancelled: list[Request] = []
        self._ending = False

    # From other threads ----------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Sequences in the queue."""
        with self._changed:
            return self._scheduler.waiting + sum(len(request.sequences) for request in self._submitted)

    @property
    def running(self) -> int:
        """Sequences that have rows."""
        return self._scheduler.running

    def submit(self, request: Request) -> None:
        """Have a request answered.

        Raises:
            QueueFullError: come back later.
            VersionGoneError: nothing serves yet, or the version it pins is not in memory.
            PromptTooLongError: it fits no version that it could run on.
        """
        with self._changed:
            model = self._slots.enter(request.pin)  # held while the request is judged
            keep = False
            try:
                if model is not None:
                    request.check_length(model.context)
                room = self.max_queue + (0 if model is None else len(model.rows.free))
                if self.waiting + len(request.sequences) > room:
                    raise QueueFullError(f"{self.waiting} sequences wait already")
                keep = request.pin is not None
            finally:
                if model is not None and not keep:
                    self._slots.leave(model.version)
            request.version = model.version if model is not None and keep else None
            self._submitted.append(request)
            self._changed.notify()

    def cancel(self, request: Request) -> None:
        """Nobody waits for the answer any more. Safe to call at any time, also twice."""
        with self._changed:
            self._cancelled.append(request)
            self._changed.notify()

    def wake(self) -> None:
        """It was decided anew where requests go."""
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        """End the thread after this iteration; whatever has not been answered fails."""
        with self._changed:
            self._ending = True
            self._changed.notify()

    # The thread ------------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def run(self) -> None:
        """Answer until `stop`.

        Raises:
            DeviceLostError: a GPU failed in such a way that only a new process can use it again.
        """
        while self._wait_for_work():
            is_idle = True
            with self._slots.turns.iteration():
                self._scheduler.schedule(time.monotonic())
                in_use = [(version, self._slots.get(version).runner) for version in self._scheduler.versions]
                for versions in together.groups(in_use):
                    following = map(self._scheduler.next_iteration, versions)
                    iterations = [iteration for iteration in following if not iteration.is_empty]
                    is_idle = is_idle and not iterations
                    self._compute(iterations)
            self._deliver()
            if is_idle:
                self._scheduler.wait_for_mask()
        with self._changed:
            self._take_in()
        for request in self._scheduler.requests:
            self._scheduler.fail(request, Failed("stopping", "the server is stopping"))
        self._deliver()

    def _wait_for_work(self) -> bool:
        """Wait until there is something to compute, to end or to cancel. False: `stop` was called."""
        with self._changed:
            while not (self._take_in() or self._ending):
                requests = self._scheduler.requests
                if not requests:
                    self._listener.idle()
                    self._changed.wait()
                elif self._slots.replacing and all(request.version is None for request in requests):
                    first = min(request.deadline for request in requests)
                    if not self._changed.wait(min(max(first - time.monotonic(), 0.0), threading.TIMEOUT_MAX)):
                        return True
                else:
                    return True
            return not self._ending

    def _take_in(self) -> bool:
        """Tell the scheduler what other threads asked for. True: something was cancelled."""
        for request in self._submitted:
            self._scheduler.add(request)
        self._submitted.clear()
        cancelled, self._cancelled = self._cancelled, []
        for request in cancelled:
            self._scheduler.cancel(request)
        return bool(cancelled)

    def _compute(self, iterations: Sequence[Iteration]) -> None:
        """Iterations that can be computed together. What fails, fails the requests on its version and nothing else."""
        if not iterations:
            return
        runners = [self._slots.get(iteration.model.version).runner for iteration in iterations]
        try:
            outputs = together.run(runners, [iteration.work for iteration in iterations])
        except Exception as error:  # one thread serves everybody: it must not end with one batch
            if len(iterations) == 1:
                self._fail(iterations[0], error)
            else:
                _logger.warning("versions could not be computed together; each is computed alone", exc_info=True)
                for iteration in iterations:
                    self._compute([iteration])
            return
        for iteration, output in zip(iterations, outputs, strict=True):
            try:
                self._scheduler.settle(iteration, output)
            except Exception as error:
                self._fail(iteration, error)

    def _fail(self, iteration: Iteration, error: Exception) -> None:
        version, count = iteration.model.version, len(iteration.sequences)
        place = self._slots.get(version).device  # before its last request goes, and perhaps it
        _logger.exception("version %06d failed in an iteration of %d sequences", version, count)
        self._scheduler.abort(iteration, Failed("internal", f"the model failed: {type(error).__name__}"))
        if device.is_lost(place):
            self._deliver()
            raise DeviceLostError(f"{place} has failed, and this process can no longer compute on it") from error

    def _deliver(self) -> None:
        events = self._scheduler.take_events()
        if events:
            self._listener.happened(events)
