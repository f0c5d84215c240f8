"""The Redis server, as events need it. A boundary module: redis-py is an extra, and imported with the first event.

By default redis-py tries again by itself: to publish to a port nobody listens on takes 4.8 s, to one that is silent
57.5 s (redis-py 8.1). Here it tries once, and whoever publishes decides when to try again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from daemon.settings.integrations import RedisSettings
from daemon.supervisor.integrations.trainer_events import TrainerEvent, type_of

if TYPE_CHECKING:
    from redis import Redis

_SECONDS = 5.0
"""For a connection, and for each answer."""


class RedisUnavailableError(Exception):
    """Redis did not take what it was sent; the message says why, without the password."""


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
        client = self._connected()
        from redis import RedisError

        name, length = self._settings.events, self._settings.stream_length
        try:
            with client.pipeline(transaction=True) as pipeline:
                for event in events:
                    text = event.to_json()
                    pipeline.xadd(name, {"id": event.id, "type": type_of(event), "data": text}, maxlen=length)
                    pipeline.publish(name, text)
                pipeline.execute()
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()

    def _connected(self) -> Redis:
        if self._client is None:
            try:
                from redis import Redis
                from redis.backoff import NoBackoff
                from redis.retry import Retry
            except ModuleNotFoundError:
                raise RedisUnavailableError("the package redis is missing: pip install 'thord[redis]'") from None
            try:
                self._client = Redis.from_url(
                    self._settings.url,
                    retry=Retry(NoBackoff(), 0),
                    socket_timeout=_SECONDS,
                    socket_connect_timeout=_SECONDS,
                )
            except ValueError as error:
                raise RedisUnavailableError(f"integrations.redis.url: {error}") from None
        return self._client
