"""Begins to offer jobs to other hosts, where Redis is used."""

from pathlib import Path

from daemon.settings.integrations import RedisSettings
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.remote.dispatcher import Dispatcher
from daemon.supervisor.remote.message import read_secret
from daemon.supervisor.remote.rq_queue import RqQueues
from daemon.supervisor.store.degradations import Degradations
from daemon.supervisor.store.store import Store


def begin(settings: RedisSettings, store: Store, jobs: Jobs, degradations: Degradations) -> Dispatcher | None:
    """What offers jobs to other hosts and reads their cancellations, begun; null where Redis is not used.

    Raises:
        SecretError: the file of the queue's secret cannot be read, or is no secret.
    """
    if not settings.enabled:
        return None
    secret = b"" if settings.secret_file is None else read_secret(Path(settings.secret_file))
    made = Dispatcher(RqQueues(settings, secret), store, jobs, degradations, offers=bool(secret))
    made.start()
    return made
