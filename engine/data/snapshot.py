"""The immutable record of what one cycle learns from and is judged on.

A folder with ``train.jsonl`` and ``held_out.jsonl`` (one `Example` a line, with its kind) and ``manifest.json``,
published by rename.
"""

import collections
import contextlib
import dataclasses
import hashlib
import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from engine import artifacts, disk
from engine.data import validation
from engine.data.canonical import from_canonical
from engine.data.held_out import other_place
from engine.data.samples import Sample

_BEFORE_SAMPLE = ', "sample": '
"""Occurs in no string before it, because quotation marks are escaped there."""
_BEFORE_SAMPLE_ONCE = ', "conversation": '
"""The same in snapshots of thord 0.1.0, which hold dialogues and texts and do not name the kind."""

Origin = Literal["new", "replay", "held_out"]


@dataclass(frozen=True, slots=True)
class Example:
    """A sample as a cycle learns from it or is judged on it.

    Attributes:
        learn_from: the first turn that may be supervised; turns before it were learned in an earlier, shorter form.
        validates: not trained on in this cycle, but validated on; learned with a later one.
    """

    sample: Sample
    identity: str
    origin: Origin
    learn_from: int = 0
    source: str = ""
    validates: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotManifest:
    """What a snapshot holds. ``sha256`` covers both files.

    Attributes:
        validating: how many of the new ones validate; null where nobody chose, and the run does.
        text_bytes: of what there is to train on and to validate on, in UTF-8.
        candidates: where nobody chose, what a run chooses from: the places (`held_out.other_place`) and identities of
            those with the lowest places, lowest first. Null in snapshots of thord 0.1.0.
    """

    new: int
    replayed: int
    held_out: int
    sha256: str
    validating: int | None = None
    text_bytes: int = 0
    candidates: list[tuple[float, str]] | None = None


def write(
    folder: Path, train: Iterable[Example], held_out: Iterable[Example], *, is_divided: bool = False
) -> SnapshotManifest:
    """Publish a snapshot at ``folder``; one that is there already is left as it is and its manifest returned.

    ``is_divided``: the examples say which of them validate.
    """
    if folder.exists():
        return read_manifest(folder)
    with artifacts.publishing(folder) as draft:
        digest, validating, size = hashlib.sha256(), 0, 0
        lowest: list[tuple[float, int, str]] = []
        origins: dict[str, int] = {"new": 0, "replay": 0, "held_out": 0}
        for name, examples in (("train.jsonl", train), ("held_out.jsonl", held_out)):
            with (draft / name).open("w", encoding="utf-8") as file:
                for example in examples:
                    line = _to_line(example)
                    digest.update(line.encode())
                    origins[example.origin] += 1
                    validating += example.validates
                    if example.origin != "held_out":
                        size += sum(len(text.encode()) for text in example.sample.texts)
                        if not is_divided:
                            _keep_lowest(lowest, other_place(example.sample), sum(origins.values()), example.identity)
                    file.write(line)
        candidates = [(-place, identity) for place, _, identity in sorted(lowest, reverse=True)]
        manifest = SnapshotManifest(
            new=origins["new"],
            replayed=origins["replay"],
            held_out=origins["held_out"],
            sha256=digest.hexdigest(),
            validating=validating if is_divided else None,
            text_bytes=size,
            candidates=None if is_divided else candidates,
        )
        disk.write_json(draft / artifacts.MANIFEST, asdict(manifest))
    return manifest


def published(parent: Path) -> list[Path]:
    """The snapshots in a folder, by the numbers of their cycles."""
    return sorted(folder for folder in parent.iterdir() if folder.name.isdecimal()) if parent.is_dir() else []


def all_published(parent: Path) -> list[Path]:
    """The snapshots in a folder, of cycles, and of jobs, whose names begin with ``job-``."""
    jobs = sorted(parent.glob("job-*")) if parent.is_dir() else []
    return [*published(parent), *(folder for folder in jobs if folder.name.removeprefix("job-").isdecimal())]


def drop(folder: Path, is_kept: Callable[[Example], bool]) -> int:
    """Rewrite a published snapshot without some of its examples, which were forgotten; how many.

    Nobody may be learning from it. The manifest is written first: after a crash it is done again, to the same end.

    Raises:
        OSError: the disk refused.
    """
    names = ("train.jsonl", "held_out.jsonl")
    gone: list[Example] = [one for name in names for one in _read(folder / name) if not is_kept(one)]
    if not gone:
        return 0
    manifest, digest = read_manifest(folder), hashlib.sha256()
    with contextlib.ExitStack() as drafts:
        for name in names:
            draft = drafts.enter_context(disk.draft(folder / name))
            with draft.open("w", encoding="utf-8") as file:
                for example in filter(is_kept, _read(folder / name)):
                    line = _to_line(example)
                    digest.update(line.encode())
                    file.write(line)
        disk.write_json(folder / artifacts.MANIFEST, asdict(_without(manifest, gone, digest.hexdigest())))
    return len(gone)


def _without(manifest: SnapshotManifest, gone: Sequence[Example], sha256: str) -> SnapshotManifest:
    """The manifest of a snapshot without those examples."""
    origins = collections.Counter(example.origin for example in gone)
    identities = {example.identity for example in gone}
    size = sum(len(text.encode()) for one in gone if one.origin != "held_out" for text in one.sample.texts)
    candidates = manifest.candidates
    return dataclasses.replace(
        manifest,
        new=manifest.new - origins["new"],
        replayed=manifest.replayed - origins["replay"],
        held_out=manifest.held_out - origins["held_out"],
        sha256=sha256,
        validating=None if manifest.validating is None else manifest.validating - sum(one.validates for one in gone),
        text_bytes=manifest.text_bytes - size,
        candidates=candidates and [one for one in candidates if one[1] not in identities],
    )


def read_manifest(folder: Path) -> SnapshotManifest:
    """Counts and hash of a published snapshot."""
    found = json.loads((folder / artifacts.MANIFEST).read_text(encoding="utf-8"))
    if candidates := found.get("candidates"):
        found["candidates"] = [(place, identity) for place, identity in candidates]
    return SnapshotManifest(**found)


class OnePass:
    """The examples that a cycle learns from, read once although they may be looked at beforehand.

    What `ahead` gave is kept in memory until `all` gives it again.
    """

    def __init__(self, folder: Path) -> None:
        self._kept: collections.deque[Example] = collections.deque()
        self._unread = train_examples(folder)

    def ahead(self) -> Iterator[Example]:
        """Examples from the first one on, as far as somebody looks."""
        for example in self._unread:
            self._kept.append(example)
            yield example

    def all(self) -> Iterator[Example]:
        """Every example, once."""
        while self._kept:
            yield self._kept.popleft()
        yield from self._unread


def train_examples(folder: Path) -> Iterator[Example]:
    """What the cycle learns from, in the order written."""
    return _read(folder / "train.jsonl")


def held_out_examples(folder: Path) -> Iterator[Example]:
    """What the cycle is judged on, in the order written."""
    return _read(folder / "held_out.jsonl")


def _keep_lowest(lowest: list[tuple[float, int, str]], place: float, number: int, identity: str) -> None:
    """Keep the lowest places, of equal ones the first, as a heap of their negatives."""
    heapq.heappush(lowest, (-place, -number, identity))
    if len(lowest) > validation.MOST:
        heapq.heappop(lowest)


def _to_line(example: Example) -> str:
    head = {
        "kind": example.sample.kind,
        "identity": example.identity,
        "origin": example.origin,
        "learn_from": example.learn_from,
        "source": example.source,
        **({"validates": True} if example.validates else {}),
    }
    return f"{json.dumps(head, ensure_ascii=False)[:-1]}{_BEFORE_SAMPLE}{example.sample.canonical}}}\n"


def _read(file: Path) -> Iterator[Example]:
    with file.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            head, found, sample = line.partition(_BEFORE_SAMPLE)
            if not found:
                head, _, sample = line.partition(_BEFORE_SAMPLE_ONCE)
            value = json.loads(head + "}")
            value.pop("kind", None)
            yield Example(from_canonical(sample.removesuffix("}\n")), **value)
