"""The way of events to the Redis server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from daemon.settings.integrations import RedisSettings
from daemon.supervisor.integrations import redis_client
from daemon.supervisor.integrations.redis_client import RedisUnavailableError
from daemon.supervisor.integrations.trainer_events import TrainerEvent, type_of

if TYPE_CHECKING:
    from redis import Redis


class RedisConnection:
    """One connection, made when it is needed and again after it broke. For one thread."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._client: Redis | None = None

    def send(self, events: Sequence[TrainerEvent]) -> None:
        """Append events to the stream and publish them on the channel, all or none of them.

        Raises:
            RedisUnavailableError: nothing was sent, or nobody knows.
        """
        if self._client is None:
            self._client = redis_client.connect(self._settings)
        from redis import RedisError

        name, length = self._settings.events, self._settings.stream_length
        try:
            with self._client.pipeline(transaction=True) as pipeline:
                for event in events:
                    text = event.to_json()
                    pipeline.xadd(name, {"id": event.id, "type": type_of(event), "data": text}, maxlen=length)
                    pipeline.publish(name, text)
                pipeline.execute()
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(str(error)) from error
