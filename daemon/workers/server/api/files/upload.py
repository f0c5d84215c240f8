"""Takes in an upload: the file goes to disk as it comes, and its fields are checked as soon as they are known."""

import asyncio
import re
import time
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from daemon.workers.server.api.files.multipart import FormReader, PartBegun, PartData
from daemon.workers.server.errors import ApiError
from daemon.workers.server.files.file_store import FileStore, Incoming
from daemon.workers.server.files.stored_file import Purpose, StoredFile, new_id

SILENCE_SECONDS = 60.0
"""A client that sends nothing for so long is given up."""
_LONGEST_FIELD = 1024
_LONGEST_FILENAME = 255
_EXPIRES_ANCHOR, _EXPIRES_SECONDS = "expires_after[anchor]", "expires_after[seconds]"
_FIELDS = ("purpose", _EXPIRES_ANCHOR, _EXPIRES_SECONDS)
_SHORTEST_LIFE, _LONGEST_LIFE = 3600, 2_592_000
_PURPOSES: dict[str, Purpose] = {"fine-tune": "fine-tune", "user_data": "user_data", "evals": "evals"}
_REFUSED_PURPOSES = {
    "batch": "this server has no Batch API",
    "assistants": "this server has no Assistants API",
    "vision": "this model reads text only",
}


async def receive(request: Request, store: FileStore, owner: str, seconds: float) -> StoredFile:
    """The file of a form, kept; one for fine-tuning still has to be checked. ``seconds`` is for all of it.

    Raises:
        ApiError: 400, the form is not one, or asks for what cannot be done; 408, it did not arrive in time; 413, the
            file is too large; 507, the disk refuses.
    """
    reader = FormReader(request.headers.get("content-type", ""))
    upload = _Upload(store, owner)
    try:
        async with asyncio.timeout(seconds):
            async for data in _body(request):
                for event in reader.push(data):
                    match event:
                        case PartBegun():
                            await upload.begin(event)
                        case PartData():
                            await upload.take(event.data)
                        case _:
                            upload.end()
            reader.finish()
            request.state.ignored = upload.ignored
            return await upload.publish()
    except TimeoutError:
        raise _late(seconds) from None
    finally:
        await upload.close()


async def _body(request: Request) -> AsyncIterator[bytes]:
    parts = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                part = await anext(parts, None)
        except TimeoutError:
            raise _late(SILENCE_SECONDS) from None
        except ClientDisconnect:
            message = "the client went away in the middle of its request"
            raise ApiError(400, "disconnected", message, close=True) from None
        if part is None:
            return
        yield part


class _Upload:
    """One form, as far as it came.

    Attributes:
        ignored: fields that mean nothing here.
    """

    def __init__(self, store: FileStore, owner: str) -> None:
        self.ignored: list[str] = []
        self._store = store
        self._owner = owner
        self._fields: dict[str, str] = {}
        self._part: PartBegun | None = None
        self._value = bytearray()
        self._incoming: Incoming | None = None
        self._filename = ""

    async def begin(self, part: PartBegun) -> None:
        """A part comes."""
        self._part, self._value = part, bytearray()
        if part.name == "file":
            if self._incoming is not None:
                raise ApiError(400, "invalid_value", "file: send one file a request", param="file", close=True)
            self._incoming = await self._store.begin(self._owner)
            self._filename = _plain_name(part.filename or "")
        elif part.name not in _FIELDS:
            self.ignored.append(part.name)

    async def take(self, data: bytes) -> None:
        """More of the part comes."""
        if self._part is None:
            return
        if self._part.name == "file" and self._incoming is not None:
            await self._incoming.write(data)
            return
        self._value += data
        if len(self._value) > _LONGEST_FIELD:
            message = f"{self._part.name[:100]}: a field may have {_LONGEST_FIELD} bytes"
            raise ApiError(400, "invalid_value", message, close=True)

    def end(self) -> None:
        """The part is whole. What is wrong with it is said before the next one is read."""
        if self._part is not None and self._part.name in _FIELDS:
            if self._part.name in self._fields:
                raise _wrong(self._part.name, "it is there twice")
            self._fields[self._part.name] = self._value.decode("utf-8", errors="replace")
            if self._part.name == "purpose":
                _purpose(self._fields)

    async def publish(self) -> StoredFile:
        """Keep the file."""
        purpose, life = _purpose(self._fields), _life(self._fields)
        if self._incoming is None:
            raise ApiError(400, "missing_field", "file: it is missing", param="file")
        now = time.time()

        def described(size: int, digest: str) -> StoredFile:
            return StoredFile(
                id=new_id(now),
                filename=self._filename,
                purpose=purpose,
                bytes=size,
                created_at=int(now),
                expires_at=None if life is None else int(now) + life,
                sha256=digest,
                status="uploaded" if purpose == "fine-tune" else "processed",
            )

        return await self._incoming.publish(described)

    async def close(self) -> None:
        """Let go of what was not kept."""
        if self._incoming is not None:
            await self._incoming.close()


def _purpose(fields: dict[str, str]) -> Purpose:
    given = fields.get("purpose")
    if given is None:
        raise ApiError(400, "missing_field", "purpose: it is missing", param="purpose")
    if given in _REFUSED_PURPOSES:
        raise _wrong("purpose", f"{given}: {_REFUSED_PURPOSES[given]}")
    if given not in _PURPOSES:
        raise _wrong("purpose", f"it must be one of {', '.join(_PURPOSES)}")
    return _PURPOSES[given]


def _life(fields: dict[str, str]) -> int | None:
    """Seconds after which the file expires; null: never."""
    anchor, seconds = fields.get(_EXPIRES_ANCHOR), fields.get(_EXPIRES_SECONDS)
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise _wrong(_EXPIRES_ANCHOR, "it must be created_at")
    if not re.fullmatch(r"[0-9]{1,9}", seconds or "") or not _SHORTEST_LIFE <= int(seconds or 0) <= _LONGEST_LIFE:
        raise _wrong(_EXPIRES_SECONDS, f"it must be a number from {_SHORTEST_LIFE} to {_LONGEST_LIFE}")
    return int(seconds or 0)


def _plain_name(given: str) -> str:
    """A file's name without folders and without what no terminal should print."""
    name = "".join(c if c.isprintable() else "_" for c in re.split(r"[/\\]", given)[-1])
    return name[:_LONGEST_FILENAME] or "upload"


def _wrong(field: str, why: str) -> ApiError:
    return ApiError(400, "invalid_value", f"{field}: {why}", param=field, close=True)


def _late(seconds: float) -> ApiError:
    return ApiError(408, "body_timeout", f"the request's body did not arrive within {seconds:g} seconds", close=True)
