"""``thord worker``: its arguments, its home, and the loop around the queue."""

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from control import paths as places
from control.paths import Paths
from daemon import log
from daemon.settings.load import Loaded, SettingsError, load
from daemon.settings.sections import Tables
from daemon.supervisor import home, sockets
from daemon.supervisor.integrations import redis_client
from daemon.supervisor.integrations.redis_client import RedisUnavailableError
from daemon.supervisor.lock import Lock
from daemon.supervisor.processes.pool import WorkerPool
from daemon.supervisor.processes.roles import ROLES
from daemon.supervisor.remote.host.attempt import Attempt
from daemon.supervisor.remote.host.thord_client import RefusedError, StaleError, ThordClient, UnreachableError
from daemon.supervisor.remote.host.transfer import BySharedFolder, OverHttp, Way
from daemon.supervisor.remote.message import RunMessage, SecretError, read_secret
from daemon.supervisor.remote.work import Claimed
from daemon.supervisor.start_error import StartError
from engine import disk

_LONGEST_PAUSE = 15.0
_GRACE_SECONDS = 5.0
_DESCRIPTION = """\
Work for a thord on another host: take jobs from a queue in Redis, train here, and send back what came of it.

thord.toml of this host says where Redis and that thord are ([integrations.redis], [worker]).
"""
_logger = log.get(__name__)


def main(arguments: Sequence[str]) -> int:
    """Work until told to stop; the exit status: 0 stopped as asked, 1 failed, 2 bad configuration or usage."""
    given = _parser().parse_args(arguments)
    paths = places.find(given.home)
    try:
        os.umask(home.UMASK)
        home.prepare(paths)
        loaded = load(paths, None, given.settings)
        with contextlib.closing(Lock(paths)):
            log.configure("worker", paths.log("worker"), loaded.tables.supervision, console=True)
            _Host(paths, loaded).work([given.queue], burst=given.burst)
    except SettingsError as error:
        print(f"thord worker: {error}", file=sys.stderr)
        return 2
    except (StartError, SecretError, RedisUnavailableError) as error:
        print(f"thord worker: {error}", file=sys.stderr)
        return 1
    return 0


class _Host:
    """This host, with a home for what it works on."""

    def __init__(self, paths: Paths, loaded: Loaded) -> None:
        self._paths = paths
        self._tables = loaded.tables
        self._redis = loaded.tables.integrations.redis
        if self._redis.secret_file is None:
            raise StartError("set integrations.redis.secret_file: without it no job's signature can be checked")
        self._secret = read_secret(Path(self._redis.secret_file))
        self._thord = ThordClient(loaded.tables.worker)
        self._name = loaded.tables.worker.name or socket.gethostname()
        self._attempt: tuple[asyncio.AbstractEventLoop, Attempt] | None = None
        self._stop_asked = False

    def work(self, queues: list[str], *, burst: bool) -> None:
        """Take messages until a signal comes; with ``burst`` until the queues are empty."""
        redis = redis_client.connect(self._redis)
        from redis.exceptions import RedisError

        from daemon.supervisor.remote.host.rq_worker import HostWorker, quiet

        quiet()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._leave())
        pause = 1.0
        _logger.info("worker starts", queues=queues, thord=self._tables.worker.url, name=self._name)
        while not self._stop_asked:
            began = time.monotonic()
            try:
                unique = f"{self._name}.{os.getpid()}.{secrets.token_hex(4)}"
                worker = HostWorker(queues, self._secret, redis, unique, self._do, self._leave)
                worker.work(burst=burst, logging_level="WARNING")
                if burst or worker.stop_requested:
                    return
            except RedisError as error:
                _logger.warning("Redis is away", why=str(error))
            pause = 1.0 if time.monotonic() - began > _LONGEST_PAUSE else min(2 * pause, _LONGEST_PAUSE)
            time.sleep(pause)

    def _leave(self) -> None:
        """A signal came: let the trainer write a checkpoint, then leave."""
        self._stop_asked = True
        if self._attempt is not None:
            loop, attempt = self._attempt
            loop.call_soon_threadsafe(attempt.stop)

    def _do(self, message: RunMessage) -> None:
        """Claim a job and do it, where it is still to be done."""
        try:
            claimed = self._thord.claim(message.id, message.attempt, self._name, f"worker {self._name}", os.getpid())
        except StaleError as error:
            _logger.info("somebody else has the job", job=message.id, attempt=message.attempt, why=str(error))
            return
        except (UnreachableError, RefusedError) as error:  # thord offers the job again where it is still queued
            _logger.error("the job was not claimed", job=message.id, why=str(error))  # noqa: TRY400
            return
        with log.bound(job=claimed.job, attempt=claimed.attempt, run_id=claimed.run_id):
            _logger.info("attempt begins")
            _logger.info("attempt ended", outcome=asyncio.run(self._carry_out(claimed)))

    async def _carry_out(self, claimed: Claimed) -> str:
        stopping = threading.Event()
        pool = WorkerPool(self._paths, self._tables, roles={"trainer": ROLES["trainer"]})
        channel = sockets.bind_channel(self._paths)
        with contextlib.closing(channel):
            await pool.start(channel)
            attempt = Attempt(
                claimed, self._thord, self._way(claimed, stopping), pool, self._paths, self._apply(pool), stopping
            )
            self._attempt = asyncio.get_running_loop(), attempt
            if self._stop_asked:
                attempt.stop()
            try:
                return await attempt.carry_out()
            finally:
                self._attempt = None
                await pool.stop(_GRACE_SECONDS)

    def _way(self, claimed: Claimed, stopping: threading.Event) -> Way:
        folder = self._tables.worker.shared_folder
        if folder is None:
            return OverHttp(self._thord, claimed.job, claimed.attempt, stopping)
        return BySharedFolder(Path(folder).expanduser(), claimed.job, claimed.attempt, stopping)

    def _apply(self, pool: WorkerPool) -> Callable[[Tables], None]:
        def apply(tables: Tables) -> None:
            disk.write_private(self._paths.settings_file, tables.model_dump_json())
            pool.reload(tables)

        return apply


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "thord worker", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-H", "--home", metavar="DIR", help="keep everything under DIR")
    parser.add_argument("--queue", metavar="NAME", default="trainer", help="queue to take jobs from")
    parser.add_argument("--burst", action="store_true", help="end when the queue is empty")
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change one setting"
    )
    return parser
