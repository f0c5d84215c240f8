"""A version that is an adapter, as a folder that PEFT and vLLM read: its two files, with names as its base has them.

``python -m engine.huggingface.peft_exporting VERSION_FOLDER DIR`` writes one.
"""

import shutil
import sys
from pathlib import Path

from engine import artifacts, version
from engine.adapters import adapter as adapters
from engine.adapters import config
from engine.foreign_model import ForeignModelError, export_parser, export_status
from engine.huggingface import model_config
from engine.huggingface.model_layout import ModelLayout
from engine.manifest import verify
from engine.models import registry


def write(source: Path, target: Path) -> None:
    """Write the adapter of the version in ``source`` to the folder ``target``, which must not exist yet.

    Raises:
        ArtifactError: the version is damaged.
        ForeignModelError: it is a whole model, or ``target`` exists.
        OSError: the disk is full or refused.
    """
    if target.exists():
        raise ForeignModelError(f"{target} exists already")
    manifest = verify(source)
    if manifest.base is None:
        raise ForeignModelError(f"version {source.name} is a whole model, not an adapter: thorctl export hf {target}")
    said = version.read_config(source)
    layout = model_config.layout_of(said.model, said.tokenizer)
    with artifacts.publishing(target) as draft:
        for name in (config.FILE, adapters.FILE):
            shutil.copyfile(source / name, draft / name)
        if layout is not None and layout.names:
            _rename(draft, source, layout, manifest.base.sha256)


def _rename(draft: Path, source: Path, layout: ModelLayout, base_sha256: str) -> None:
    """Call maps as the layout of the base does."""
    said = version.read_config(source)
    adapter = adapters.read(draft, registry.skeleton(said.model, said.vocabulary))
    if adapter.config.rank_pattern or adapter.config.alpha_pattern:
        raise ForeignModelError(f"{source}: rank_pattern and alpha_pattern are not written for this type of model")
    factors = {layout.theirs(name): factor for name, factor in adapter.factors.items()}
    adapters.write_factors(draft / adapters.FILE, factors, base_sha256)
    config.write(draft, adapter.config, sorted(map(layout.theirs, adapter.maps)), across=False)


def main() -> int:
    """0, or 1 and the reason on standard error."""
    options = export_parser("Write an adapter in the files of PEFT.", "DIR").parse_args()
    return export_status(lambda: write(options.version, options.target))


if __name__ == "__main__":
    sys.exit(main())
