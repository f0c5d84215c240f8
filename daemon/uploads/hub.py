"""A repository on the Hugging Face hub, a folder of it for each run."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from daemon.uploads.place import UploadError, sum_of_file


class Hub:
    """Copies into ``OWNER/NAME``, private if new. The key is in ``HF_TOKEN``, or from ``hf auth login``.

    Raises:
        UploadError: the package is not installed.
    """

    def __init__(self, repository: str) -> None:
        try:
            import huggingface_hub
        except ImportError as error:
            raise UploadError("huggingface_hub is not installed: pip install 'thord[hub]'") from error
        self._hub = huggingface_hub.HfApi()
        self._repository = repository

    def put(self, name: str, folder: Path, files: Iterable[str]) -> str:
        """As the Protocol, in one commit."""
        try:
            url = self._hub.create_repo(self._repository, private=True, exist_ok=True)
            self._hub.upload_folder(
                folder_path=folder,
                path_in_repo=name,
                repo_id=self._repository,
                commit_message=f"thord {name}",
                allow_patterns=list(files),
            )
        except Exception as error:  # of the package, and of what it speaks HTTP with
            raise UploadError(f"the hub did not take {self._repository}: {error}") from error
        return f"{url}/tree/main/{name}"

    def sums(self, name: str, folder: Path, files: Iterable[str]) -> Mapping[str, str]:
        """As the Protocol. The hub knows the SHA-256 of large files, and of small ones the hash that git gives them."""
        by_path = {f"{name}/{file}": file for file in files}
        try:
            known = self._hub.get_paths_info(self._repository, list(by_path))
        except Exception as error:  # as above
            raise UploadError(f"the hub cannot be asked for {self._repository}: {error}") from error
        found: dict[str, str] = {}
        for each in known:
            file = by_path[each.path]
            lfs = getattr(each, "lfs", None)
            if lfs is not None:
                found[file] = lfs.sha256
            elif getattr(each, "blob_id", None) == _git_hash(folder / file):
                found[file] = sum_of_file(folder / file)
        return found


def _git_hash(file: Path) -> str:
    """The name that git gives to the content of a file."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
