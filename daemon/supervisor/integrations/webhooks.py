"""Webhooks: the end of every run is posted to the addresses in the settings, signed.

Requests are signed as https://www.standardwebhooks.com has it, so that its libraries verify them: the header
``webhook-signature`` is the HMAC-SHA256 of ``ID.TIMESTAMP.BODY``. Each address has a thread of its own and its own
place in the store's events. A request that fails is sent three times in all, then given up, counted and logged.
Redirects are not followed: they could lead the request, and its signature, anywhere.
"""

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from daemon import log
from daemon.supervisor.integrations.own_thread import OwnThread
from daemon.supervisor.integrations.trainer_events import JobCompleted, JobFailed, TrainerEvent, type_of
from daemon.supervisor.store.degradations import Degradations
from daemon.supervisor.store.records import Event

PAUSES = (0.0, 5.0, 30.0)
"""Seconds before each try."""
_PREFIX = "whsec_"
_logger = log.get(__name__)


class DeliveryError(Exception):
    """The receiver did not take the request; the message says why."""


class SecretError(Exception):
    """The secret cannot be read; the message says why, and not what is in the file."""


@dataclass
class Counts:
    """Requests since the start."""

    delivered: int = 0
    given_up: int = 0


class Webhook:
    """Posts the end of runs to one address.

    Args:
        url: the address.
        secret_file: holds the secret; read for each request, so that it can be changed.
        timeout: seconds for one request.
        translate: makes the events that other programs get of one of the store.
        degradations: is told while the secret cannot be read.
        pauses: seconds before each try.
    """

    def __init__(
        self,
        url: str,
        secret_file: Path,
        timeout: float,
        translate: Callable[[Event], Awaitable[Sequence[TrainerEvent]]],
        degradations: Degradations,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self.counts = Counts()
        self.key = f"webhook {hashlib.sha256(url.encode()).hexdigest()[:16]}"
        self._url = url
        self._secret_file = secret_file
        self._timeout = timeout
        self._translate = translate
        self._degradations = degradations
        self._pauses = pauses
        self._thread = OwnThread("webhook", capacity=1)

    async def take(self, events: Sequence[Event]) -> None:
        """Post the ends of runs among these events; returns when each was delivered or given up."""
        for event in events:
            for told in await self._translate(event):
                if isinstance(told, JobCompleted | JobFailed):
                    await self._deliver(told)

    def close(self) -> None:
        """Let the thread end."""
        self._thread.close()

    async def _deliver(self, event: TrainerEvent) -> None:
        host = urlsplit(self._url).hostname
        for number, pause in enumerate(self._pauses, 1):
            await asyncio.sleep(pause)
            try:
                await self._post(event)
            except DeliveryError as error:
                _logger.warning("a webhook was not taken", host=host, event_id=event.id, tries=number, why=str(error))
            else:
                self.counts.delivered += 1
                return
        self.counts.given_up += 1
        _logger.error("a webhook is given up", host=host, event_id=event.id, job=event.job_id, type=type_of(event))

    async def _post(self, event: TrainerEvent) -> None:
        body = event.to_json().encode()
        pauses = self._degradations.pauses()
        while True:
            try:
                key = await self._thread.run(lambda: secret(self._secret_file))
            except SecretError as error:  # no try is spent: nobody was asked
                self._degradations.begin("webhooks", f"{error}; webhooks wait until it can be read")
                await asyncio.sleep(next(pauses))
            else:
                self._degradations.end("webhooks")
                break
        sent = headers(key, event.id, body)
        await self._thread.run(lambda: post(self._url, body, sent, self._timeout))


def secret(file: Path) -> bytes:
    """The key in a file: base64 after ``whsec_``, else the text itself. Blocking.

    Raises:
        SecretError: it cannot be read, or there is none in it.
    """
    try:
        text = file.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SecretError(f"integrations.webhooks.secret_file: {file}: {reason}") from None
    if not text.removeprefix(_PREFIX):
        raise SecretError(f"integrations.webhooks.secret_file: {file} is empty")
    if not text.startswith(_PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise SecretError(f"integrations.webhooks.secret_file: {file}: what follows whsec_ is not base64") from None


def headers(key: bytes, event: str, body: bytes, now: float | None = None) -> dict[str, str]:
    """Those of a request: what it is about, when it was sent, and the signature of both and the body."""
    timestamp = int(time.time() if now is None else now)
    signed = f"{event}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "thord",
        "webhook-id": event,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def post(url: str, body: bytes, sent: Mapping[str, str], timeout: float) -> None:
    """Send one request; returns when the receiver has answered that it has it (2xx). Blocking.

    Raises:
        DeliveryError: it could not be reached, or answered anything else.
    """
    from http.client import HTTPConnection, HTTPException, HTTPSConnection  # with ssl, megabytes that few need

    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    make = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    try:
        with contextlib.closing(make(parts.hostname or "", parts.port, timeout=timeout)) as connection:
            connection.request("POST", target, body, dict(sent))
            status = connection.getresponse().status
    except (OSError, HTTPException, ValueError) as error:
        raise DeliveryError(str(error) or type(error).__name__) from error
    if 300 <= status < 400:
        raise DeliveryError(f"it answered {status}, and redirects are not followed: set the address it leads to")
    if not 200 <= status < 300:
        raise DeliveryError(f"it answered {status}")
