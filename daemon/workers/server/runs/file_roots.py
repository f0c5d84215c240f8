"""Files that requests name: only regular ones below the folders of ``api.file_roots``, wherever links lead.

A name is resolved first, and what was opened is looked at again, so that a link that changes meanwhile gains nothing.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from daemon.workers.server.errors import ApiError

_LONGEST_SHOWN = 200


def resolve(name: str, roots: Sequence[str], param: str) -> Path:
    """Where a file or folder is that a request names in ``param``: absolute, or relative to one of the roots.

    Raises:
        ApiError: 403, there are no roots, or it is below none of them; 404, it is not there; 422, it cannot be a name.
    """
    if not name or "\0" in name:
        raise ApiError(422, "invalid_value", f"{param}: a path without NUL characters is expected", param=param)
    if not roots:
        message = f"{param}: no request may name files here: list folders in api.file_roots, or send the text itself"
        raise ApiError(403, "no_file_roots", message, param=param)
    shown = ascii(name[:_LONGEST_SHOWN])
    missing = False
    for root in (Path(each).expanduser() for each in roots):
        try:
            found, base = (root / name).resolve(strict=True), root.resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError):
            missing = missing or _may_be_below(root, name)
            continue
        except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long, or one that UTF-8 has not
            continue
        if found.is_relative_to(base):
            return found
    if missing:
        raise ApiError(404, "file_not_found", f"{param}: there is no file {shown} below api.file_roots", param=param)
    raise ApiError(403, "outside_file_roots", f"{param}: {shown} is not below any of api.file_roots", param=param)


def read_text(name: str, roots: Sequence[str], param: str, limit: int) -> str:
    """The text of a file that a request names.

    Raises:
        ApiError: as `resolve`; 413, it is larger than ``limit`` bytes; 422, it is not a regular file of UTF-8.
    """
    path = resolve(name, roots, param)
    shown = ascii(name[:_LONGEST_SHOWN])
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        raise ApiError(422, "unreadable_file", f"{param}: {shown}: {error.strerror}", param=param) from None
    try:
        opened = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not any(opened.is_relative_to(Path(root).expanduser().resolve()) for root in roots):
            raise ApiError(403, "outside_file_roots", f"{param}: {shown} is not below any of api.file_roots")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ApiError(422, "unreadable_file", f"{param}: {shown} is not a regular file", param=param)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        message = f"{param}: {shown} is larger than {limit} bytes (api.max_body_megabytes)"
        raise ApiError(413, "file_too_large", message, param=param)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ApiError(422, "unreadable_file", f"{param}: {shown} is not UTF-8: {error.reason}", param=param) from None


def _may_be_below(root: Path, name: str) -> bool:
    """Whether a missing file would be below the root, so that its absence may be told."""
    return Path(os.path.normpath(root / name)).is_relative_to(Path(os.path.normpath(root)))
