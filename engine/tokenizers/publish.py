"""Tokenizers made beforehand: published in a folder with a manifest, loaded from it, described."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

from engine import artifacts, disk
from engine.artifacts import ArtifactError, FileRecord
from engine.config.tokenizer import TokenizerSettings
from engine.data.readers import loaders
from engine.data.readers.items import Found
from engine.data.records.limits import Limits
from engine.tokenizers import registry
from engine.tokenizers.base import FILE, Tokenizer
from engine.tokenizers.train import train


class TokenizerManifest(BaseModel):
    """``manifest.json`` of a tokenizer: with the same sources and settings, everything but the time comes out again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    vocabulary: int
    created_at: str
    settings: TokenizerSettings
    sources: dict[str, FileRecord]
    files: dict[str, FileRecord]


def publish(target: Path, sources: Sequence[Path], settings: TokenizerSettings) -> TokenizerManifest:
    """Publish a tokenizer at ``target``, learned from the texts in ``sources`` in the order given.

    Raises:
        ArtifactError: ``target`` exists, or the sources hold no text.
        OSError: a source cannot be read, or the disk refused.
    """
    if target.exists():
        raise ArtifactError(f"{target} exists already")
    files = [file for source in sources for file in _files(source)]
    texts = _texts(files)
    if next(texts, None) is None:
        raise ArtifactError(f"there is no text to learn from in {', '.join(map(str, sources))}")
    tokenizer = train(settings, _texts(files))
    with artifacts.publishing(target) as draft:
        tokenizer.save(draft)
        manifest = TokenizerManifest(
            kind=tokenizer.kind,
            vocabulary=tokenizer.vocabulary,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            settings=settings,
            sources={
                str(file): FileRecord(sha256=artifacts.sha256_of(file), size=file.stat().st_size) for file in files
            },
            files=artifacts.record_files(draft),
        )
        disk.write_json(draft / artifacts.MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def load(folder: Path) -> Tokenizer:
    """The tokenizer in a folder that `publish` made, or in that of a version.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    return registry.load(_kind(folder), folder)


def show(folder: Path) -> dict[str, JsonValue]:
    """What there is to say of a tokenizer.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    tokenizer = load(folder)
    return {
        "kind": tokenizer.kind,
        "vocabulary": tokenizer.vocabulary,
        "sha256": artifacts.sha256_of(folder / FILE),
        "special_tokens": {name: number for number, name in sorted(tokenizer.specials.items())},
        "longest": [
            tokenizer.decode([number])
            for number in sorted(range(tokenizer.vocabulary), key=lambda n: -len(tokenizer.decode_bytes([n])))[:10]
        ],
    }


def _kind(folder: Path) -> str:
    """From the manifest of a tokenizer, else from the configuration of a version."""
    for file, key in ((folder / artifacts.MANIFEST, "kind"), (folder / "config.json", "tokenizer")):
        try:
            kind = json.loads(file.read_bytes()).get(key)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, AttributeError) as error:
            raise ArtifactError(f"{file}: {error}") from error
        if isinstance(kind, str):
            return kind
    raise ArtifactError(f"{folder} has neither a tokenizer nor a version in it")


def _files(source: Path) -> list[Path]:
    return sorted(file for file in source.rglob("*") if file.is_file()) if source.is_dir() else [source]


def _texts(files: Sequence[Path]) -> Iterator[str]:
    """What people and models say in the files; what cannot be read as that is left out."""
    for file in files:
        with file.open("rb") as stream:
            for item in loaders.read(file, stream, Limits(), is_corpus=True):
                if isinstance(item, Found):
                    yield from item.sample.texts
