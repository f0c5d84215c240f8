"""Jobs in RQ, and the keys of runs beside them. A boundary module: redis-py and RQ are an extra, imported when used.

RQ has no say in what becomes of a job: its time limit is off, its retries are none, its results are not kept.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

from daemon import log
from daemon.settings.integrations import RedisSettings
from daemon.supervisor.integrations import redis_client
from daemon.supervisor.integrations.redis_client import RedisUnavailableError
from daemon.supervisor.remote.message import FUNCTION, RunMessage, signed

if TYPE_CHECKING:
    from redis import Redis
    from rq import Queue
    from rq.job import Job

_STUCK_SECONDS = 30.0
"""A job that nobody has claimed for so long, although a worker took its message, is put into the queue again."""
_KEPT_SECONDS = 86_400
_logger = log.get(__name__)


class RqQueues:
    """The queues of RQ that hosts take jobs from. For one thread.

    Args:
        settings: where Redis is.
        secret: signs the messages.
    """

    def __init__(self, settings: RedisSettings, secret: bytes) -> None:
        self._settings = settings
        self._secret = secret
        self._mark = hashlib.sha256(secret).hexdigest()[:8]
        self._client: Redis | None = None
        self._queued: dict[str, tuple[str, RunMessage]] = {}
        self._taken_at: dict[str, float] = {}

    def sync(self, wanted: Mapping[RunMessage, str]) -> None:
        """Have exactly these messages in their queues: what is missing is put there, what is settled taken out.

        Raises:
            RedisUnavailableError: nobody knows what is there now; do it again.
        """
        from redis import RedisError

        try:
            names = {self._name(message): (queue, message) for message, queue in wanted.items()}
            for name, (queue, message) in names.items():
                self._put(name, queue, message)
            for name in self._queued.keys() - names.keys():
                self._take_out(name)
            self._queued = names
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(str(error)) from error

    def cancelled(self, runs: Sequence[str]) -> list[str]:
        """Those of these runs for which somebody set ``runs:ID:cancelled``.

        Raises:
            RedisUnavailableError: nobody knows.
        """
        from redis import RedisError

        if not runs:
            return []
        try:
            values = self._connected().mget([f"runs:{run}:cancelled" for run in runs])
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(str(error)) from error
        return [run for run, value in zip(runs, values, strict=True) if value == b"1"]

    def tell(self, run: str, status: str, heartbeat: Mapping[str, JsonValue] | None, *, ended: bool) -> None:
        """Write the documented keys of a run.

        Raises:
            RedisUnavailableError: they were not written, or nobody knows.
        """
        from redis import RedisError

        try:
            with self._connected().pipeline(transaction=True) as pipeline:
                for key in (f"runs:status:{run}", f"runs:{run}:status"):
                    pipeline.set(key, status, ex=_KEPT_SECONDS)
                if heartbeat is not None:
                    pipeline.set(f"runs:hb:{run}", json.dumps(heartbeat), ex=_KEPT_SECONDS)
                if ended:
                    pipeline.delete(f"runs:{run}:cancelled")
                pipeline.execute()
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(str(error)) from error

    def _put(self, name: str, queue: str, message: RunMessage) -> None:
        from rq.exceptions import DuplicateJobError
        from rq.job import JobStatus

        if (job := self._found(name)) is not None:
            if job.get_status() == JobStatus.QUEUED and self._queue(queue).get_job_position(name) is not None:
                self._taken_at.pop(name, None)
                return
            if time.monotonic() - self._taken_at.setdefault(name, time.monotonic()) < _STUCK_SECONDS:
                return
            job.delete()
        self._taken_at.pop(name, None)
        try:
            self._queue(queue).enqueue_call(
                FUNCTION,
                args=(signed(message, queue, self._secret),),
                timeout=-1,
                result_ttl=0,
                failure_ttl=_KEPT_SECONDS,
                description=f"job {message.id}, attempt {message.attempt}",
                job_id=name,
                unique=True,
            )
        except DuplicateJobError:
            return
        _logger.info("job offered to other hosts", job=message.id, attempt=message.attempt, queue=queue)

    def _take_out(self, name: str) -> None:
        from rq.job import JobStatus

        self._taken_at.pop(name, None)
        job = self._found(name)
        if job is not None and job.get_status() == JobStatus.QUEUED:
            job.delete()

    def _found(self, name: str) -> Job | None:
        """A job of RQ; null where there is none. What is no job under its name is removed: anybody may have put it."""
        from redis import RedisError
        from rq.exceptions import NoSuchJobError
        from rq.job import Job
        from rq.serializers import JSONSerializer

        try:
            job = Job.fetch(name, connection=self._connected(), serializer=JSONSerializer)
            job.get_status()
        except NoSuchJobError:
            return None
        except Exception as error:
            if isinstance(error, RedisError | OSError) and "WRONGTYPE" not in str(error):
                raise
            _logger.warning("what is in Redis under the name of a job is none", rq_job=name, why=repr(error))
            self._connected().delete(Job.key_for(name))
            return None
        return job

    def _name(self, message: RunMessage) -> str:
        """What RQ calls it: the same message has the same name, and that of another thord another."""
        return f"thord-{self._mark}-{message.id}-{message.attempt}"

    def _queue(self, name: str) -> Queue:
        from rq import Queue
        from rq.serializers import JSONSerializer

        return Queue(name, connection=self._connected(), serializer=JSONSerializer)

    def _connected(self) -> Redis:
        if self._client is None:
            self._client = redis_client.connect(self._settings)
        return self._client
