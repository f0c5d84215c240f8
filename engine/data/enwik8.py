"""enwik8, the first 10^8 bytes of a Wikipedia of 2006 (Hutter prize): fetched when first asked for, and checked.

What was fetched of it stays where a connection broke, and the next attempt goes on from there. Only what has the right
sum gets its name.
"""

import errno
import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from engine.data import cached_corpus

NAME = "enwik8"
_CHUNK = 1 << 20
_SECONDS = 30.0
_TRIES = 3
"""In a row without a single byte."""


class FetchError(Exception):
    """It cannot be had; the message says why, and what to do."""


def fetch(address: str, folder: Path, sha256: str, advance: Callable[[], None] = lambda: None) -> Path:
    """The file in ``folder``, from ``address`` if it is not there yet: itself, or alone in a zip file.

    ``sha256`` is that of its bytes, unpacked.

    ``advance`` is called for every megabyte, and may raise to stop; what was fetched stays.

    Raises:
        FetchError: there is no address, the server fails, the sum is another, or the disk is full.
    """
    target = folder / NAME
    if target.exists():
        cached_corpus.touch(target)
        return target
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise FetchError(f"to learn from {NAME}, set data.enwik8_address to its http or https URL")
    part, draft = folder / f".tmp-{NAME}.part", folder / f".tmp-{NAME}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(address, part, advance)
        found = _unpack(part, draft, advance)
        if found != sha256:
            part.unlink()
            raise FetchError(
                f"the file from {address} has sha256 {found}, not {sha256} (data.enwik8_sha256); it was removed"
            )
        draft.rename(target)
        part.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            part.unlink(missing_ok=True)
            raise FetchError(
                f"{folder}: {error.strerror}; {NAME} needs 140 MB; the partial file was removed"
            ) from error
        raise FetchError(f"{NAME} from {address}: {_reason(error)}") from error
    except zipfile.BadZipFile as error:
        part.unlink(missing_ok=True)
        raise FetchError(f"the file from {address} is a damaged zip file ({error}); it was removed") from error
    finally:
        draft.unlink(missing_ok=True)
    return target


def _download(address: str, part: Path, advance: Callable[[], None]) -> None:
    """Fetch the rest of ``part``.

    Raises:
        FetchError: the connection ended too early, again and again.
        OSError: no connection, an error of HTTP, or of the disk.
    """
    tries = 0
    while not _is_whole_after(address, part, before := _size(part), advance):
        tries = 0 if _size(part) > before else tries + 1
        if tries == _TRIES:
            raise FetchError(
                f"{address}: the connection ended too early; the partial download is kept for the next attempt"
            )


def _is_whole_after(address: str, part: Path, have: int, advance: Callable[[], None]) -> bool:
    """Ask for what comes after the first ``have`` bytes; whether nothing is missing then."""
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310 - http, see `fetch`
            goes_on = response.status == http.HTTPStatus.PARTIAL_CONTENT
            coming = int(response.headers.get("Content-Length") or 0)
            _check_room(part.parent, coming)
            with part.open("ab" if goes_on else "wb") as file:
                _copy(response, file, advance)
            return _size(part) >= coming + (have if goes_on else 0)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return True  # it was whole already
        raise
    except (http.client.HTTPException, TimeoutError, ConnectionError):
        return False


def _unpack(part: Path, draft: Path, advance: Callable[[], None]) -> str:
    """Make ``draft`` of what was fetched; its sum.

    Raises:
        BadZipFile: it is a zip file, and damaged.
    """
    with draft.open("wb") as file:
        if not zipfile.is_zipfile(part):
            with part.open("rb") as plain:
                return _copy(plain, file, advance)
        with zipfile.ZipFile(part) as packed:
            members = [member for member in packed.infolist() if not member.is_dir()]
            if len(members) != 1:
                raise zipfile.BadZipFile(f"it holds {len(members)} files, not one")
            _check_room(draft.parent, members[0].file_size)
            with packed.open(members[0]) as member:
                return _copy(member, file, advance)


def _copy(source: IO[bytes] | http.client.HTTPResponse, target: IO[bytes], advance: Callable[[], None]) -> str:
    """The sum of what was copied, which is on disk then."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        target.write(chunk)
        digest.update(chunk)
        advance()
    target.flush()
    os.fsync(target.fileno())
    return digest.hexdigest()


def _check_room(folder: Path, needed: int) -> None:
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _reason(error: OSError) -> str:
    """Without the wrapping of urllib."""
    inner = getattr(error, "reason", None)
    return str(inner if isinstance(inner, OSError) else error)
