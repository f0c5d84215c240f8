"""Files of environment variables, such as ``.env``: one ``NAME=value`` a line, as Docker and systemd read them."""

import re
from pathlib import Path

DEFAULT_NAME = ".env"
"""A file of this name beside ``thord.toml`` is read where no other is named."""

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)
_QUOTED = re.compile(r"""(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?""", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class EnvFileError(Exception):
    """The file cannot be read. ``faults`` has a sentence for each mistake, with its line and without any value."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


def read(file: Path) -> dict[str, str]:
    """The variables in a file.

    Lines that are empty or begin with ``#`` are skipped, and ``export`` before a name is allowed. A value may be in
    single quotes (taken as it is) or in double quotes (``\\n``, ``\\t`` and ``\\"`` mean what they usually do); without
    quotes it ends before `` #``. Names of other variables in a value are not replaced.

    Raises:
        EnvFileError: the file is missing or unreadable, or lines of it mean nothing; all of them at once.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise EnvFileError([f"{file}: not UTF-8 at byte {error.start}"]) from None
    except OSError as error:
        raise EnvFileError([f"{file}: cannot be read: {error.strerror}"]) from None
    found: dict[str, tuple[int, str]] = {}
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            parsed = _parsed(line.strip())
        except ValueError as error:
            faults.append(f"{file}, line {number}: {error}")
            continue
        if parsed is None:
            continue
        name, value = parsed
        first, before = found.setdefault(name, (number, value))
        if before != value:
            faults.append(f"{file}, line {number}: {name} is set in line {first} already, to another value: remove one")
    if faults:
        raise EnvFileError(faults)
    return {name: value for name, (_, value) in found.items()}


def _parsed(line: str) -> tuple[str, str] | None:
    """Name and value; null for a line that says nothing. The messages of errors do not repeat values.

    Raises:
        ValueError: it is not of the form ``NAME=value``.
    """
    if not line or line.startswith("#"):
        return None
    matched = _LINE.fullmatch(line)
    if matched is None:
        raise ValueError("expected NAME=value")
    name, written = matched.groups()
    if "\0" in written:
        raise ValueError(f"{name}: a value cannot hold a zero byte")
    if written[:1] in {'"', "'"}:
        quoted = _QUOTED.fullmatch(written)
        if quoted is None:
            raise ValueError(f"{name}: the quotes around the value do not end, or text follows them")
        if quoted[2] is not None:
            return name, quoted[2]
        value = quoted[1]
    else:
        value = re.split(r"(?:^|\s)#", written, maxsplit=1)[0].rstrip()
    if "${" in value:
        raise ValueError(
            f"{name}: ${{…}} is not replaced here: write the value out, or in single quotes if it is meant"
        )
    if written[:1] == '"':
        value = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), value)
    return name, value


def home_in(file: Path) -> str | None:
    """The home that a file of variables chooses; null if it chooses none.

    Raises:
        EnvFileError: see `read`.
    """
    found = read(file)
    return found.get("THORD_HOME") or found.get("APP__DATA_ROOT")
