"""``manifest.json`` of a version: everything that is said about it, written and read here. Torch is not needed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

from engine import artifacts, disk
from engine.artifacts import MANIFEST, FileRecord


def version_name(number: int) -> str:
    """A version as people and folders name it: ``000012``."""
    return f"{number:06d}"


@dataclass(frozen=True)
class Lineage:
    """Where a version comes from.

    An imported one has neither parent nor cycle, and learned from no snapshot: its ``snapshot_sha256`` is empty.
    """

    version: int
    parent: int | None
    cycle: int | None
    snapshot_sha256: str
    seed: int
    settings: dict[str, JsonValue]
    training_seconds: float
    metrics: dict[str, float]
    pretrained: bool = False

    @classmethod
    def imported(cls, version: int, source: Path, model: dict[str, JsonValue], about: Mapping[str, str]) -> "Lineage":
        """The lineage of a model from elsewhere.

        Args:
            version: the number it gets.
            source: the file or folder it was read from.
            model: its settings.
            about: what it says of itself: ``name``, ``maker``, ``licence``, ``url``, each only where it is said.
        """
        settings: dict[str, JsonValue] = {"model": model, "imported": {"from": str(source), **about}}
        return cls(
            version=version,
            parent=None,
            cycle=None,
            snapshot_sha256="",
            seed=0,
            settings=settings,
            training_seconds=0.0,
            metrics={},
        )


class VersionManifest(BaseModel):
    """``manifest.json`` of a published version: its lineage, what it is, and the sums of its files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    parent: int | None
    cycle: int | None
    created_at: str
    family: str
    parameters: int
    tokenizer_sha256: str
    snapshot_sha256: str
    seed: int
    settings: dict[str, JsonValue]
    libraries: dict[str, str]
    training_seconds: float
    metrics: dict[str, float]
    files: dict[str, FileRecord]
    pretrained: bool = False

    @property
    def is_pretrained(self) -> bool:
        """Whether its weights, or those it was trained from, came from elsewhere."""
        return self.pretrained or (self.cycle is None and "training" not in self.settings)

    @property
    def sha256(self) -> str:
        """The sum of the weights, in hexadecimal: what identifies the version."""
        return self.files["model.safetensors"].sha256


def write_manifest(
    draft: Path,
    lineage: Lineage,
    *,
    family: str,
    parameters: int,
    tokenizer_file: str,
    libraries: Mapping[str, str],
) -> VersionManifest:
    """Write the manifest of the version in ``draft``, whose other files are all there.

    Raises:
        OSError: the disk refused.
    """
    files = artifacts.record_files(draft)
    manifest = VersionManifest(
        **asdict(lineage),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        family=family,
        parameters=parameters,
        tokenizer_sha256=files[tokenizer_file].sha256,
        libraries=dict(libraries),
        files=files,
    )
    disk.write_json(draft / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def read_manifest(folder: Path) -> VersionManifest:
    """The manifest of a published version.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    return artifacts.read_json(folder / MANIFEST, VersionManifest)


def verify(folder: Path) -> VersionManifest:
    """Check every file of a version against its manifest, and return that.

    Raises:
        ArtifactError: a file is missing, of another size, or of another sum.
    """
    manifest = read_manifest(folder)
    artifacts.check_files(folder, manifest.files)
    return manifest
