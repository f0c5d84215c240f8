"""API keys: one a line, as they are or as sha256 in hexadecimal; only sums are kept in memory."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)


def keys_file(chosen: str | None, environment: Mapping[str, str]) -> Path | None:
    """The file that was chosen, else the credential ``keys`` that systemd hands over (``LoadCredential=``)."""
    if chosen:
        return Path(chosen).expanduser()
    credential = Path(environment.get("CREDENTIALS_DIRECTORY", "/nowhere")) / "keys"
    try:
        return credential if credential.exists() else None
    except PermissionError:
        return credential  # reading it will say what is wrong; until then nobody is let in


class KeysFileError(Exception):
    """The file cannot be read or holds no key; the message says which file."""


class Keys:
    """Those who may use the API over TCP. ``None`` for the file: everybody."""

    def __init__(self, file: Path | None) -> None:
        self.required = file is not None
        self._sums = [] if file is None else _read(file)

    @staticmethod
    def owner(key: bytes) -> str:
        """Whose sessions these are; the key cannot be told from it."""
        return hashlib.sha256(key).hexdigest()

    def knows(self, key: bytes) -> bool:
        """Whether this key is one of them. Takes the same time for every wrong key."""
        return self._holds(self.owner(key).encode())

    def holds_as_sum(self, key: bytes) -> bool:
        """Whether this is not a key but stands in the file: a key that looks like a sum is taken for one."""
        return self._holds(key.lower())

    def _holds(self, found: bytes) -> bool:
        matches = [hmac.compare_digest(found, known.encode()) for known in self._sums]
        return any(matches)


def _read(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeysFileError(f"the file of API keys, {file}, cannot be read: {error}") from error
    sums = []
    for line in (line.strip() for line in lines):
        if not line or line.startswith("#"):
            continue
        hashed = _SHA256.fullmatch(line)
        sums.append(hashed[1].lower() if hashed else hashlib.sha256(line.encode()).hexdigest())
    if not sums:
        raise KeysFileError(f"the file of API keys, {file}, holds no key")
    return sums
