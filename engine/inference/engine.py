"""The engine: one thread that answers everybody. One iteration: schedule; run and postprocess each version in use.

Other threads only `Engine.submit` and `Engine.cancel`. A request binds to a version when its first sequence is
scheduled (one that pins a version: when it is submitted) and ends on it. Its events go to the listener in batches, one
an iteration.

Shapes: B rows, T tokens, N choices to make, D hidden, V vocabulary.
"""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from engine import device
from engine.inference.requests import (
    Bound,
    Event,
    Failed,
    Finished,
    Piece,
    PromptScored,
    PromptSummed,
    Request,
    Scored,
    SequenceState,
)
from engine.inference.runners import forward
from engine.inference.runners.forward import Stretch
from engine.inference.runners.sampling import Choice, choose, score
from engine.inference.scheduling.admission import Admission
from engine.inference.scheduling.batching import plan
from engine.inference.scheduling.deadlines import fate
from engine.inference.scheduling.fair_queue import FairQueue
from engine.inference.versions.slots import Resident, WeightSlots

_logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Who hears what the engine does; called in the engine's thread, so it must be quick."""

    def happened(self, events: Sequence[tuple[Request, Event]]) -> None:
        """What one iteration brought about, in order."""
        ...

    def idle(self) -> None:
        """There is nothing more to compute."""
        ...


class QueueFullError(Exception):
    """Too many sequences wait."""


class DeviceLostError(Exception):
    """No request of this process will be answered any more; a new process may find the device as it was."""


class PromptTooLongError(ValueError):
    """A prompt that leaves no room in the context."""

    def __init__(self, prompt: int, context: int) -> None:
        super().__init__(
            f"the prompt has {prompt} tokens, and this model's maximum context length is {context} tokens, generated "
            "ones included: shorten the prompt"
        )


class Engine:
    """Continuous batching over the versions in ``slots``. `run` is the thread.

    Attributes:
        max_queue: how many sequences may wait besides those that find a row at once.
    """

    def __init__(self, slots: WeightSlots, listener: Listener, max_queue: int) -> None:
        self._slots = slots
        self._listener = listener
        self.max_queue = max_queue
        self._changed = threading.Condition()  # guards what other threads touch: the four below
        self._queue = FairQueue()
        self._live: dict[int, Request] = {}
        self._cancelled: list[Request] = []
        self._ending = False
        self._waits_for_memory = False
        self._running: dict[int, list[SequenceState]] = {}
        self._outbox: list[tuple[Request, Event]] = []

    # From other threads ----------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Sequences in the queue."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Sequences that have rows."""
        return sum(len(sequences) for sequences in list(self._running.values()))

    def submit(self, request: Request) -> None:
        """Have a request answered.

        Raises:
            QueueFullError: come back later.
            VersionGoneError: nothing serves yet, or the version it pins is not in memory.
            PromptTooLongError: it fits no version that it could run on.
        """
        with self._changed:
            resident = self._slots.enter(request.pin)  # held while the request is judged
            keep = False
            try:
                if resident is not None:
                    _check_length(request, resident)
                room = self.max_queue + (0 if resident is None else len(resident.rows.free))
                if len(self._queue) + len(request.sequences) > room:
                    raise QueueFullError(f"{len(self._queue)} sequences wait already")
                keep = request.pin is not None
            finally:
                if resident is not None and not keep:
                    self._slots.leave(resident.version)
            request.version = resident.version if resident is not None and keep else None
            self._live[request.number] = request
            for sequence in request.sequences:
                self._queue.push(sequence)
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
        """End the thread after this iteration; whatever is still live fails."""
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
        while self._work_is_there():
            with self._slots.turns.iteration():
                self._schedule()
                for version, sequences in list(self._running.items()):
                    self._run(self._slots.get(version), sequences)
            self._deliver()
        with self._changed:
            for request in list(self._live.values()):
                self._fail(request, Failed("stopping", "the server is stopping"))
        self._deliver()

    def _work_is_there(self) -> bool:
        with self._changed:
            while not (self._cancelled or self._ending):
                if not self._live:
                    self._listener.idle()
                    self._changed.wait()
                elif self._slots.replacing and all(request.version is None for request in self._live.values()):
                    first = min(request.deadline for request in self._live.values())
                    if not self._changed.wait(min(max(first - time.monotonic(), 0.0), threading.TIMEOUT_MAX)):
                        return True
                else:
                    return True
            return not self._ending

    # Schedule --------------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        with self._changed:
            for request in self._cancelled:
                if request.number in self._live:
                    self._withdraw(request)
            self._cancelled.clear()
            self._end_what_is_overdue()
            self._waits_for_memory = False
            while (sequence := self._queue.pop(self._has_room)) is not None:
                self._place(sequence)

    def _end_what_is_overdue(self) -> None:
        """As `engine.inference.scheduling.deadlines` says."""
        versions = {request.version for request in self._live.values() if request.version is not None}
        drained = {version for version in versions if self._slots.is_overdue(version)}
        now, hopeless = time.monotonic(), self._slots.outline is None
        for request in list(self._live.values()):
            match fate(request, now, drained, hopeless=hopeless):
                case Failed() as failure:
                    self._fail(request, failure)
                case "begin anew":
                    self._begin_anew(request)

    def _begin_anew(self, request: Request) -> None:
        self._withdraw(request)
        request.restart()
        self._live[request.number] = request
        for sequence in reversed(request.sequences):
            self._queue.push_front(sequence)

    def _has_room(self, sequence: SequenceState) -> bool:
        """A row is free, and memory for all that the sequence may come to; or it must be told that there never is."""
        version = sequence.request.version
        resident = self._slots.serving if version is None else self._slots.get(version)
        if resident is None or not resident.rows.free or self._waits_for_memory:
            return False
        self._waits_for_memory = self._judge(resident, sequence) == "wait"
        return not self._waits_for_memory

    def _judge(self, resident: Resident, sequence: SequenceState) -> Admission:
        reuse = not sequence.request.wish.reads_all
        return self._slots.judge(resident, sequence.prompt, sequence.end(resident.context), reuse=reuse)

    def _place(self, sequence: SequenceState) -> None:
        """Bind the request if it is not bound, and give the sequence a row."""
        request = sequence.request
        if request.version is None:
            serving = self._slots.enter(None)
            if serving is None:  # it makes way since the look
                self._queue.push_front(sequence)
                return
            request.version = serving.version
        resident = self._slots.get(request.version)
        try:
            _check_length(request, resident)  # another version than the one at submission may be smaller
        except PromptTooLongError as error:
            self._fail(request, Failed("too_long", str(error)))
            return
        end = sequence.end(resident.context)
        verdict = self._judge(resident, sequence) if resident.rows.free else "wait"
        if verdict == "wait":  # the flip came between the look and the binding
            self._queue.push_front(sequence)
            return
        if verdict == "refuse":
            self._fail(request, Failed("no_memory", _no_memory(resident, end)))
            return
        if not request.announced:
            request.announced = True
            self._emit(request, Bound(resident.version, time.monotonic() - request.submitted_at))
        sequence.row, sequence.cached = resident.rows.take(sequence.prompt, end, reuse=not request.wish.reads_all)
        sequence.reused = sequence.cached
        sequence.limit = end - len(sequence.prompt)
        self._running.setdefault(resident.version, []).append(sequence)

    # Run -------------------------------------------------------------------------------------------------------------

    def _run(self, resident: Resident, sequences: list[SequenceState]) -> None:
        """One iteration of one version. What fails, fails the requests on this version and nothing else."""
        try:
            self._advance(resident, sequences)
        except Exception as error:  # one thread serves everybody: it must not end with one batch
            _logger.exception("version %06d failed in an iteration of %d sequences", resident.version, len(sequences))
            with self._changed:
                for request in {sequence.request.number: sequence.request for sequence in sequences}.values():
                    self._fail(request, Failed("internal", f"the model failed: {type(error).__name__}"))
            if device.is_lost(resident.device):
                self._deliver()
                raise DeviceLostError(f"{resident.device} computes nothing any more in this process") from error

    def _advance(self, resident: Resident, sequences: list[SequenceState]) -> None:
        now = plan(sequences, forward.length_step(resident))
        prompts = [
            Stretch(_row(each), each.cached, each.prompt[each.cached :][:length]) for each, length in now.prefill
        ]
        newest = [Stretch(_row(each), each.cached, each.output[-1:]) for each in now.decode]
        read, newest_BD = forward.hidden(resident, prompts, newest)
        choosing: list[SequenceState] = []
        only_read: list[SequenceState] = []
        last: list[Tensor] = []
        of: list[int] = []  # whose scores each one chooses by: those of one prompt may be several's
        for (sequence, _), stretch, hidden_TD in zip(now.prefill, prompts, read, strict=True):
            self._have_read(resident, sequence, stretch, hidden_TD)
            if sequence.prefilling:
                continue
            ready = [sequence, *_share(resident, sequence, sequences)]
            if sequence.limit > 0:
                choosing += ready
                of += [len(last)] * len(ready)
                last.append(hidden_TD[-1])
            else:
                only_read += ready
        for sequence in now.decode:
            sequence.cached += 1
        choosing += now.decode
        if choosing:
            logits_NV = forward.logits(resident, last, newest_BD).float()
            if len(of) > len(last):
                logits_NV = logits_NV[[*of, *range(len(last), len(logits_NV))]]
            self._choose(resident, choosing, logits_NV)
        for sequence in only_read:
            self._finish(sequence, Finished(sequence.index, "length", 0, sequence.reused))

    def _have_read(self, resident: Resident, sequence: SequenceState, stretch: Stretch, hidden_TD: Tensor) -> None:
        """These prompt tokens are in the cache; say of them what the request wants to know."""
        sequence.cached += len(stretch.tokens)
        resident.rows.wrote(stretch.row, stretch.tokens)
        sampling = sequence.request.wish.sampling
        targets = sequence.prompt[stretch.start + 1 : sequence.cached + 1]
        if sequence.request.wish.score_prompt and targets:
            scored = score(forward.scores(resident, hidden_TD[: len(targets)]), targets, sampling.alternatives or 0)
            self._emit(sequence.request, PromptScored(sequence.index, tuple(scored)))
        if sequence.request.wish.sum_hidden:
            sums_D = hidden_TD.float().sum(0)
            self._emit(sequence.request, PromptSummed(sequence.index, tuple(sums_D.tolist())))

    # Postprocess -----------------------------------------------------------------------------------------------------

    def _choose(self, resident: Resident, sequences: Sequence[SequenceState], logits_NV: Tensor) -> None:
        healthy = torch.isfinite(logits_NV.sum(-1)).tolist()  # NaN and infinity both stay in a sum
        if not all(healthy):
            logits_NV = logits_NV.nan_to_num()
        choices = [
            Choice(
                sequence.request.wish.sampling,
                sequence.counts,
                0.0 if sequence.request.wish.sampling.greedy else sequence.draws.random(),
                sequence.prompt,
                sequence.request.wish.stop_ids if sequence.below_minimum else (),
            )
            for sequence in sequences
        ]
        tokens = choose(logits_NV, choices)
        scores = _scores(sequences, tokens, logits_NV)
        for sequence, token, scored, is_healthy in zip(sequences, tokens, scores, healthy, strict=True):
            if is_healthy:
                self._take(resident, sequence, token, scored)
            else:
                with self._changed:
                    self._fail(sequence.request, Failed("internal", "the model computed scores that are no numbers"))

    def _take(self, resident: Resident, sequence: SequenceState, token: int, scored: tuple[Scored, ...]) -> None:
        """Add a token to its sequence, show what may be shown, and end the sequence where it ends."""
        if sequence.request.number not in self._live:
            return  # another sequence of the same request has failed in this iteration
        sequence.output.append(token)
        sequence.counts[token] = sequence.counts.get(token, 0) + 1
        wish = sequence.request.wish
        ends = token in wish.stop_ids
        push = sequence.text.push_unstoppable if ends or len(sequence.output) <= wish.min_tokens else sequence.text.push
        text = push(resident.tokenizer.decode_bytes([token])) if not ends or wish.show_stop else ""
        full = len(sequence.output) >= sequence.limit
        if (ends or full) and not sequence.text.stopped:
            text += sequence.text.finish()
        if text or scored:
            self._emit(sequence.request, Piece(sequence.index, text, scored, len(sequence.output)))
        if ends or full or sequence.text.stopped:
            by_itself = ends or sequence.text.stopped
            reason: Literal["stop", "length"] = "stop" if by_itself else "length"
            self._finish(sequence, Finished(sequence.index, reason, len(sequence.output), sequence.reused))

    def _finish(self, sequence: SequenceState, event: Finished) -> None:
        request = sequence.request
        self._emit(request, event)
        with self._changed:
            self._release(sequence)
            request.open -= 1
            if not request.open:
                self._forget(request)

    def _fail(self, request: Request, event: Failed) -> None:
        if request.number in self._live:
            self._withdraw(request)
            self._emit(request, event)

    def _withdraw(self, request: Request) -> None:
        """Take a live request out of queue and rows."""
        self._queue.remove(request)
        for sequence in request.sequences:
            self._release(sequence)
        self._forget(request)

    def _forget(self, request: Request) -> None:
        del self._live[request.number]
        if request.version is not None:
            self._slots.leave(request.version)

    def _release(self, sequence: SequenceState) -> None:
        """Give its row back."""
        version = sequence.request.version
        if sequence.row is None or version is None:
            return
        self._slots.get(version).rows.give_back(sequence.row)
        sequence.row = None
        running = [other for other in self._running[version] if other is not sequence]
        if running:
            self._running[version] = running
        else:
            del self._running[version]

    def _emit(self, request: Request, event: Event) -> None:
        request.sent = request.sent or (request.streamed and not isinstance(event, Bound))
        self._outbox.append((request, event))

    def _deliver(self) -> None:
        if self._outbox:
            self._listener.happened(self._outbox)
            self._outbox = []


def _check_length(request: Request, resident: Resident) -> None:
    room_needed = 1 if request.wish.max_tokens else 0
    if request.longest_prompt + room_needed > resident.context:
        raise PromptTooLongError(request.longest_prompt, resident.context)


def _no_memory(resident: Resident, end: int) -> str:
    return (
        f"prompt and answer may come to {end} tokens, for which memory of {resident.cache.bytes_for(end) >> 20} MiB is "
        "not free now: ask for a shorter answer (max_tokens), or come back later"
    )


def _row(sequence: SequenceState) -> int:
    if sequence.row is None:
        raise ValueError("a sequence without a row is not running")
    return sequence.row


def _share(resident: Resident, reader: SequenceState, others: Sequence[SequenceState]) -> list[SequenceState]:
    """Copy the prompt that has just been read to all rows that wait for it; whose they are."""
    waiting = [other for other in others if other.waits_for(reader)]
    for other in waiting:
        resident.cache.copy(_row(reader), _row(other), reader.cached)
        other.cached = other.reused = reader.cached
    return waiting


def _scores(sequences: Sequence[SequenceState], tokens: list[int], logits_NV: Tensor) -> list[tuple[Scored, ...]]:
    """For each sequence that asked for log-probabilities the score of its token, else nothing."""
    found: list[tuple[Scored, ...]] = [()] * len(sequences)
    for place, sequence in enumerate(sequences):
        alternatives = sequence.request.wish.sampling.alternatives
        if alternatives is not None:
            found[place] = tuple(score(logits_NV[place : place + 1], tokens[place : place + 1], alternatives))
    return found
