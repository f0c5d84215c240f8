"""What the header of a GGUF file says: values by key, each of the kind that is asked for, or an error that names it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.foreign_model import ForeignModelError

Value = bool | int | float | str | list[str] | NDArray[np.int64] | NDArray[np.float64]


class Metadata:
    """The values of a GGUF file by key, with a check of each type."""

    def __init__(self, path: Path, values: Mapping[str, Value]) -> None:
        self.path = path
        self._values = values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def get(self, key: str) -> Value | None:
        """The value of a key, of any type; null if the key is missing."""
        return self._values.get(key)

    def integer(self, key: str, default: int | None = None) -> int:
        """A number without fraction; one for each layer is taken where all are the same.

        Raises:
            ForeignModelError: it is missing, or of another kind.
        """
        value = self._found(key, default)
        if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and len(value) and (value == value[0]).all():
            value = int(value[0].item())
        if isinstance(value, np.ndarray):
            raise ForeignModelError(f"{self.path}: {key} differs between layers, which thord's families do not have")
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._odd(key)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A number, as short as it is the same in float32: 1e-5 and not 9.9999997e-06.

        Raises:
            ForeignModelError: it is missing, or of another kind.
        """
        value = self._found(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._odd(key)
        return float(str(np.float32(value)))

    def flag(self, key: str, default: bool) -> bool:
        """A truth value.

        Raises:
            ForeignModelError: it is of another kind.
        """
        value = self._found(key, default)
        if not isinstance(value, bool):
            raise self._odd(key)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A text.

        Raises:
            ForeignModelError: it is missing, or of another kind.
        """
        value = self._found(key, default)
        if not isinstance(value, str):
            raise self._odd(key)
        return value

    def texts(self, key: str, default: list[str] | None = None) -> list[str]:
        """A list of texts.

        Raises:
            ForeignModelError: it is missing, or of another kind.
        """
        value = self._found(key, default)
        if not isinstance(value, list):
            raise self._odd(key)
        return value

    def array(self, key: str, length: int, default: float) -> NDArray[np.float64]:
        """A list of so many numbers; ``default`` everywhere where it is missing.

        Raises:
            ForeignModelError: it has another length, or is of another kind.
        """
        value = self._values.get(key)
        if value is None:
            return np.full(length, default)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
            raise self._odd(key)
        if len(value) != length:
            raise ForeignModelError(f"{self.path} is damaged: {key} has {len(value)} values, not {length}")
        return value.astype(np.float64)

    def _found(self, key: str, default: Value | None) -> Value:
        value = self._values.get(key, default)
        if value is None:
            raise ForeignModelError(f"{self.path}: {key} is missing")
        return value

    def _odd(self, key: str) -> ForeignModelError:
        return ForeignModelError(f"{self.path}: {key} has an unexpected type")
