"""The snapshot of a cycle or a job that learns from files which somebody named, instead of the ledger."""

import heapq
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from control.paths import Paths
from daemon import log
from daemon.messages import Collect, Collected, CollectFiles
from daemon.settings.sections import Tables
from daemon.workers.intake import folders
from daemon.workers.intake.batches import unexpected
from daemon.workers.intake.folders import Signature
from daemon.workers.intake.snapshots import collected
from daemon.workers.reading import limits_of
from engine.data import enwik8, snapshot
from engine.data.held_out import is_held_out, place
from engine.data.readers import loaders
from engine.data.readers.items import Item, Refused
from engine.data.records.limits import Limits
from engine.data.records.pieces import pieces
from engine.data.samples import Sample, Text
from engine.data.snapshot import Example
from engine.data.storable import storable, storable_path
from engine.data.tasks.posed import posed

_logger = log.get(__name__)


@dataclass(frozen=True)
class _Part:
    """Of the bytes of a file, in hundredths."""

    begin: int
    end: int
    words: str
    reaches_back: bool = False
    """Whether what lies across its beginning is in it too."""


_WHOLE, _LEARNED, _JUDGED = _Part(0, 100, "all"), _Part(0, 90, "the first 90 %"), _Part(90, 95, "the 5 % after 90 %")
_REST = _Part(90, 100, "the last tenth", reaches_back=True)
"""All that is not learned: what a short file is judged on."""
_SHORTEST_PIECE = 200
"""Bytes of text, where it is cut finer to have enough to judge on."""
_LARGEST_PART = 4
"""One in so many of a few conversations may be held out, where the share by hash is not enough to judge on."""


Reading = Callable[[Path, Signature], AbstractContextManager[None]]
"""Entered while a file is read; raises UnreadableError if it cannot be read."""


class CollectError(Exception):
    """The files that were named cannot be learned from; the message names the file."""


def write_snapshot(
    command: Collect | CollectFiles,
    paths: Paths,
    settings: Tables,
    advance: Callable[[], None],
    reading: Reading,
    is_forgotten: Callable[[Sample, str], bool],
) -> Collected:
    """Write a snapshot of the named files, or find that done; the ledger is not touched.

    What was forgotten, by sample and identity, is left out.

    What is held out by the hash of its opening, or begins as something in the validation files does, is not trained on;
    of few conversations more are held out than the share, so that they can be judged on, unless a job asks for none.
    With ``split`` the place in a file decides instead of the hash. ``advance`` is called for every record and for what
    is fetched, and may raise to stop.

    Raises:
        CollectError: a file cannot be read or fetched, or nothing in the files can be learned.
        OSError: the snapshot cannot be written.
    """
    most, wanted = settings.evaluation.max_conversations, 2 * settings.gate.min_conversations
    limits = limits_of(settings.data, settings.all_tasks)
    files = _expand(command.files, paths, settings, advance)
    others = _expand(command.validation_files, paths, settings, advance)
    by_hash = not others and not command.split

    def read(paths: list[Path], part: _Part, *, may_be_empty: bool = False) -> Iterator[Example]:
        return _read_all(paths, limits, part, advance, reading, is_forgotten, may_be_empty=may_be_empty)

    def few(examples: Iterator[Example]) -> list[Example]:
        return heapq.nsmallest(most, examples, key=lambda example: example.identity)

    share = 0.0
    if by_hash and not _holds_nothing_out(command):
        share = _share(read(files, _WHOLE), _held_out_share(command, settings), wanted)
    if by_hash:
        judged = few(example for example in read(files, _WHOLE) if is_held_out(example.sample, share))
    elif others:
        judged = few(read(others, _WHOLE))
    else:
        judged = few(read(files, _JUDGED, may_be_empty=True))
        if len(judged) < settings.gate.min_conversations:
            judged = _cut_finer(few(read(files, _REST)), wanted)
    groups = set() if by_hash else {example.sample.group for example in judged}

    def is_trained_on(sample: Sample) -> bool:
        return (command.split or not is_held_out(sample, share)) and sample.group not in groups

    found = read(files, _LEARNED if command.split else _WHOLE)
    train = (example for example in found if is_trained_on(example.sample))
    first = next(train, None)
    if first is None:
        raise CollectError(f"{', '.join(command.files)}: everything in it is held out, nothing is left to learn from")
    made = snapshot.write(
        paths.snapshot(command.cycle) if isinstance(command, Collect) else paths.job_snapshot(command.job),
        train=itertools.chain([first], train),
        held_out=map(_as_held_out, judged),
    )
    return collected(command, made)


def _holds_nothing_out(command: Collect | CollectFiles) -> bool:
    """Whether whoever asked for the job wants all of it learned, and nothing judged."""
    return isinstance(command, CollectFiles) and command.held_out_share == 0


def _held_out_share(command: Collect | CollectFiles, settings: Tables) -> float:
    asked = command.held_out_share if isinstance(command, CollectFiles) else None
    return settings.data.held_out_share if asked is None else asked


def _share(examples: Iterator[Example], share: float, wanted: int) -> float:
    """The share to hold out: that of the settings, or as much more as it takes to have ``wanted`` of few."""
    places: list[float] = []
    below = 0
    for example in examples:
        places.append(place(example.sample))
        below += places[-1] < share
        if below >= wanted:
            return share
    number = min(wanted, len(places) // _LARGEST_PART)
    return max(share, sorted(places)[number]) if number > below else share


def _cut_finer(examples: list[Example], wanted: int) -> list[Example]:
    """Texts in shorter pieces, so that there are so many; dialogues stay whole."""
    size = sum(len(example.sample.text.encode()) for example in examples if isinstance(example.sample, Text))
    longest = max(_SHORTEST_PIECE, size // wanted)
    cut: list[Example] = []
    for example in examples:
        sample = example.sample
        parts = pieces(sample.text, longest) if isinstance(sample, Text) else [sample]
        cut += [Example(part, part.identity, "new", source=example.source) for part in parts]
    return cut


def _expand(names: tuple[str, ...], paths: Paths, settings: Tables, advance: Callable[[], None]) -> list[Path]:
    """The named files, what lies in the named folders, and corpora known by name."""
    files: list[Path] = []
    for name in names:
        path = Path(name)
        if name == enwik8.NAME:
            files.append(_fetch_enwik8(paths, settings, advance))
        else:
            files += sorted(folders.walk(path, paths)) if path.is_dir() else [path]
    return files


def _fetch_enwik8(paths: Paths, settings: Tables, advance: Callable[[], None]) -> Path:
    try:
        return enwik8.fetch(settings.data.enwik8_address, paths.corpora, settings.data.enwik8_sha256, advance)
    except enwik8.FetchError as error:
        raise CollectError(str(error)) from error


def _read_all(
    files: list[Path],
    limits: Limits,
    part: _Part,
    advance: Callable[[], None],
    reading: Reading,
    is_forgotten: Callable[[Sample, str], bool],
    *,
    may_be_empty: bool = False,
) -> Iterator[Example]:
    """Every dialogue, text and labelled sample of a task in that part of each file, once.

    Raises:
        CollectError: a file cannot be read, or there is nothing in that part of it, unless it ``may_be_empty``.
    """
    seen: set[str] = set()
    for path in files:
        found = held = forgotten = 0
        problem = (
            "it holds nothing to learn"
            if part is _WHOLE
            else f"{part.words} of it hold no whole conversation or text; it is too short to be split"
        )
        for item in _items(path, limits, part, reading):
            advance()
            if isinstance(item, Refused):
                problem = f"line {item.line}: {item.reason}" if item.line else item.reason
                _logger.warning("a record is left out", file=storable_path(path), line=item.line, reason=item.reason)
                continue
            if posed(item.sample, limits.tasks) is None:
                held += 1
                continue
            identity = item.sample.identity
            if is_forgotten(item.sample, identity):
                forgotten += 1
                continue
            found += 1
            if identity not in seen:
                seen.add(identity)
                yield Example(item.sample, identity, "new", source=f"{storable_path(path)}:{item.line}")
        if held:
            _logger.warning("preferences, and labels of no task, are left out", file=storable_path(path), samples=held)
            problem = f"it holds {held} preferences or labels of no task, which no objective learns yet"
        if forgotten:
            _logger.warning("what was forgotten is left out", file=storable_path(path), samples=forgotten)
            problem = f"{forgotten} samples of it were forgotten ('thorctl data forget')"
        if not found and not may_be_empty:
            raise CollectError(f"{storable_path(path)}: {problem}")


def _items(path: Path, limits: Limits, part: _Part, reading: Reading) -> Iterator[Item]:
    """What lies wholly in that part."""
    try:
        descriptor = folders.open_file(Path(os.path.realpath(path)))
        status = os.fstat(descriptor)
        with open(descriptor, "rb") as stream, reading(path, Signature.of(status)):  # noqa: PTH123 - a descriptor
            size = status.st_size
            begin, end = part.begin * size // 100, part.end * size // 100
            for item in loaders.read(path, stream, limits, is_corpus=True):
                if item.start >= end > 0:
                    if item.resume.offset >= end:  # else rows of a conversation before it may still be waiting
                        return
                    continue
                if (begin <= item.start or (part.reaches_back and begin < item.end)) and item.end <= end:
                    yield item
    except (OSError, folders.UnreadableError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CollectError(f"{storable_path(path)}: {storable(reason)}") from error
    except CollectError:
        raise
    except Exception as error:
        _logger.exception("reading a file failed", file=storable_path(path))
        raise CollectError(f"{storable_path(path)}: {unexpected(error)}") from error


def _as_held_out(example: Example) -> Example:
    return Example(example.sample, example.identity, "held_out", source=example.source)
