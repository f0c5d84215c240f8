"""Importing a package without a part of it that no process of thord uses."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


@contextlib.contextmanager
def without_module(name: str) -> Iterator[None]:
    """Inside, importing the module ``name`` for the first time raises `ModuleNotFoundError`."""
    refuse = _Refuse(name)
    sys.meta_path.insert(0, refuse)
    try:
        yield
    finally:
        sys.meta_path.remove(refuse)


@contextlib.contextmanager
def without_names(module: str, names: Sequence[str]) -> Iterator[None]:
    """Inside, importing ``module`` for the first time runs nothing of it, and finds ``names`` in it as None."""
    if module in sys.modules:
        yield
        return
    empty = ModuleType(module)
    for name in names:
        setattr(empty, name, None)
    sys.modules[module] = empty
    try:
        yield
    finally:
        del sys.modules[module]


class _Refuse(MetaPathFinder):
    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == self._name:
            raise ModuleNotFoundError(f"{fullname} is left out on purpose", name=fullname)
        return None
