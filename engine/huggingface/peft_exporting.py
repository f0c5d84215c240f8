"""A version that is an adapter, as a folder that PEFT and vLLM read: its two files, as they are.

``python -m engine.huggingface.peft_exporting VERSION_FOLDER DIR`` writes one.
"""

import shutil
import sys
from pathlib import Path

from engine import artifacts
from engine.adapters import adapter as adapters
from engine.adapters import config
from engine.foreign_model import ForeignModelError, export_parser, export_status
from engine.manifest import verify


def write(source: Path, target: Path) -> None:
    """Write the adapter of the version in ``source`` to the folder ``target``, which must not exist yet.

    Raises:
        ArtifactError: the version is damaged.
        ForeignModelError: it is a whole model, or ``target`` exists.
        OSError: the disk is full or refused.
    """
    if target.exists():
        raise ForeignModelError(f"{target} exists already")
    if verify(source).base is None:
        raise ForeignModelError(f"version {source.name} is a whole model, not an adapter: thorctl export hf {target}")
    with artifacts.publishing(target) as draft:
        for name in (config.FILE, adapters.FILE):
            shutil.copyfile(source / name, draft / name)


def main() -> int:
    """0, or 1 and the reason on standard error."""
    options = export_parser("Write an adapter in the files of PEFT.", "DIR").parse_args()
    return export_status(lambda: write(options.version, options.target))


if __name__ == "__main__":
    sys.exit(main())
