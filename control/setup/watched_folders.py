"""Whether the folders of ``paths.watch`` exist: nobody would notice that a mistyped one is not watched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from control.answers import Json


def missing(settings: dict[str, Json]) -> Iterator[str]:
    """What is wrong with each folder that cannot be watched, as far as this user can see."""
    paths = settings.get("paths")
    folders = paths.get("watch") if isinstance(paths, dict) else None
    for name in folders if isinstance(folders, list) else []:
        folder = Path(str(name)).expanduser()
        if not os.access(folder.parent, os.X_OK) and folder.parent.exists():
            continue
        if not folder.exists():
            yield f"paths.watch: there is no folder {folder}"
        elif not folder.is_dir():
            yield f"paths.watch: {folder} is not a folder"
