"""An adapter in PEFT's files, published as a version of thord over a base that is there."""

from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from engine import generation, model_files, version
from engine.adapters import adapter as adapters
from engine.artifacts import ArtifactError
from engine.foreign_model import ForeignModelError
from engine.huggingface import model_config
from engine.manifest import WEIGHTS, Base, Lineage, VersionManifest, base_folder, read_manifest, version_name
from engine.models import registry
from engine.tokenizers import registry as tokenizers


def take(source: Path, target: Path, number: int, serving: Path | None) -> VersionManifest:
    """Publish the adapter in ``source`` as version ``number`` at ``target``.

    Its base is that of ``serving``, the version in service, or that version itself. An adapter that thord wrote names
    the sum of its base, and is laid over the version that has it.

    Raises:
        ForeignModelError: it cannot be taken over; the message says why.
        ArtifactError: the base is damaged, or there is another version at ``target``.
        OSError: the disk is full or refused.
    """
    if fault := model_files.fault(source, "peft"):
        raise ForeignModelError(fault)
    if serving is None:
        raise ForeignModelError(f"{source} is an adapter: import and promote the model that it changes first")
    base = _base(source, serving)
    config = version.read_config(base)
    layout = model_config.layout_of(config.model, config.tokenizer)
    try:
        skeleton = registry.skeleton(config.model, config.vocabulary)
        adapter = adapters.read(source, skeleton, rename=layout.ours if layout else str)
        if layout and layout.names and (adapter.config.rank_pattern or adapter.config.alpha_pattern):
            raise ForeignModelError(f"{source}: rank_pattern and alpha_pattern are not read for this type of model")
    except ArtifactError as error:
        raise ForeignModelError(str(error)) from error
    of_base = Base(version=int(base.name), sha256=read_manifest(base).sha256)
    name = adapter.config.base_name
    about = {"base": version_name(of_base.version)} | ({"name": name} if name else {})
    lineage = Lineage.imported(number, source, config.model.model_dump(mode="json"), about)
    words = tokenizers.load(config.tokenizer, base)
    return version.publish(target, adapter, config.model, words, lineage, None, generation.read(base), of_base)


def _base(source: Path, serving: Path) -> Path:
    """The folder of the version that an adapter changes.

    Raises:
        ForeignModelError: it names the sum of another base, which no version here has.
        ArtifactError: the version in service is damaged.
    """
    found = base_folder(serving, read_manifest(serving))
    here, wanted = read_manifest(found).sha256, _named_sum(source)
    if wanted in (None, here):
        return found
    for folder, sha256 in _whole_versions(serving.parent):
        if sha256 == wanted:
            return folder
    raise ForeignModelError(
        f"{source} is an adapter for a base with the sum {wanted}, which no version here has; the base in service, "
        f"version {found.name}, has {here}"
    )


def _whole_versions(folder: Path) -> Iterator[tuple[Path, str]]:
    """Versions with weights of their own, and the sum of these."""
    for one in sorted(path for path in folder.iterdir() if path.name.isdecimal()):
        try:
            manifest = read_manifest(one)
        except ArtifactError:
            continue
        if manifest.base is None and (one / WEIGHTS).exists():
            yield one, manifest.sha256


def _named_sum(source: Path) -> str | None:
    """The sum of its base that an adapter of thord's names; null for others.

    Raises:
        ForeignModelError: the file is damaged.
    """
    file = source / adapters.FILE
    try:
        with safe_open(file, framework="pt") as stored:
            said = stored.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ForeignModelError(f"{file}: {error}") from error
    return said.get(adapters.BASE_SHA256)
