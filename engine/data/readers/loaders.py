"""Loaders of others, for files that thord does not know: an entry point of group ``thord.loaders`` each.

A package declares one in its ``pyproject.toml``:

    [project.entry-points."thord.loaders"]
    novels = "novels.thord:Novels"

and is asked for every file whose name ends as it says. What it yields are records of any shape that thord knows; what
it raises is refused with its name, like a record that cannot be read, and stops nothing.
"""

import functools
import logging
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from pydantic import JsonValue

from engine.data.readers import task_files
from engine.data.readers.items import Item, Refused, Resume, items_of
from engine.data.readers.messengers import slack
from engine.data.readers.plain_runs import Piece, one_by_one
from engine.data.readers.read import read_known_pieces
from engine.data.records import registry
from engine.data.records.exports import chatgpt_feedback
from engine.data.records.limits import FormatError, Limits
from engine.data.records.renaming import as_known

GROUP = "thord.loaders"
_FROM_START = Resume("document", 0, 1)
_logger = logging.getLogger(__name__)


@runtime_checkable
class Loader(Protocol):
    """What an entry point of the group names, or makes when it is called without arguments.

    Attributes:
        suffixes: how the names of its files end, such as ``(".epub",)``; upper and lower case are one.
    """

    suffixes: tuple[str, ...]

    def read(self, file: BinaryIO) -> Iterator[JsonValue]:
        """The records of a file, one after the other: ``{"text": ...}``, ``{"messages": [...]}``, and the like.

        ``file`` is at its beginning and can be sought in. Memory should not grow with it.
        """
        ...


def read(
    path: Path, stream: BinaryIO, limits: Limits, resume: Resume | None = None, *, is_corpus: bool = False
) -> Iterator[Item]:
    """As `engine.data.readers.read`, by the loader that knows such a name, where there is one.

    A loader's file is read from its beginning whenever it has changed. Where a record begins and ends is where the
    loader was in the file before and after it, unless it closed it, as `io.TextIOWrapper` does when it goes.
    """
    return one_by_one(read_pieces(path, stream, limits, resume, is_corpus=is_corpus))


def read_pieces(
    path: Path, stream: BinaryIO, limits: Limits, resume: Resume | None = None, *, is_corpus: bool = False
) -> Iterator[Piece]:
    """The same, with plain dialogues in runs."""
    found = _loader_of(path)
    if found is None and (task := task_files.task_of(path, limits)) is not None:
        stream.seek(0)
        yield from task_files.read(stream, limits, task)
    elif found is None:
        limits = chatgpt_feedback.with_feedback_beside(slack.with_people_beside(limits, path), path)
        yield from read_known_pieces(stream, limits, resume, is_corpus=is_corpus)
    else:
        yield from _loaded(*found, stream, limits)


def _loaded(name: str, loader: Loader, stream: BinaryIO, limits: Limits) -> Iterator[Piece]:
    """What a loader yields."""
    stream.seek(0)
    line, start = 0, 0
    try:
        for record in loader.read(stream):
            line, end = line + 1, start if stream.closed else max(start, stream.tell())
            yield from _items(record, limits, line, start, end)
            start = end
    except (Exception, SystemExit) as error:
        _logger.warning("loader %s failed", name, exc_info=True)
        reason = f"loader '{name}' failed after {line} records: {type(error).__name__}: {error}"
        yield Refused(reason, 0, start, start, _FROM_START)


def _items(record: JsonValue, limits: Limits, line: int, start: int, end: int) -> Iterator[Item]:
    try:
        yield from items_of(registry.parse(as_known(record, limits), limits), line, start, end, _FROM_START)
    except FormatError as error:
        yield Refused(str(error), line, start, end, _FROM_START)


def _loader_of(path: Path) -> tuple[str, Loader] | None:
    name = path.name.lower()
    fitting = (one for one in _loaders() if name.endswith(tuple(suffix.lower() for suffix in one[1].suffixes)))
    return next(fitting, None)


@functools.cache
def _loaders() -> tuple[tuple[str, Loader], ...]:
    """Those installed, by name; one that cannot be loaded is said, once, and left out."""
    found = []
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
        try:
            found.append((point.name, _made(point)))
        except (Exception, SystemExit) as error:  # code of others
            _logger.warning("loader %s (%s) cannot be used: %s", point.name, point.value, error)
    return tuple(found)


def _made(point: metadata.EntryPoint) -> Loader:
    named = point.load()
    made = named() if isinstance(named, type) else named
    if not isinstance(made, Loader):
        raise TypeError("it has no suffixes, or no method read")
    suffixes: object = made.suffixes
    if not isinstance(suffixes, tuple | list) or not all(isinstance(one, str) and one for one in suffixes):
        raise TypeError(f'its suffixes must be a tuple of strings, such as (".epub",), and are {suffixes!r}')
    return made
