"""Train a tokenizer, or look at one, without a thord; what is found is printed as JSON.

python -m engine.tokenizers.train train OUT FILE...   learn from conversations and texts of any shape thord knows,
                                                      and publish OUT/tokenizer.json with OUT/manifest.json
python -m engine.tokenizers.train show FOLDER         describe a tokenizer, or that of a version
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from engine import artifacts
from engine.artifacts import ArtifactError, FileRecord
from engine.config.tokenizer import TokenizerSettings
from engine.data import loaders
from engine.data.formats import Found, Limits
from engine.tokenizers import registry
from engine.tokenizers.base import FILE, Tokenizer


class TokenizerManifest(BaseModel):
    """``manifest.json`` of a tokenizer: with the same sources and settings, everything but the time comes out again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    vocabulary: int
    created_at: str
    settings: TokenizerSettings
    sources: dict[str, FileRecord]
    files: dict[str, FileRecord]


def train(target: Path, sources: Sequence[Path], settings: TokenizerSettings) -> TokenizerManifest:
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
    tokenizer = registry.train(settings, _texts(files))
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
        artifacts.write_json(draft / artifacts.MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def load(folder: Path) -> Tokenizer:
    """The tokenizer in a folder that `train` published, or in that of a version.

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
            for item in loaders.read(file, stream, Limits()):
                if isinstance(item, Found):
                    yield from item.conversation.texts


def main() -> int:
    """0, or 1 (2 for wrong settings) and the reason on standard error."""
    parser = argparse.ArgumentParser(description="Train a tokenizer, or look at one.")
    commands = parser.add_subparsers(dest="command", required=True)
    learn = commands.add_parser("train")
    learn.add_argument("target", type=Path, metavar="OUT")
    learn.add_argument("sources", type=Path, nargs="+", metavar="FILE")
    learn.add_argument("--settings", default="{}", metavar="JSON", help="keys of [tokenizer]")
    look = commands.add_parser("show")
    look.add_argument("folder", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    try:
        if options.command == "show":
            print(json.dumps(show(options.folder), ensure_ascii=False))
        else:
            settings = TokenizerSettings.model_validate_json(options.settings)
            print(train(options.target, options.sources, settings).model_dump_json(include={"kind", "vocabulary"}))
    except ValidationError as error:
        print("; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()), file=sys.stderr)
        return 2
    except (ArtifactError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
