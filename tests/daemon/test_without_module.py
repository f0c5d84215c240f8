"""What is left out while a package is imported is left out then, and only then."""

import importlib
import sys

import pytest

from daemon.without_module import without_module, without_names


def test_a_module_cannot_be_imported_inside_and_can_be_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with without_module("wave"):
        with pytest.raises(ModuleNotFoundError, match="left out on purpose"):
            importlib.import_module("wave")
        importlib.import_module("colorsys")
    importlib.import_module("wave")


def test_names_of_a_module_that_is_not_run_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with without_names("wave", ["Error"]):
        assert importlib.import_module("wave").Error is None
    wave = importlib.import_module("wave")
    with without_names("wave", ["Error"]):
        assert importlib.import_module("wave") is wave, "what is there already stays"
