"""API keys, one a line: the key or its SHA-256 in hexadecimal, and after it, if wanted, what that key may do.

    KEY
    KEY:read,generate

Only the SHA-256 of each key is kept in memory.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from engine import disk

Scope = Literal["read", "generate", "train", "work", "admin"]
"""``read``: see how the service is. ``generate``: use the model. ``train``: have it learn.
``work``: do its jobs on another host. ``admin``: all of these."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
PLAIN: frozenset[Scope] = frozenset({"read", "generate"})
"""What a key may do whose line names no scopes. ``work`` and ``admin`` always need a key that has them."""
LOCAL: frozenset[Scope] = PLAIN | {"train"}
"""What a caller over the Unix socket may do: whoever may open it may have thord learn by ``thorctl`` too."""

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)


def keys_files(chosen: str | None, environment: Mapping[str, str], of_environment: Path) -> list[Path]:
    """The file that was chosen, else the credential ``keys`` that systemd hands over (``LoadCredential=``).

    Besides it there is ``of_environment``, where the environment gave a key (`write_key`).
    """
    also = [of_environment] if of_environment.exists() else []
    if chosen:
        return [Path(chosen).expanduser(), *also]
    credential = Path(environment.get("CREDENTIALS_DIRECTORY", "/nowhere")) / "keys"
    try:
        return [credential, *also] if credential.exists() else also
    except PermissionError:
        return [credential, *also]  # reading it will say what is wrong; until then nobody is let in


def write_key(file: Path, key: str | None) -> None:
    """Write the sum of a key, which may do what the documented API needs, for this user alone; no key, no file.

    Raises:
        OSError: the file cannot be written.
    """
    disk.write_private(file, None if key is None else f"sha256:{Keys.owner(key.encode())}:read,generate,train\n")


class KeysFileError(Exception):
    """The file cannot be read, holds no key, or names a scope that does not exist; the message says where."""


class Keys:
    """Those who may use the API over TCP. No files: everybody."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.required = bool(files)
        self._scopes: dict[str, frozenset[Scope]] = {}
        for file in files:
            for digest, scopes in _read(file).items():
                self._scopes[digest] = self._scopes.get(digest, frozenset()) | scopes

    @staticmethod
    def owner(key: bytes) -> str:
        """Whose sessions these are; the key cannot be told from it."""
        return hashlib.sha256(key).hexdigest()

    def scopes(self, key: bytes) -> frozenset[Scope] | None:
        """What this key may do; None if it is not one of them. Takes the same time for every wrong key."""
        return self._found(self.owner(key).encode())

    def holds_as_sum(self, key: bytes) -> bool:
        """Whether this is not a key but stands in the file: a key that looks like a sum is taken for one."""
        return self._found(key.lower()) is not None

    def _found(self, digest: bytes) -> frozenset[Scope] | None:
        matches = [scopes for known, scopes in self._scopes.items() if hmac.compare_digest(digest, known.encode())]
        return matches[0] if matches else None


def _read(file: Path) -> dict[str, frozenset[Scope]]:
    """The SHA-256 of each key, and its scopes; a key in several lines has those of all of them.

    Raises:
        KeysFileError: see there.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeysFileError(f"the file of API keys, {file}, cannot be read: {error}") from error
    known: dict[str, frozenset[Scope]] = {}
    for number, line in enumerate((line.strip() for line in lines), 1):
        if not line or line.startswith("#"):
            continue
        try:
            key, scopes = _parsed(line)
        except ValueError as error:
            raise KeysFileError(f"the file of API keys, {file}, line {number}: {error}") from None
        hashed = _SHA256.fullmatch(key)
        digest = hashed[1].lower() if hashed else hashlib.sha256(key.encode()).hexdigest()
        known[digest] = known.get(digest, frozenset()) | scopes
    if not known:
        raise KeysFileError(f"the file of API keys, {file}, holds no key")
    return known


def _parsed(line: str) -> tuple[str, frozenset[Scope]]:
    """The key in a line, and its scopes. A colon may belong to the key: scopes follow it where one of them is known.

    Raises:
        ValueError: beside a known scope stands an unknown one, or there is no key. The message does not repeat the key.
    """
    key, _, written = line.rpartition(":")
    names = [name.strip() for name in written.split(",")]
    if not set(names) & set(SCOPES) or ":" not in line:
        return line, PLAIN
    if unknown := [name for name in names if name not in SCOPES]:
        raise ValueError(f"there is no scope {unknown[0]!r}; scopes are {', '.join(SCOPES)}")
    if not key.strip():
        raise ValueError("there is no key before the scopes")
    return key.strip(), frozenset(scope for scope in SCOPES if scope in names)
