"""Nobody waits for Redis, and what is dropped is counted."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from daemon.supervisor.integrations.publisher import Publisher
from daemon.supervisor.integrations.redis_client import RedisUnavailableError
from daemon.supervisor.integrations.trainer_events import JobStarted, TrainerEvent

EVENT = JobStarted(id="1.0", at="now", job_id="cycle-000001", user_id=0, queue="trainer")


class Connection:
    """Takes events while ``up``, and only when it is let go."""

    def __init__(self) -> None:
        self.up = True
        self.taken: list[TrainerEvent] = []
        self.tries = 0
        self.asked = threading.Semaphore(0)
        self.free = threading.Event()
        self.free.set()

    def send(self, events: Sequence[TrainerEvent]) -> None:
        self.tries += 1
        self.asked.release()
        self.free.wait(10)
        if not self.up:
            raise RedisUnavailableError("connection refused")
        self.taken.extend(events)


@pytest.mark.anyio
async def test_a_slow_server_costs_events_of_the_moment_and_no_time() -> None:
    connection = Connection()
    connection.free.clear()
    publisher = Publisher(connection, capacity=3)
    publisher.offer(lambda: [EVENT])
    await asyncio.to_thread(connection.asked.acquire)
    for _ in range(10):
        publisher.offer(lambda: [EVENT])
    assert publisher.counts.dropped == 7
    with pytest.raises(RedisUnavailableError, match="3 calls wait"):
        await publisher.deliver([EVENT])
    connection.free.set()
    for _ in range(4):
        await asyncio.to_thread(connection.asked.acquire, timeout=5)
        if len(connection.taken) == 4:
            break
    await publisher.deliver([EVENT])
    assert (len(connection.taken), publisher.counts.published) == (5, 5)
    publisher.close()


@pytest.mark.anyio
async def test_while_it_is_away_events_of_the_moment_are_dropped_without_a_try() -> None:
    connection, now = Connection(), [100.0]
    connection.up = False
    publisher = Publisher(connection, clock=lambda: now[0])
    with pytest.raises(RedisUnavailableError):
        await publisher.deliver([EVENT])
    publisher.offer(lambda: [EVENT, EVENT])
    with pytest.raises(RedisUnavailableError):  # after what was offered
        await publisher.deliver([EVENT])
    assert (connection.tries, publisher.counts.dropped) == (2, 2)
    connection.up = True
    now[0] += 60
    publisher.offer(lambda: [EVENT])
    await publisher.deliver([EVENT])
    assert (len(connection.taken), publisher.counts.dropped) == (2, 2)
    publisher.close()
