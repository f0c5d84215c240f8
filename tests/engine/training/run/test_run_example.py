"""The example in the package's own documentation runs, and runs again."""

import textwrap
from pathlib import Path

import pytest

import engine.training
from engine import device
from engine.manifest import verify


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(device, "physical_cores", lambda: 1)
    text = engine.training.__doc__
    code = textwrap.dedent(text[text.index("    from") : text.index("To go on")])
    for _ in range(2):
        exec(compile(code, "example", "exec"), {})
    manifest = verify(tmp_path / "learned" / "versions" / "000001")
    first, second = capsys.readouterr().out.splitlines()
    assert first == second == f"{manifest.parameters} {manifest.metrics['final_loss']}"
