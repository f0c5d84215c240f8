"""Making a client of the Redis server in the settings. A boundary module: redis-py is an extra, imported when used.

By default redis-py tries again by itself: to publish to a port nobody listens on takes 4.8 s, to one that is silent
57.5 s (redis-py 8.1). Here it tries once, and whoever asks decides when to try again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.settings.integrations import RedisSettings

if TYPE_CHECKING:
    from redis import Redis

SECONDS = 5.0
"""For a connection, and for each answer."""


class RedisUnavailableError(Exception):
    """Redis did not do what it was asked; the message says why, without the password."""


def connect(settings: RedisSettings) -> Redis:
    """A client that connects when it is used, and again after its connection broke.

    Raises:
        RedisUnavailableError: redis-py is missing, or the address makes no sense.
    """
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ModuleNotFoundError:
        raise RedisUnavailableError("the package redis is missing: pip install 'thord[redis]'") from None
    try:
        return Redis.from_url(
            settings.url, retry=Retry(NoBackoff(), 0), socket_timeout=SECONDS, socket_connect_timeout=SECONDS
        )
    except ValueError as error:
        raise RedisUnavailableError(f"integrations.redis.url: {error}") from None
