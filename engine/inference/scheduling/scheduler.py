"""Who runs, what each iteration computes, and what ends and why. Neither torch nor threads are needed.

A request binds to a version when its first sequence is given a row (one that pins a version: when it is submitted) and
ends on it. Sequences wait in a `FairQueue`; one begins when a row is free and memory for all that it may come to
(`engine.inference.scheduling.admission`); a prompt that begins like an earlier one goes on from there
(`engine.inference.scheduling.cache_rows`). Whoever has begun is never interrupted, except that a version that was
replaced must be empty in time (`engine.inference.scheduling.deadlines`).
"""

import itertools
import math
import time
from collections.abc import Sequence
from typing import NamedTuple

from engine.inference.requests import (
    Bound,
    CandidatesScored,
    Delta,
    EndedBy,
    Event,
    Failed,
    Finished,
    PromptScored,
    PromptSummed,
    PromptTooLongError,
    Request,
    Scored,
    SequenceState,
)
from engine.inference.runner import Choice, Chosen, ModelInput, ModelOutput, Prefill, TokenSpan
from engine.inference.scheduling import admission, structured
from engine.inference.scheduling.admission import Admission
from engine.inference.scheduling.batching import plan, prefill_budget
from engine.inference.scheduling.deadlines import disposition
from engine.inference.scheduling.fair_queue import FairQueue
from engine.inference.scheduling.versions import ServedModel, Versions


class Iteration(NamedTuple):
    """What one iteration of a version computes, and whose it is."""

    model: ServedModel
    """The version."""
    sequences: Sequence[SequenceState]
    """All that run on the version."""
    work: ModelInput
    reading: Sequence[SequenceState]
    """Whose prompts ``work.prefill`` are."""
    sharing: Sequence[Sequence[SequenceState]]
    """For each of them, the sequences that wait for the same prompt and get a copy of it now."""
    choosing: Sequence[SequenceState]
    """Whose tokens ``work.choices`` are."""
    only_read: Sequence[SequenceState]
    """Those that end without a token when their prompt has been read."""

    @property
    def is_empty(self) -> bool:
        """Nothing is to be computed now: every sequence waits for its mask."""
        return not (self.work.prefill or self.work.decode)


class Scheduler:
    """The requests of one engine, from submission to their last event. Used by one thread."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._queue = FairQueue()
        self._live: dict[int, Request] = {}
        self._running: dict[int, list[SequenceState]] = {}
        self._waits_for_memory = False
        self._events: list[tuple[Request, Event]] = []

    @property
    def requests(self) -> Sequence[Request]:
        """Those that have not ended."""
        return list(self._live.values())

    @property
    def waiting(self) -> int:
        """Sequences in the queue. May be read by any thread."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Sequences that have rows. May be read by any thread."""
        return sum(len(sequences) for sequences in list(self._running.values()))

    @property
    def versions(self) -> Sequence[int]:
        """Versions that sequences run on."""
        return list(self._running)

    def take_events(self) -> list[tuple[Request, Event]]:
        """What has happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    # Who runs --------------------------------------------------------------------------------------------------------

    def add(self, request: Request) -> None:
        """Queue the sequences of a request. One with a version has entered it already."""
        self._live[request.number] = request
        for sequence in request.sequences:
            self._queue.push(sequence)

    def cancel(self, request: Request) -> None:
        """Nobody waits for the answer any more. One that has ended may be cancelled too."""
        if request.number in self._live:
            self._withdraw(request)

    def fail(self, request: Request, failure: Failed) -> None:
        """End a request without an answer, unless it has ended."""
        if request.number in self._live:
            self._withdraw(request)
            self._emit(request, failure)

    def schedule(self, now: float) -> None:
        """End what is overdue at ``now`` (as `time.monotonic` counts), then give rows to those whose turn it is."""
        self._end_overdue(now)
        for request, failure in structured.failures(self._running.values()):
            self.fail(request, failure)
        self._waits_for_memory = False
        while (sequence := self._queue.pop(self._has_room)) is not None:
            self._place(sequence)

    def _end_overdue(self, now: float) -> None:
        """As `engine.inference.scheduling.deadlines` says."""
        versions = {request.version for request in self._live.values()}
        drained = {version for version in versions if version is not None and self._versions.is_overdue(version)}
        hopeless = None in versions and not self._versions.expects_one
        for request in self.requests:
            match disposition(request, now, drained, hopeless=hopeless):
                case Failed() as failure:
                    self.fail(request, failure)
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
        model = self._versions.serving if version is None else self._versions.get(version)
        if model is None or not model.rows.free or self._waits_for_memory:
            return False
        self._waits_for_memory = self._judge(model, sequence) == "wait"
        return not self._waits_for_memory

    def _judge(self, model: ServedModel, sequence: SequenceState) -> Admission:
        """Whether a sequence can begin on a version, by the memory that it may come to: see `admission`.

        Prompts that rows keep are forgotten as far as that is needed, those of other versions first; then versions go
        that nothing needs.
        """
        reuse = not sequence.request.params.reads_all
        while True:
            others = [other for other in self._versions.in_memory if other.version != model.version]
            models = [*others, model]
            own = model.rows.memory_for(sequence.prompt, sequence.end(model.context), reuse=reuse)
            verdict = admission.admit(
                own + sum(other.rows.memory_for((), 0, reuse=False) for other in others),
                self._versions.free_for_caches(model.version),
                kept=any(each.rows.keeps for each in models),
                running=any(each.rows.busy for each in models),
            )
            if verdict == "begin" or (verdict != "forget" and not self._versions.let_one_go()):
                return verdict
            if verdict != "forget":
                continue
            next(each for each in models if each.rows.keeps).rows.forget_oldest()

    def _place(self, sequence: SequenceState) -> None:
        """Bind the request if it is not bound, and give the sequence a row."""
        request = sequence.request
        if request.version is None:
            serving = self._versions.enter(None)
            if serving is None:  # it was replaced since `_has_room`
                self._queue.push_front(sequence)
                return
            request.version = serving.version
        model = self._versions.get(request.version)
        try:
            request.check_length(model.context)  # another version than the one at submission may be smaller
        except PromptTooLongError as error:
            self.fail(request, Failed("too_long", str(error)))
            return
        end = sequence.end(model.context)
        verdict = self._judge(model, sequence) if model.rows.free else "wait"
        if verdict == "wait":  # another version was committed since `_has_room`
            self._queue.push_front(sequence)
            return
        if verdict == "refuse":
            self.fail(request, Failed("no_memory", _no_memory(model, end)))
            return
        if not request.announced:
            request.announced = True
            self._emit(request, Bound(model.version, time.monotonic() - request.submitted_at))
        reuse = not request.params.reads_all
        sequence.row, sequence.computed = model.rows.take(sequence.prompt, end, reuse=reuse)
        sequence.cached_tokens = sequence.computed
        sequence.limit = end - len(sequence.prompt)
        self._running.setdefault(model.version, []).append(sequence)

    # What an iteration computes --------------------------------------------------------------------------------------

    def wait_for_mask(self) -> None:
        """Nothing can be computed now: wait a moment for what an answer with a structure may go on with."""
        structured.wait(self._running.values())

    def next_iteration(self, version: int) -> Iteration:
        """The next step of every sequence that runs on a version."""
        model, sequences = self._versions.get(version), self._running[version]
        everyone = itertools.chain.from_iterable(self._running.values())
        answers = sum(not each.prefilling and each.scoring is None for each in everyone)
        now = plan(structured.ready(sequences), model.prompt_step, prefill_budget(answers))
        reading = [sequence for sequence, _ in now.prefill]
        sharing: list[list[SequenceState]] = [[] for _ in reading]
        choosing: list[SequenceState] = []
        only_read: list[SequenceState] = []
        after: list[int] = []
        for place, (sequence, length) in enumerate(now.prefill):
            if not sequence.prefilling or sequence.computed + length < len(sequence.prompt):
                continue
            if sequence.scoring is not None and not sequence.scoring.first_tokens:
                continue  # it reads its prompt again, behind which it reads a candidate
            sharing[place] = [other for other in sequences if other.waits_for(sequence)]
            ready = [sequence, *sharing[place]]
            if sequence.limit > 0:
                choosing += ready
                after += [place] * len(ready)
            else:
                only_read += ready
        choosing += now.decode
        work = ModelInput(
            [_prefill(sequence, length) for sequence, length in now.prefill],
            [TokenSpan(_row(each), each.computed, each.output[-1:]) for each in now.decode],
            [_choice(sequence) for sequence in choosing],
            after,
        )
        return Iteration(model, sequences, work, reading, sharing, choosing, only_read)

    # What it brought about -------------------------------------------------------------------------------------------

    def settle(self, iteration: Iteration, output: ModelOutput) -> None:
        """Take in what an iteration computed: say it, and end what ends."""
        model, work = iteration.model, iteration.work
        for place, sequence in enumerate(iteration.reading):
            span = work.prefill[place].span
            if not sequence.prefilling:
                self._take_candidate(model, sequence, output.scores[place])
                continue
            sequence.computed += len(span.tokens)
            model.rows.wrote(span.row, span.tokens)
            if work.prefill[place].targets:
                self._emit(sequence.request, PromptScored(sequence.index, output.scores[place]))
            if work.prefill[place].embed:
                self._emit(sequence.request, PromptSummed(sequence.index, output.sums[place]))
            for other in iteration.sharing[place]:
                model.rows.share(span.row, _row(other), sequence.computed)
                other.computed = other.cached_tokens = sequence.computed
        for sequence in iteration.choosing[len(work.after) :]:
            sequence.computed += 1
        for sequence, chosen in zip(iteration.choosing, output.chosen, strict=True):
            if chosen is None:
                self.fail(sequence.request, Failed("internal", "the model computed scores that are not numbers"))
            elif sequence.scoring is not None:
                sequence.scoring.begin(chosen.scored)
                self._finish_scored(sequence)
            else:
                self._append(model, sequence, chosen)
        for sequence in iteration.only_read:
            self._finish(sequence, "length")

    def _take_candidate(self, model: ServedModel, sequence: SequenceState, scored: Sequence[Scored]) -> None:
        """Add what was read of a candidate. A row that cannot go back reads the prompt again for the next one."""
        if sequence.scoring is not None and sequence.scoring.go_on(scored):
            sequence.computed = model.rows.after_branch(_row(sequence), len(sequence.prompt))
            self._finish_scored(sequence)

    def _finish_scored(self, sequence: SequenceState) -> None:
        """Say how probable the candidates are, once all are scored."""
        scoring, request = sequence.scoring, sequence.request
        if scoring is None or not scoring.is_done or request.number not in self._live:
            return
        if not all(map(math.isfinite, scoring.logprobs)):
            self.fail(request, Failed("internal", "the model computed scores that are not numbers"))
            return
        self._emit(request, CandidatesScored(sequence.index, tuple(scoring.logprobs)))
        self._finish(sequence, "length")

    def abort(self, iteration: Iteration, failure: Failed) -> None:
        """Fail every request of an iteration that could not be computed."""
        for request in {sequence.request.number: sequence.request for sequence in iteration.sequences}.values():
            self.fail(request, failure)

    def _append(self, model: ServedModel, sequence: SequenceState, chosen: Chosen) -> None:
        """Add a token to its sequence, show what may be shown, and end the sequence where it ends."""
        if sequence.request.number not in self._live:
            return  # another sequence of the same request has failed in this iteration
        text, ended_by = sequence.append(chosen.token, model.tokenizer.decode_bytes([chosen.token]))
        if text or chosen.scored:
            self._emit(sequence.request, Delta(sequence.index, text, chosen.scored, len(sequence.output)))
        if ended_by is not None:
            self._finish(sequence, ended_by)

    def _finish(self, sequence: SequenceState, ended_by: EndedBy) -> None:
        request = sequence.request
        counted = len(sequence.output), sequence.cached_tokens
        self._emit(request, Finished(sequence.index, ended_by, *counted, sequence.text.stop))
        self._release(sequence)
        request.open -= 1
        if not request.open:
            self._forget(request)

    def _withdraw(self, request: Request) -> None:
        """Take a live request out of queue and rows."""
        self._queue.remove(request)
        for sequence in request.sequences:
            self._release(sequence)
        self._forget(request)

    def _forget(self, request: Request) -> None:
        del self._live[request.number]
        if request.version is not None:
            self._versions.leave(request.version)

    def _release(self, sequence: SequenceState) -> None:
        """Give its row back."""
        version = sequence.request.version
        if sequence.row is None or version is None:
            return
        self._versions.get(version).rows.give_back(sequence.row)
        sequence.row = None
        running = [other for other in self._running[version] if other is not sequence]
        if running:
            self._running[version] = running
        else:
            del self._running[version]

    def _emit(self, request: Request, event: Event) -> None:
        request.sent = request.sent or (request.streamed and not isinstance(event, Bound))
        self._events.append((request, event))


def _no_memory(model: ServedModel, end: int) -> str:
    return (
        f"prompt and answer may take {end} tokens, which need {model.rows.bytes_for(end) >> 20} MiB of memory that is "
        "not free now: ask for a shorter answer (max_tokens), or try again later"
    )


def _row(sequence: SequenceState) -> int:
    if sequence.row is None:
        raise ValueError("a sequence without a row is not running")
    return sequence.row


def _prefill(sequence: SequenceState, length: int) -> Prefill:
    """The next chunk of a prompt."""
    if not sequence.prefilling and sequence.scoring is not None:
        offset, tokens, targets = sequence.scoring.branch(length)
        return Prefill(TokenSpan(_row(sequence), len(sequence.prompt) + offset, tokens), targets)
    start, params = sequence.computed, sequence.request.params
    span = TokenSpan(_row(sequence), start, sequence.prompt[start : start + length])
    targets = sequence.prompt[start + 1 : start + length + 1] if params.score_prompt else ()
    return Prefill(span, targets, params.sampling.top_logprobs or 0, params.sum_hidden)


def _choice(sequence: SequenceState) -> Choice:
    """The next token of a sequence."""
    params = sequence.request.params
    allowed = None if sequence.mask is None else sequence.mask.allowed
    return Choice(
        params.sampling,
        sequence.counts,
        0.0 if params.sampling.greedy else sequence.draws.random(),
        sequence.prompt,
        params.ending_ids if sequence.below_minimum and allowed is None else (),  # a structure ends where it must
        allowed,
        () if sequence.scoring is None else sequence.scoring.first_tokens,
    )
