"""Redis has what the store says, whatever happens to it, and other programs read and cancel runs by its keys."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.job import JobState
from daemon.settings.integrations import RedisSettings
from daemon.settings.jobs import JobSettings
from daemon.supervisor.jobs.endings import Report
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.remote.dispatcher import Dispatcher
from daemon.supervisor.remote.message import RunMessage, verified
from daemon.supervisor.remote.rq_queue import RqQueues
from daemon.supervisor.store.degradations import Degradations
from daemon.supervisor.store.job_records import NewJob
from daemon.supervisor.store.store import Store
from tests.redis_server import NEEDS_REDIS, RedisServer, redis_server

pytestmark = [NEEDS_REDIS, pytest.mark.anyio]
SECRET = b"0123456789abcdef"


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[tuple[Store, Jobs]]:
    store = await Store.open(tmp_path / "thord.db", tmp_path)
    made = Jobs(store, JobSettings, Degradations(first_pause=0.01), host="here")
    await made.recover()
    yield store, made
    await made.close()
    await store.close()


@contextlib.asynccontextmanager
async def dispatching(server: RedisServer, store: Store, jobs: Jobs) -> AsyncIterator[Degradations]:
    degradations = Degradations(first_pause=0.01)
    queues = RqQueues(RedisSettings(url=server.url), SECRET)
    it = Dispatcher(queues, store, jobs, degradations, offers=True, seconds=0.02)
    it.start()
    try:
        yield degradations
    finally:
        await it.close()


def asked(run: str, queue: str = "trainer") -> NewJob:
    return NewJob.model_validate(
        {
            "kind": "train",
            "run_id": run,
            "queue": queue,
            "owner": "uid 0",
            "retries": 1,
            "retry_interval_seconds": 0.0,
            "time_limit_seconds": 60.0,
        }
    )


def offered(server: RedisServer, queue: str = "trainer") -> list[RunMessage]:
    """The messages in a queue, each as a worker would read it."""
    import redis
    from rq import Queue
    from rq.serializers import JSONSerializer

    with redis.Redis.from_url(server.url) as client:
        found = Queue(queue, connection=client, serializer=JSONSerializer).get_jobs()
        assert all((job.timeout, job.result_ttl, job.retries_left) == (-1, 0, None) for job in found)
        return [verified(job.func_name, job.args, queue, SECRET) for job in found]


async def until(server: RedisServer, *messages: tuple[int, int], queue: str = "trainer") -> None:
    wanted = [RunMessage(*message) for message in messages]
    while await asyncio.to_thread(offered, server, queue) != wanted:
        await asyncio.sleep(0.005)


async def test_queued_jobs_are_offered_and_claimed_ones_withdrawn(jobs: tuple[Store, Jobs], tmp_path: Path) -> None:
    store, made = jobs
    with redis_server(tmp_path) as server:
        async with dispatching(server, store, made):
            await made.submit(asked("one"))
            await made.submit(asked("two", "other"))
            await until(server, (1, 1))
            await until(server, (2, 1), queue="other")
            _, attempt = await made.claim(1, host="there", worker="w", pid=1)
            await until(server)
            await made.finish(1, attempt.number, Report("failed", "lost", "gone", retry=True))
            await until(server, (1, 2))


async def test_a_redis_that_came_back_empty_gets_everything_again(jobs: tuple[Store, Jobs], tmp_path: Path) -> None:
    store, made = jobs
    with redis_server(tmp_path) as server:
        async with dispatching(server, store, made) as degradations:
            await made.submit(asked("one"))
            await until(server, (1, 1))
            server.kill()
            await made.submit(asked("two"))
            while not degradations.reasons():
                await asyncio.sleep(0.005)
            server.start()
            await until(server, (1, 1), (2, 1))
            while degradations.reasons():
                await asyncio.sleep(0.005)


async def test_other_programs_read_the_keys_of_a_run_and_cancel_it(jobs: tuple[Store, Jobs], tmp_path: Path) -> None:
    import redis

    store, made = jobs
    progress = {"epoch": 2, "loss": 3.4, "samples": 640, "memory_bytes": 12}
    with redis_server(tmp_path) as server, redis.Redis.from_url(server.url, decode_responses=True) as client:
        async with dispatching(server, store, made):
            await made.submit(asked("one"))
            _, attempt = await made.claim(1, host="there", worker="w", pid=1)
            await made.beat(1, attempt.number, progress)
            while client.get("runs:hb:one") is None:
                await asyncio.sleep(0.005)
            assert json.loads(client.get("runs:hb:one") or "") == progress
            assert client.get("runs:status:one") == client.get("runs:one:status") == "running"
            client.set("runs:one:cancelled", "1")
            while not await made.beat(1, attempt.number):
                await asyncio.sleep(0.005)
            await made.finish(1, attempt.number, Report("cancelled", "cancelled"))
            while client.get("runs:status:one") != "failed":
                await asyncio.sleep(0.005)
            assert client.get("runs:one:cancelled") is None
        job = await store.job(1)
    assert (job.state, job.error) == (JobState.CANCELLED, "cancelled by the key runs:one:cancelled in Redis")


async def test_the_last_progress_of_a_run_that_ended_at_once_is_there(jobs: tuple[Store, Jobs], tmp_path: Path) -> None:
    import redis

    store, made = jobs
    with redis_server(tmp_path) as server, redis.Redis.from_url(server.url, decode_responses=True) as client:
        async with dispatching(server, store, made):
            await made.submit(asked("one"))
            _, attempt = await made.claim(1, host="there", worker="w", pid=1)
            await made.beat(1, attempt.number, {"step": 6})
            await made.finish(1, attempt.number, Report("completed", "completed", result={}))
            while client.get("runs:status:one") != "completed":
                await asyncio.sleep(0.005)
            assert client.get("runs:hb:one") == '{"step": 6}'


@pytest.mark.parametrize("rubbish", ["text", {"status": "dancing", "data": b"\xff"}])
async def test_what_others_put_under_the_name_of_a_job_does_not_stop_it(
    tmp_path: Path, jobs: tuple[Store, Jobs], rubbish: str | dict[str, str | bytes]
) -> None:
    import redis

    store, made = jobs
    name = f"rq:job:thord-{hashlib.sha256(SECRET).hexdigest()[:8]}-1-1"
    with redis_server(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        if isinstance(rubbish, str):
            client.set(name, rubbish)
        else:
            client.hset(name, mapping=rubbish)
        async with dispatching(server, store, made), asyncio.timeout(10):
            await made.submit(asked("one"))
            await until(server, (1, 1))
