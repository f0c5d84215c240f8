"""The thord that this host works for, over its public API."""

from __future__ import annotations

import contextlib
import http.client
import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError

from daemon.settings.integrations import WorkerSettings
from daemon.supervisor.remote.work import Claimed, Delivery, FileOnDisk, Finished
from daemon.supervisor.start_error import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

_SECONDS = 10.0
_PREPARING_SECONDS = 600.0
"""For a claim: the snapshot is collected first; for sums of large files too."""
_FILES = TypeAdapter(list[FileOnDisk])
_M = TypeVar("_M", bound=BaseModel)


class _Beaten(BaseModel):
    cancel: bool


class UnreachableError(Exception):
    """Thord gave no answer, or one that says nothing about the attempt; try again."""


class StaleError(Exception):
    """The attempt is not this host's, or not any more."""


class RefusedError(Exception):
    """Thord does not take what was sent."""


class ThordClient:
    """Asks and tells thord. Blocking; a connection for each request, so that threads may share it.

    Args:
        settings: where it is, and the file with the key.

    Raises:
        StartError: there is no key.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._parts = urlsplit(settings.url)
        if settings.key_file is None:
            raise StartError("set worker.key_file: thord gives work to nobody without a key of the scope 'work'")
        try:
            self._key = Path(settings.key_file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"worker.key_file: {settings.key_file} cannot be read: {error}") from None

    def claim(self, job: int, attempt: int, host: str, worker: str, pid: int) -> Claimed:
        """Begin with a job.

        Raises:
            StaleError: somebody else has it, or it has ended.
            UnreachableError: nobody knows whether it is ours; if it is, it will be lost and given to another.
        """
        body: dict[str, JsonValue] = {"host": host, "worker": worker, "pid": pid, "attempt": attempt}
        answer = self._post(f"{job}/claim", body, _PREPARING_SECONDS)
        return _parsed(answer, Claimed)

    def beat(self, job: int, attempt: int, progress: Mapping[str, JsonValue] | None) -> bool:
        """Say that the attempt lives; whether its job was asked to end.

        Raises:
            StaleError: it was given up.
            UnreachableError: see there.
        """
        body: dict[str, JsonValue] = {"attempt": attempt, "progress": None if progress is None else dict(progress)}
        return _parsed(self._post(f"{job}/beat", body, _SECONDS), _Beaten).cancel

    def files(self, job: int, attempt: int) -> list[FileOnDisk]:
        """What the attempt needs: snapshot, base, and what earlier attempts left.

        Raises:
            StaleError, UnreachableError: as `beat`.
        """
        query = urlencode({"attempt": attempt})
        answer = self._ask("GET", f"{job}/files?{query}", None, _PREPARING_SECONDS)
        try:
            return _FILES.validate_json(answer)
        except ValidationError as error:
            raise UnreachableError(f"its list of files makes no sense: {error}") from None

    def read(self, job: int, attempt: int, path: str, offset: int) -> bytes:
        """The next bytes of a file.

        Raises:
            StaleError, UnreachableError: as `beat`.
        """
        return self._ask("GET", _content(job, attempt, path, offset), None, _SECONDS)

    def write(self, job: int, attempt: int, path: str, offset: int, piece: bytes) -> None:
        """Put bytes of a file into ``incoming/``.

        Raises:
            StaleError, UnreachableError: as `beat`.
        """
        self._ask("PUT", _content(job, attempt, path, offset), piece, _SECONDS)

    def deliver(self, job: int, delivery: Delivery) -> None:
        """Have files of the run put in place.

        Raises:
            StaleError, UnreachableError: as `beat`.
        """
        self._post(f"{job}/deliver", delivery.model_dump(mode="json"), _PREPARING_SECONDS)

    def finish(self, job: int, finished: Finished) -> None:
        """Say how the attempt ended. May be said again.

        Raises:
            StaleError, UnreachableError: as `beat`.
        """
        self._post(f"{job}/finish", finished.model_dump(mode="json"), _PREPARING_SECONDS)

    def _post(self, target: str, body: Mapping[str, JsonValue], seconds: float) -> bytes:
        return self._ask("POST", target, json.dumps(body).encode(), seconds)

    def _ask(self, method: str, target: str, body: bytes | None, seconds: float) -> bytes:
        make = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        headers = {"Authorization": f"Bearer {self._key}"}
        if body is not None:
            headers["Content-Type"] = "application/json" if method == "POST" else "application/octet-stream"
        try:
            connection = make(self._parts.hostname or "", self._parts.port, timeout=seconds)
            with contextlib.closing(connection):
                connection.request(method, f"{self._parts.path}/v1/work/jobs/{target}", body, headers)
                answer = connection.getresponse()
                content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(str(error) or type(error).__name__) from error
        if answer.status in {404, 409}:
            raise StaleError(_message(content) or f"it answered {answer.status}")
        if answer.status in {400, 413, 422}:
            raise RefusedError(_message(content) or f"it answered {answer.status}")
        if not 200 <= answer.status < 300:
            raise UnreachableError(f"it answered {answer.status}: {_message(content)}")
        return content


def _content(job: int, attempt: int, path: str, offset: int) -> str:
    query = urlencode({"attempt": attempt, "path": path, "offset": offset}, quote_via=quote)
    return f"{job}/content?{query}"


def _parsed(answer: bytes, kind: type[_M]) -> _M:
    try:
        return kind.model_validate_json(answer)
    except ValidationError as error:
        raise UnreachableError(f"its answer makes no sense; is it of another release? {error}") from None


def _message(content: bytes) -> str:
    """What an answer says went wrong."""
    with contextlib.suppress(ValueError):
        value = json.loads(content)
        if isinstance(value, dict) and isinstance(error := value.get("error"), dict):
            return str(error.get("message", ""))
    return content[:200].decode(errors="replace")
