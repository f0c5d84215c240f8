"""A folder, such as a mounted disk."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from daemon.uploads.place import UploadError, sum_of_file
from engine import disk


class Folder:
    """Copies into ``ROOT/NAME``."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def put(self, name: str, folder: Path, files: Iterable[str]) -> str:
        """As the Protocol; each file appears whole."""
        if not self._root.is_dir():
            raise UploadError(f"{self._root} is not a folder: make it, or mount the disk")
        try:
            for file in files:
                target = self._root / name / file
                target.parent.mkdir(parents=True, exist_ok=True)
                with disk.draft(target) as draft:
                    shutil.copyfile(folder / file, draft)
        except OSError as error:
            raise UploadError(f"{error.filename or self._root}: {error.strerror}") from error
        return str(self._root / name)

    def sums(self, name: str, folder: Path, files: Iterable[str]) -> Mapping[str, str]:
        """As the Protocol."""
        del folder
        found = {file: self._root / name / file for file in files}
        try:
            return {file: sum_of_file(path) for file, path in found.items() if path.is_file()}
        except OSError as error:
            raise UploadError(f"{error.filename}: {error.strerror}") from error
