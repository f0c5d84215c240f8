"""A worker of RQ that takes messages and runs nothing that they name. A boundary module: RQ is an extra.

RQ would import the function that a job names, in a process forked from this one, and count its retries and its time.
Here a job is a message: it is verified before anything is looked at by name, and what is to be done is done in this
process, whose trainer is a process of its own, as thord's is. RQ sees a worker that is busy, and a job that ends.

With Redis away, work goes on: only the signs of life for RQ are missing until it is back.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from rq.exceptions import DeserializationError, StopRequested
from rq.serializers import JSONSerializer
from rq.worker import SimpleWorker, WorkerStatus

from daemon import log
from daemon.supervisor.remote.message import RefusedMessageError, RunMessage, verified

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from redis import Redis
    from rq import Queue
    from rq.executions import Execution
    from rq.job import Job

_BEAT_SECONDS = 15
_WORKER_TTL_SECONDS = 60
_logger = log.get(__name__)


class HostWorker(SimpleWorker):
    """Takes messages from queues.

    Args:
        queues: their names.
        secret: what their messages are signed with.
        connection: to Redis.
        name: of the worker, as RQ lists it.
        do: does a job to its end.
        stop: has what is being done end early; called by a signal.
    """

    def __init__(
        self,
        queues: list[str],
        secret: bytes,
        connection: Redis,
        name: str,
        do: Callable[[RunMessage], None],
        stop: Callable[[], None],
    ) -> None:
        super().__init__(
            queues,
            name=name,
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=_WORKER_TTL_SECONDS,
            job_monitoring_interval=_BEAT_SECONDS,
        )
        self._secret = secret
        self._do = do
        self._stop = stop
        self._doing = False

    @property
    def stop_requested(self) -> bool:
        """Whether a signal asked this worker to end."""
        return self._stop_requested

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Do what a message asks for, or refuse it and say so."""
        execution = self.prepare_execution(job)
        self.prepare_job_execution(job, remove_from_intermediate_queue=True)
        try:
            message = verified(job.func_name or "", job.args or (), queue.name, self._secret)
        except (RefusedMessageError, DeserializationError, AttributeError, TypeError, ValueError) as error:
            reason = str(error) if isinstance(error, RefusedMessageError) else "it cannot be read"
            _logger.error("a job in the queue is refused", queue=queue.name, rq_job=job.id, why=reason)  # noqa: TRY400
            self.handle_job_failure(job, queue, exc_string=f"refused: {reason}", execution=execution)
            return
        ended = threading.Event()
        beats = threading.Thread(target=self._keep_beating, args=(job, execution, ended), name="beats", daemon=True)
        beats.start()
        self._doing = True
        try:
            self._do(message)
        finally:
            self._doing = False
            ended.set()
            beats.join()
        with contextlib.suppress(RedisError):  # then the message is found again, and the store says that it is old
            self._finalize_success(job, queue, execution, None)
            self.set_state(WorkerStatus.IDLE)

    def _keep_beating(self, job: Job, execution: Execution, ended: threading.Event) -> None:
        while not ended.wait(_BEAT_SECONDS):
            with contextlib.suppress(RedisError):
                self.maintain_heartbeats(job, execution)

    def _install_signal_handlers(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked_to_stop)

    def _asked_to_stop(self, _: int, __: FrameType | None) -> None:
        """Without a word to Redis, which may be away."""
        self._stop_requested = True
        if not self._doing:
            raise StopRequested
        self._stop()


def quiet() -> None:
    """Have RQ's own log only say what is wrong: what is done is in thord's."""
    for name in ("rq.worker", "rq.job"):
        logging.getLogger(name).setLevel(logging.WARNING)
