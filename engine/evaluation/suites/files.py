"""What is in the files of a suite, or in those that somebody named: different samples, with the file of each."""

import codecs
import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.data.readers import loaders
from engine.data.readers.items import Refused
from engine.data.records.limits import Limits
from engine.data.records.text import UTF16_MARKS
from engine.data.snapshot import Example

_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_HEAD_BYTES = 4096
_GZIP = b"\x1f\x8b"
_logger = logging.getLogger(__name__)


class BadFilesError(Exception):
    """Nothing can be measured on these files; the message says which, where and why."""


@dataclass(frozen=True)
class SuiteData:
    """The samples in the order of their identities, and how many records could not be read.

    Attributes:
        sha256: of what is in the files, in hexadecimal: the same samples have the same sum.
    """

    examples: tuple[Example, ...]
    refused: int
    sha256: str


def read(paths: Iterable[Path], limits: Limits, advance: Callable[[str], None] = lambda activity: None) -> SuiteData:
    """Read files.

    Raises:
        BadFilesError: a file cannot be read, is not what its name says, or has no record that can be learned from.
    """
    found: dict[str, Example] = {}
    left_out = 0
    for file in paths:
        if not file.is_file():
            raise BadFilesError(f"{file} is not a file")
        before, refused = len(found), list[Refused]()
        try:
            with file.open("rb") as stream:
                _check_is_json(file, stream.read(_HEAD_BYTES))
                for item in loaders.read(file, stream, limits, is_corpus=True):
                    advance(f"reading {file.name}")
                    if isinstance(item, Refused):
                        refused.append(item)
                    else:
                        identity = item.sample.identity
                        found[identity] = Example(item.sample, identity, "held_out", source=str(file))
        except OSError as error:
            raise BadFilesError(f"{file}: {error.strerror}") from error
        if len(found) == before and refused:
            raise BadFilesError(f"{file}, line {refused[0].line}: {refused[0].reason}")
        if refused:
            _logger.warning("%s: %d records left out, the first: %s", file, len(refused), refused[0].reason)
        left_out += len(refused)
    digest = hashlib.sha256("".join(sorted(found)).encode()).hexdigest()
    return SuiteData(tuple(found[identity] for identity in sorted(found)), left_out, digest)


def _check_is_json(file: Path, raw: bytes) -> None:
    """Of a file that is named as JSON, whether it begins as that: else it would be measured as one long text.

    Raises:
        BadFilesError: it does not.
    """
    begin = raw.removeprefix(codecs.BOM_UTF8).lstrip()
    is_text = b"\0" not in raw and not raw.startswith((*UTF16_MARKS, _GZIP))
    if file.suffix.lower() in _JSON_SUFFIXES and is_text and begin and begin[:1] not in b"{[":
        line = 1 + raw[: len(raw) - len(begin)].count(b"\n")
        raise BadFilesError(f"{file}, line {line}: not valid JSON, as its name says that it is")


def inside(path: Path) -> list[Path]:
    """The files in a folder, and in those inside it; hidden ones are left out. A file is itself.

    Raises:
        BadFilesError: the folder has none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    if not found:
        raise BadFilesError(f"the folder {path} has no file")
    return found
