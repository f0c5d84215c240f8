"""One attempt at a job on this host: fetch, train, send back, and be heard all the while.

| what happens                                  | what becomes of the attempt here                                 |
| --------------------------------------------- | ---------------------------------------------------------------- |
| the trainer publishes the version             | sent, then ``completed``                                         |
| the trainer says that it cannot               | ``failed``; another attempt may help or not, as the trainer says |
| the trainer dies                              | ``failed``, to be tried again                                    |
| the job was asked to end                      | the trainer writes a checkpoint; ``cancelled``                   |
| this host is told to stop                     | the trainer writes a checkpoint; ``stopped``                     |
| thord says that the attempt is not ours       | the trainer is killed; nothing is said any more                  |
| thord is silent for three quarters of a lease | the same: at the end of the lease another host may begin         |
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

from pydantic import JsonValue, ValidationError

from control.paths import Paths
from daemon import background, log
from daemon.messages import FromWorker, PhaseProgress, Train, Trained, TrainProgress
from daemon.settings.sections import Tables
from daemon.supervisor.processes.ports import A, CommandFailedError, OnMessage, WorkerLostError
from daemon.supervisor.remote.host import transfer
from daemon.supervisor.remote.host.mirror import Mirror
from daemon.supervisor.remote.host.thord_client import RefusedError, StaleError, ThordClient, UnreachableError
from daemon.supervisor.remote.host.transfer import StoppedError, TransferError, Way
from daemon.supervisor.remote.work import Claimed, Finished, HostState

BEAT_SECONDS = 10.0
_SILENCE = 0.75
"""Part of the lease."""
_PROGRESS_SECONDS = 1.0
"""The shortest time between two beats, which carry the progress."""
_MOST_SEND_SECONDS = 30.0
"""Between two looks at what the run has written; half a lease where that is shorter."""
_AGAIN_SECONDS = 2.0
_KILL_SECONDS = 0.01
_logger = log.get(__name__)
T = TypeVar("T")

Why = Literal["cancelled", "stopped", "stale", "silent"]
_OURS_NO_MORE = frozenset[Why]({"stale", "silent"})


class Trainer(Protocol):
    """Where the run is computed. `daemon.supervisor.processes.pool.WorkerPool` is one."""

    async def run(self, worker: Literal["trainer"], command: Train, expected: type[A], on_message: OnMessage) -> A:
        """Carry out one command; cancelling the wait stops the trainer, a second time kills it."""
        ...


class Attempt:
    """Carries out an attempt that was claimed.

    Args:
        thord: whose job it is.
        way: how files come and go.
        trainer: computes.
        apply: takes the settings of thord for the trainer of this host.
        stopping: set where transfers are to stop.
    """

    def __init__(
        self,
        claimed: Claimed,
        thord: ThordClient,
        way: Way,
        trainer: Trainer,
        paths: Paths,
        apply: Callable[[Tables], None],
        stopping: threading.Event,
    ) -> None:
        self._claimed = claimed
        self._thord = thord
        self._way = way
        self._trainer = trainer
        self._paths = paths
        self._apply = apply
        self._stopping = stopping
        self._run = transfer.local(paths.state, claimed.run)
        log_file = paths.job_log(claimed.job)
        log_file.unlink(missing_ok=True)
        self._mirror = Mirror(thord, way, claimed.job, claimed.attempt, paths.state, self._run, log_file)
        self._progress: dict[str, JsonValue] | None = None
        self._why: Why | None = None
        self._fetching = False
        self._news = asyncio.Event()
        self._work: asyncio.Task[Finished] | None = None

    async def carry_out(self) -> str:
        """Work to the end, however it comes; what came of it, in a word."""
        self._work = asyncio.create_task(self._do(), name="work of the attempt")
        watch = background.begin(self._watch(), "beats of the attempt", self._watch_failed)
        try:
            finished = await self._ended(self._work)
            state = None if finished is None else await self._told(finished)
            if state is None:
                _logger.warning("the attempt is not ours any more", job=self._claimed.job, why=self._why)
                return "given up"
            return state
        finally:
            watch.cancel()

    def stop(self) -> None:
        """Have the trainer write a checkpoint and end: this host goes down."""
        self._end("stopped")

    # The work --------------------------------------------------------------------------------------------------------

    async def _do(self) -> Finished:
        claimed, state = self._claimed, self._paths.state
        self._fetching = True
        files = await self._insist(lambda: self._thord.files(claimed.job, claimed.attempt))
        await asyncio.to_thread(transfer.fetch, self._way, files, state)
        await asyncio.to_thread(self._mirror.arrived)
        self._fetching = False
        settings = Tables.model_validate_json(json.dumps(claimed.settings))
        training = settings.training.model_copy(update={"checkpoint_folder": ""})
        self._apply(settings.model_copy(update={"training": training}))
        command = Train.model_validate_json(json.dumps(claimed.command))
        if claimed.tokenizer is not None:
            folder = str(transfer.local(state, claimed.tokenizer))
            command = command.model_copy(update={"tokenizer": {**command.tokenizer, "folder": folder}})
        mirror = background.begin(self._keep_sending(), "files of the run")
        try:
            await self._trainer.run("trainer", command, Trained, self._heard)
        finally:
            mirror.cancel()
        return await self._result()

    async def _ended(self, work: asyncio.Task[Finished]) -> Finished | None:
        """What is to be said of the end of the work; null where it is nobody's business any more."""
        try:
            return await work
        except asyncio.CancelledError:
            asked = self._asked()
            return None if asked is None else await self._checkpointed(asked)
        except CommandFailedError as error:
            cause = "out of memory" if error.out_of_memory else "raised"
            return await self._checkpointed(self._failed(cause, str(error), retry=error.retry))
        except WorkerLostError as error:
            return await self._checkpointed(self._failed(error.cause, str(error), retry=True))
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"]))
            why = f"this host has another release of thord than the one it works for: {place}: {fault['msg']}"
            return self._failed("raised", why, retry=True)
        except (TransferError, RefusedError, UnreachableError, OSError) as error:
            return self._failed("raised", f"{self._claimed.run_id} on this host: {error}", retry=True)
        except StaleError:
            self._why = "stale"
            return None
        except StoppedError:
            return self._asked()
        except Exception as error:
            _logger.exception("an attempt failed in a way that nobody expected", job=self._claimed.job)
            return self._failed("raised", f"on this host: {error!r}", retry=True)

    async def _result(self) -> Finished:
        """Send what is left of the run, and the version."""
        await self._send_run()
        folder = transfer.local(self._paths.state, self._claimed.version)

        def send_version() -> Finished:
            files = sorted(file for file in folder.rglob("*") if file.is_file())
            found = [transfer.described(self._paths.state, file) for file in files]
            for file in found:
                self._way.send(file, transfer.local(self._paths.state, file.path))
            return Finished(
                attempt=self._claimed.attempt,
                state="completed",
                cause="completed",
                progress=self._progress,
                files=tuple(found),
            )

        return await self._insist(send_version)

    async def _checkpointed(self, finished: Finished) -> Finished:
        """The same, after what the trainer wrote has been sent, so that the next attempt goes on from there."""
        with contextlib.suppress(StaleError, StoppedError, RefusedError, OSError):
            await self._send_run()
        return finished

    def _asked(self) -> Finished | None:
        """The end that somebody asked for; null where the attempt is nobody's business any more."""
        if self._why == "cancelled" or self._why == "stopped":
            return self._failed(self._why, state=self._why)
        return None

    def _failed(
        self,
        cause: str,
        error: str | None = None,
        *,
        retry: bool = False,
        state: Literal["failed", "cancelled", "stopped"] = "failed",
    ) -> Finished:
        return Finished(
            attempt=self._claimed.attempt,
            state=state,
            cause=cause,
            error=error,
            retry=retry,
            progress=self._progress,
        )

    async def _told(self, finished: Finished) -> HostState | None:
        """How the attempt ended, as thord took it, asked again while it is silent; null where it is not ours any more.

        What thord refuses, as a version that arrived damaged, ends the attempt as failed.
        """
        try:
            await self._insist(lambda: self._thord.finish(self._claimed.job, finished))
        except StaleError:
            return None
        except RefusedError as error:
            if finished.state != "completed":
                return None
            return await self._told(self._failed("raised", f"thord does not take what was sent: {error}", retry=True))
        return finished.state

    # Files of the run ------------------------------------------------------------------------------------------------

    async def _keep_sending(self) -> None:
        while True:
            await asyncio.sleep(min(_MOST_SEND_SECONDS, self._claimed.lease_seconds / 2))
            try:
                await asyncio.to_thread(self._mirror.send)
            except (UnreachableError, StaleError, StoppedError, RefusedError, OSError) as error:
                _logger.warning("files of the run were not sent; they are next time", why=str(error))

    async def _send_run(self) -> None:
        await self._insist(self._mirror.send)

    # Being heard -----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Beat, and look at what comes back; end the work where it is not ours any more."""
        lease = self._claimed.lease_seconds
        every = min(BEAT_SECONDS, lease / 6)
        heard_at = time.monotonic()
        while True:
            asked_at = time.monotonic()
            try:
                async with asyncio.timeout(heard_at + _SILENCE * lease - asked_at):
                    cancel = await asyncio.to_thread(
                        self._thord.beat, self._claimed.job, self._claimed.attempt, self._progress
                    )
            except StaleError:
                self._end("stale")
                return
            except TimeoutError:
                _logger.error("thord is silent; the trainer is ended")  # noqa: TRY400
                self._end("silent")
                return
            except (UnreachableError, RefusedError) as error:
                _logger.warning("thord did not take a beat", why=str(error))
                await asyncio.sleep(min(every, _AGAIN_SECONDS))
            else:
                heard_at = asked_at
                if cancel:
                    self._end("cancelled")
                await self._until_news(every)

    def _watch_failed(self, error: BaseException) -> None:
        """Without beats another host may begin, so the work ends here."""
        _logger.error("the beats of the attempt failed", job=self._claimed.job, exc_info=error)
        self._end("silent")

    async def _until_news(self, seconds: float) -> None:
        """Wait so long, or until there is new progress to tell; not less than a moment."""
        moment = min(_PROGRESS_SECONDS, seconds)
        await asyncio.sleep(moment)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds - moment):
                await self._news.wait()
        self._news.clear()

    def _end(self, why: Why) -> None:
        """End the work: the trainer is asked to checkpoint, or killed where the attempt is not ours any more."""
        if self._work is None or self._work.done() or self._why in {why, *_OURS_NO_MORE}:
            return
        self._why = why
        if why in _OURS_NO_MORE or self._fetching:
            self._stopping.set()
        self._work.cancel()
        if why in _OURS_NO_MORE:
            asyncio.get_running_loop().call_later(_KILL_SECONDS, self._work.cancel)  # again: do not wait for it

    async def _insist(self, call: Callable[[], T]) -> T:
        """Do it, again and again while thord is silent; the beats end it where that takes too long.

        Raises:
            StaleError: the attempt is not ours any more.
        """
        while True:
            try:
                return await asyncio.to_thread(call)
            except UnreachableError:
                if self._why in _OURS_NO_MORE:
                    raise StaleError("thord is silent") from None
                await asyncio.sleep(_AGAIN_SECONDS)

    def _heard(self, message: FromWorker) -> None:
        if isinstance(message, TrainProgress):
            figures = message.model_dump(mode="json", exclude={"kind", "cycle", "job", "processes"}, exclude_none=True)
            self._progress = {**(self._progress or {}), **figures, "activity": "training"}
        elif isinstance(message, PhaseProgress):
            self._progress = {**(self._progress or {}), "activity": message.activity}
        else:
            return
        self._news.set()
