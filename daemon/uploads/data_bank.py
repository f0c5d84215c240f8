"""A data bank: an HTTP service that keeps files, each under an id that it gives.

    POST /files             multipart, field ``file``      -> {"file_id", "size", "sha256"}
    GET  /files/ID          the bytes
    GET  /files/ID/info     {"file_id", "size", "sha256"}

A key goes along as ``X-Api-Key``. What an upload stored is listed in a file like the others, ``NAME.json``: the id of
each file by its path. That file is the address of the upload.
"""

import http.client
import json
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from control.paths import Paths
from daemon.settings.integrations import DataBankSettings
from daemon.uploads.place import UploadError, sum_of
from engine import disk
from engine.data import cached_corpus

_LONGEST_ID = 128
_BLOCK = 1 << 20


class Stored(BaseModel):
    """What the data bank says of a file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    file_id: str
    size: int
    sha256: str | None = None


class DataBank:
    """A client; thread-safe, since it holds no connection.

    Args:
        url: its address; what follows the host is kept, as of a gateway.
        key: its API key, if it asks for one.
        timeout: longest silence, in seconds.
    """

    def __init__(self, url: str, key: str | None = None, timeout: float = 60.0) -> None:
        self._url = urlsplit(url.rstrip("/"))
        self._key = key
        self._timeout = timeout
        self._ids: dict[tuple[str, str], str] = {}

    def send(self, file: Path) -> Stored:
        """Store a file.

        Raises:
            UploadError: the data bank did not take it, or says that it has other bytes.
        """
        border = uuid.uuid4().hex
        head = (
            f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{quote(file.name)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        tail = f"\r\n--{border}--\r\n".encode()
        size = file.stat().st_size

        def body() -> Iterator[bytes]:
            yield head
            with file.open("rb") as stream:
                yield from iter(lambda: stream.read(_BLOCK), b"")
            yield tail

        headers = {
            "Content-Type": f"multipart/form-data; boundary={border}",
            "Content-Length": str(len(head) + size + len(tail)),
        }
        stored = _stored(self._ask("POST", "/files", body(), headers))
        if stored.size != size:
            raise UploadError(f"the data bank took {stored.size} of {size} bytes of {file.name}")
        return stored

    def fetch(self, file_id: str, folder: Path, advance: Callable[[], None] = lambda: None) -> Path:
        """A file of the data bank in ``folder``, under its id; fetched if it is not there yet, and checked by its sum.

        ``advance`` is called for every megabyte, and may raise to stop.

        Raises:
            UploadError: it has no such file, or its bytes have another sum than it says.
            OSError: the disk refused.
        """
        if len(file_id) > _LONGEST_ID or not file_id.replace("-", "").replace("_", "").isalnum():
            raise UploadError(f"{file_id[:_LONGEST_ID]!r} is not the id of a file in a data bank")
        target = folder / file_id
        cached_corpus.touch(target)
        if target.is_file():
            return target
        expected = _stored(self._ask("GET", f"/files/{file_id}/info"))
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".tmp-{uuid.uuid4().hex}"  # of this call alone: another may fetch the same
        try:
            with draft.open("wb") as stream:

                def kept(block: bytes) -> bytes:
                    stream.write(block)
                    advance()
                    return block

                found = sum_of(map(kept, self._blocks(f"/files/{file_id}")))
            if expected.sha256 is not None and found != expected.sha256.lower():
                raise UploadError(f"file {file_id} of the data bank has sha256 {found}, not {expected.sha256}")
            draft.rename(target)
        finally:
            draft.unlink(missing_ok=True)
        return target

    def put(self, name: str, folder: Path, files: Iterable[str]) -> str:
        """As the Protocol `Place`."""
        for file in files:
            self._ids[name, file] = self.send(folder / file).file_id
        with tempfile.TemporaryDirectory(prefix="thord-upload-") as scratch:
            listing = Path(scratch) / f"{name}.json"
            listing.write_text(json.dumps({file: file_id for (of, file), file_id in self._ids.items() if of == name}))
            return f"{self._url.geturl()}/files/{self.send(listing).file_id}"

    def sums(self, name: str, folder: Path, files: Iterable[str]) -> Mapping[str, str]:
        """As the Protocol `Place`; every byte is read back."""
        del folder
        ids = {file: self._ids[name, file] for file in files if (name, file) in self._ids}
        return {file: sum_of(self._blocks(f"/files/{file_id}")) for file, file_id in ids.items()}

    def _ask(
        self, method: str, path: str, body: Iterator[bytes] | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        return b"".join(self._answer(method, path, body, headers))

    def _blocks(self, path: str) -> Iterator[bytes]:
        return self._answer("GET", path)

    def _answer(
        self, method: str, path: str, body: Iterator[bytes] | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """The bytes of an answer, as they come.

        Raises:
            UploadError: the data bank is not reached, or answers with an error.
        """
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=self._timeout)
        key = {"X-Api-Key": self._key} if self._key else {}
        try:
            connection.request(method, f"{self._url.path}{path}", body, {**key, **(headers or {})})
            response = connection.getresponse()
            if response.status >= 300:
                said = response.read(500).decode(errors="replace")
                raise UploadError(f"the data bank answers {response.status} to {method} {path}: {said}")
            yield from iter(lambda: response.read(_BLOCK), b"")
            if response.length:
                raise UploadError(f"the data bank broke off {method} {path}")
        except (OSError, http.client.HTTPException) as error:
            raise UploadError(f"the data bank at {self._url.hostname} cannot be reached: {error}") from error
        finally:
            connection.close()


def of(settings: DataBankSettings, paths: Paths) -> DataBank | None:
    """The data bank of the settings; null where there is none.

    Raises:
        UploadError: the file with its key cannot be read.
    """
    return DataBank(settings.url, key(settings, paths), settings.timeout_seconds) if settings.url else None


def key(settings: DataBankSettings, paths: Paths) -> str | None:
    """The key of the data bank: in the file of the settings, else what the environment gave the supervisor.

    Raises:
        UploadError: the file of the settings cannot be read.
    """
    file = Path(settings.key_file).expanduser() if settings.key_file else paths.data_bank_key_file
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        if settings.key_file is None:
            return None
        raise UploadError(f"the key of the data bank, {file}, cannot be read: {error}") from None


def write_key(file: Path, given: str | None) -> None:
    """Write the key that the environment gave, for this user alone; no key, no file.

    Raises:
        OSError: the file cannot be written.
    """
    disk.write_private(file, None if given is None else f"{given}\n")


def _stored(answer: bytes) -> Stored:
    try:
        return Stored.model_validate(json.loads(answer))
    except (ValueError, ValidationError) as error:
        raise UploadError(f"the data bank answers with something else than a file: {error}") from None
