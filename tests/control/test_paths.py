"""Where thord keeps its files."""

from pathlib import Path

import pytest

from control.paths import as_unit, at_home


def test_a_unit_is_told_its_folders_by_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIGURATION", "STATE", "LOGS", "RUNTIME"):
        assert as_unit() is None
        monkeypatch.setenv(f"{name}_DIRECTORY", f"/x/{name.lower()}/thord")
    paths = as_unit()
    assert paths is not None
    assert paths.config == Path("/x/configuration/thord/thord.toml")
    assert paths.control_socket == Path("/x/runtime/thord/control.sock")
    assert at_home(Path("/h")).control_socket == Path("/h/run/control.sock")
