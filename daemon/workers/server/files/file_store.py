"""Where uploaded files lie: a folder each, below a folder for each owner. Its one writer is the server.

    files/OWNER/ID/content      the bytes as they came
    files/OWNER/ID/file.json    what is known of them

OWNER is the SHA-256 of the API key; `ANYBODY` where none is needed. A file appears by the rename of its folder, whole
and on disk, and goes the same way, so a crash leaves it there or not there.
"""

import asyncio
import contextlib
import errno
import functools
import hashlib
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from daemon import log
from daemon.settings.sections import FileSettings
from daemon.workers.server.errors import ApiError
from daemon.workers.server.files.stored_file import ID_PATTERN, StoredFile
from engine import disk

ANYBODY = "anybody"
_CONTENT, _RECORD = "content", "file.json"
_DRAFT = ".tmp-"
_BUFFER_BYTES = 1 << 20
_ID = re.compile(ID_PATTERN)
_T = TypeVar("_T")
_logger = log.get(__name__)


class FileStore:
    """The files of every client; a client sees only its own.

    Args:
        folder: where they lie.
        settings: gives the limits of now.
    """

    def __init__(self, folder: Path, settings: Callable[[], FileSettings]) -> None:
        self._settings = settings
        self._folder = folder
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="files")
        self._coming: Counter[str] = Counter()
        """Bytes of uploads that have not ended yet, by owner."""

    @property
    def limits(self) -> FileSettings:
        """How much a client may keep."""
        return self._settings()

    async def sweep(self) -> None:
        """Remove what a crash left, and what has expired. For the start of the server."""

        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                for owner in self._folder.iterdir():
                    for draft in owner.glob(f"{_DRAFT}*"):
                        shutil.rmtree(draft, ignore_errors=True)
                    for _ in self._living(owner.name):
                        pass

        await self.in_thread(remove)

    async def all_of(self, owner: str) -> list[StoredFile]:
        """All files of a client, oldest first."""
        return await self.in_thread(lambda: list(self._living(owner)))

    async def unchecked(self) -> list[tuple[str, StoredFile]]:
        """Files of all clients that wait to be checked, each with its owner."""

        def read() -> list[tuple[str, StoredFile]]:
            owners = sorted(self._folder.iterdir()) if self._folder.exists() else []
            return [
                (each.name, file) for each in owners for file in self._living(each.name) if file.status == "uploaded"
            ]

        return await self.in_thread(read)

    async def get(self, owner: str, name: str) -> StoredFile:
        """One file.

        Raises:
            ApiError: 404, this client has none of this name.
        """
        return await self.in_thread(lambda: self._get(owner, name))

    def content(self, owner: str, name: str) -> Path:
        """Where the bytes of a file lie."""
        return self._place(owner, name) / _CONTENT

    async def replace(self, owner: str, file: StoredFile) -> None:
        """Write down what is known of a file now; nothing happens where it was deleted meanwhile."""

        def write() -> None:
            with contextlib.suppress(FileNotFoundError):
                disk.write(self._place(owner, file.id) / _RECORD, file.model_dump_json(indent=2) + "\n")

        await self.in_thread(write)

    async def delete(self, owner: str, name: str) -> None:
        """Delete a file. Of one that the server made its empty folder stays, so that it is not made again.

        Raises:
            ApiError: 404, this client has none of this name.
        """

        def remove() -> None:
            place, file = self._place(owner, name), self._get(owner, name)
            self._remove(place)
            if file.purpose == "fine-tune-results":
                place.mkdir(mode=0o700)

        await self.in_thread(remove)

    async def forget(self, owner: str) -> None:
        """Delete all files of a client.

        Raises:
            ApiError: 507, the disk refuses.
        """

        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self._home(owner))

        if re.fullmatch(r"[0-9a-f]{64}", owner):  # it becomes part of a path
            await self.in_thread(remove)

    async def begin(self, owner: str) -> "Incoming":
        """Begin to take in a file. Whoever begins must `Incoming.close` it.

        Raises:
            ApiError: 400, this client has as many files as it may; 507, the disk refuses.
        """

        def prepare() -> tuple[Path, int]:
            held = list(self._living(owner))
            if len(held) >= self.limits.max_per_client:
                message = f"you have {len(held)} files (files.max_per_client): delete some first"
                raise ApiError(400, "too_many_files", message, param="file")
            home = self._home(owner)
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=_DRAFT, dir=home)), sum(file.bytes for file in held)

        draft, held = await self.in_thread(prepare)
        return Incoming(self, owner, draft, held)

    async def add(self, owner: str, file: StoredFile, content: bytes) -> bool:
        """Keep a file that the server made itself, unless it is there already. False: its owner has deleted it.

        Raises:
            ApiError: 507, the disk refuses.
        """

        def write() -> bool:
            place = self._place(owner, file.id)
            if place.exists():
                return (place / _RECORD).exists()
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=place.parent))
            try:
                (draft / _CONTENT).write_bytes(content)
                _publish(draft, place, file)
            except OSError as error:
                if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:  # another request was faster
                    raise
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            return True

        return await self.in_thread(write)

    async def in_thread(self, call: Callable[[], _T]) -> _T:
        """``call`` beside the event loop.

        Raises:
            ApiError: 507, the disk refuses; what ``call`` raises.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except OSError as error:
            _logger.error("uploaded files cannot be read or written", reason=str(error))  # noqa: TRY400
            raise ApiError(507, "disk_refused", f"the server's disk refuses: {error.strerror or error}") from error

    def coming(self, owner: str) -> int:
        """Bytes of uploads of this client that have not ended yet."""
        return self._coming[owner]

    def note_coming(self, owner: str, size: int) -> None:
        """So many bytes more, or, if negative, less."""
        self._coming[owner] += size
        if not self._coming[owner]:
            del self._coming[owner]

    def publish(self, owner: str, draft: Path, file: StoredFile) -> None:
        """Have a draft take its place."""
        _publish(draft, self._place(owner, file.id), file)

    def _home(self, owner: str) -> Path:
        return self._folder / (owner or ANYBODY)

    def _place(self, owner: str, name: str) -> Path:
        if _ID.fullmatch(name) is None:  # it becomes part of a path
            raise _missing(name)
        return self._home(owner) / name

    def _get(self, owner: str, name: str) -> StoredFile:
        found = self._read(self._place(owner, name))
        if found is None:
            raise _missing(name)
        return found

    def _living(self, owner: str) -> Iterator[StoredFile]:
        try:
            names = sorted(each.name for each in self._home(owner).iterdir() if _ID.fullmatch(each.name))
        except FileNotFoundError:
            return
        yield from (file for name in names if (file := self._read(self._home(owner) / name)) is not None)

    def _read(self, place: Path) -> StoredFile | None:
        """What is known of a file; null where there is none, or its time is over: then it is removed."""
        try:
            file = StoredFile.model_validate_json((place / _RECORD).read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            _logger.error("an uploaded file cannot be read", file=str(place), reason=str(error))  # noqa: TRY400
            return None
        if not file.has_expired:
            return file
        self._remove(place)
        return None

    def _remove(self, place: Path) -> None:
        going = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=place.parent)) / place.name
        with contextlib.suppress(FileNotFoundError):  # another request was faster
            place.rename(going)
        disk.sync(place.parent)
        shutil.rmtree(going.parent, ignore_errors=True)


class Incoming:
    """A file that is being uploaded: written to a draft as it comes, so that memory does not grow with it.

    Attributes:
        size: bytes that came so far.
    """

    def __init__(self, store: FileStore, owner: str, draft: Path, held: int) -> None:
        self.size = 0
        self._store = store
        self._owner = owner
        self._draft = draft
        self._held = held
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._digest = hashlib.sha256()
        descriptor = os.open(draft / _CONTENT, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    async def write(self, data: bytes) -> None:
        """Take in more.

        Raises:
            ApiError: 413, it is larger than a file may be, or than what this client has left; 507, the disk refuses.
        """
        limits = self._store.limits
        self.size += len(data)
        self._store.note_coming(self._owner, len(data))
        if self.size > limits.max_file_megabytes << 20:
            message = f"the file is larger than {limits.max_file_megabytes} MiB (files.max_file_megabytes)"
            raise ApiError(413, "file_too_large", message, param="file", close=True)
        if self._held + self._store.coming(self._owner) > limits.max_megabytes_per_client << 20:
            message = (
                f"your files would take more than {limits.max_megabytes_per_client} MiB "
                "(files.max_megabytes_per_client): delete some first"
            )
            raise ApiError(413, "quota_exceeded", message, param="file", close=True)
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= _BUFFER_BYTES:
            await self._flush()

    async def publish(self, describe: Callable[[int, str], StoredFile]) -> StoredFile:
        """Keep the file; ``describe`` says what it is, given its size and its SHA-256.

        Raises:
            ApiError: 507, the disk refuses.
        """
        await self._flush()
        self._file.close()
        file = describe(self.size, self._digest.hexdigest())
        await self._store.in_thread(functools.partial(self._store.publish, self._owner, self._draft, file))
        return file

    async def close(self) -> None:
        """Let go of it; what was not published is gone."""
        self._store.note_coming(self._owner, -self.size)
        self._file.close()
        await self._store.in_thread(lambda: shutil.rmtree(self._draft, ignore_errors=True))

    async def _flush(self) -> None:
        parts, self._waiting, self._waiting_bytes = self._waiting, [], 0
        await self._store.in_thread(lambda: self._append(parts))

    def _append(self, parts: Sequence[bytes]) -> None:
        for part in parts:
            left = memoryview(part)
            while left:
                left = left[self._file.write(left) or 0 :]
            self._digest.update(part)


def _publish(draft: Path, place: Path, file: StoredFile) -> None:
    (draft / _RECORD).write_text(file.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for each in (draft / _CONTENT, draft / _RECORD, draft):
        disk.sync(each)
    draft.rename(place)
    disk.sync(place.parent)


def _missing(name: str) -> ApiError:
    message = f"there is no file {name[:100]!r}: it was never uploaded, was deleted, or has expired"
    return ApiError(404, "file_not_found", message, param="id")
