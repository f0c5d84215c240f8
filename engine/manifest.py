"""``manifest.json`` of a version: everything that is said about it, written and read here. Torch is not needed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from engine import artifacts, disk
from engine.artifacts import MANIFEST, ArtifactError, FileRecord

WEIGHTS, ADAPTER = "model.safetensors", "adapter_model.safetensors"
"""What a version has of the two: its weights, or the adapter that changes those of its base."""


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
    job: int | None = None
    """The job whose run made it, in place of a cycle."""

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


class Base(BaseModel):
    """The version whose weights an adapter changes, and their sum: they never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    sha256: str


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
    job: int | None = None
    base: Base | None = None
    """Of a version that is an adapter; null: it has weights of its own."""

    @property
    def method(self) -> Literal["full", "lora"]:
        """How its weights are kept: all of them, or what an adapter changes in those of its base."""
        return "full" if self.base is None else "lora"

    @property
    def is_pretrained(self) -> bool:
        """Whether its weights, or those it was trained from, came from elsewhere."""
        return self.pretrained or (self.cycle is None and "training" not in self.settings)

    @property
    def sha256(self) -> str:
        """The sum of the weights, or of the adapter, in hexadecimal: what identifies the version."""
        return self.files[WEIGHTS if self.base is None else ADAPTER].sha256


def write_manifest(
    draft: Path,
    lineage: Lineage,
    *,
    family: str,
    parameters: int,
    tokenizer_file: str,
    libraries: Mapping[str, str],
    base: Base | None = None,
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
        base=base,
    )
    disk.write_json(draft / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def read_manifest(folder: Path) -> VersionManifest:
    """The manifest of a published version.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    return artifacts.read_json(folder / MANIFEST, VersionManifest)


def verify(folder: Path, trusted: str | None = None) -> VersionManifest:
    """Check every file of a version, and of the base that it changes, against its manifest, and return that.

    The files of a base whose weights have the sum ``trusted`` are not read: they are in memory already.

    Raises:
        ArtifactError: a file is missing, of another size, or of another sum.
    """
    manifest = read_manifest(folder)
    artifacts.check_files(folder, manifest.files)
    if manifest.base is not None:
        base = base_folder(folder, manifest)
        if manifest.base.sha256 != trusted:
            artifacts.check_files(base, read_manifest(base).files)
    return manifest


def base_folder(folder: Path, manifest: VersionManifest) -> Path:
    """Where the weights of a version are: in its own ``folder``, or in that of its base, beside it.

    Raises:
        ArtifactError: the base is missing, or has other weights than the adapter was trained on; both sums are named.
    """
    if manifest.base is None:
        return folder
    base = folder.parent / version_name(manifest.base.version)
    try:
        found = read_manifest(base)
    except ArtifactError as error:
        raise ArtifactError(f"{folder} is an adapter, and its base cannot be read: {error}") from error
    if found.base is not None or found.sha256 != manifest.base.sha256:
        raise ArtifactError(
            f"{folder} is an adapter for weights with the sum {manifest.base.sha256}; those of {base} have "
            f"{found.sha256}"
        )
    return base


def weights_file(folder: Path, manifest: VersionManifest) -> Path:
    """The file with the weights of a version, or with those of its base. Raises as `base_folder`."""
    return base_folder(folder, manifest) / WEIGHTS
