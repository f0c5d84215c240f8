"""Whatever fsspec knows an address for: ``s3://``, ``gs://``, ``sftp://``. A boundary module: fsspec has no types.

The library of the scheme (``s3fs`` for ``s3://``) is installed beside fsspec; it finds its own keys.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from daemon.uploads.place import UploadError, sum_of

_BLOCK = 1 << 20


class ObjectStore:
    """Copies below an address.

    Raises:
        UploadError: fsspec, or the library of the scheme, is not installed.
    """

    def __init__(self, address: str) -> None:
        try:
            import fsspec

            self._files, self._root = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise UploadError(f"{address}: {error} (pip install 'thord[uploads]' has fsspec)") from error
        self._address = address.rstrip("/")

    def put(self, name: str, folder: Path, files: Iterable[str]) -> str:
        """As the Protocol."""
        try:
            for file in files:
                target = self._path(name, file)
                self._files.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
                self._files.put_file(str(folder / file), target)
        except Exception as error:  # of whatever library has the scheme
            raise UploadError(f"{self._address}: {error}") from error
        return f"{self._address}/{name}"

    def sums(self, name: str, folder: Path, files: Iterable[str]) -> Mapping[str, str]:
        """As the Protocol; every byte is read back."""
        del folder
        found: dict[str, str] = {}
        for file in files:
            try:
                with self._files.open(self._path(name, file), "rb", cache_type="none") as stream:
                    found[file] = sum_of(iter(partial(stream.read, _BLOCK), b""))
            except FileNotFoundError:
                continue
            except Exception as error:  # of whatever library has the scheme
                raise UploadError(f"{self._address}: {error}") from error
        return found

    def _path(self, name: str, file: str) -> str:
        return f"{self._root.rstrip('/')}/{name}/{file}"
