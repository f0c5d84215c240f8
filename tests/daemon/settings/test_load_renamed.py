"""Settings' old names keep working, in every place a setting is given or was recorded, and whoever uses one is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, JsonValue

from control.paths import Paths, at_home
from daemon.settings.load import SettingsError, load
from daemon.settings.reload import flatten
from daemon.settings.sections import Tables
from daemon.supervisor.store.records import CycleRequest
from engine.config.renamed import RENAMED, tables_with_new_names
from engine.config.training import TrainingSettings

VALUES: dict[str, JsonValue] = {
    "training.accumulation": 3,
    "training.average": 0.25,
    "training.clip": 0.75,
    "training.length": 96,
    "training.look_every": 7,
    "training.recompute": "full",
    "evaluation.length": 80,
    "gate.draws": 123,
}
"""A value for each old name that is no default."""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    for name in [name for name in os.environ if name.startswith("THORD")]:
        monkeypatch.delenv(name)
    return at_home(tmp_path)


def test_the_table_leads_from_names_that_are_gone_to_names_that_exist() -> None:
    known = flatten(Tables()).keys()
    assert RENAMED.keys() == VALUES.keys()
    assert not RENAMED.keys() & known
    assert set(RENAMED.values()) <= known


@pytest.mark.parametrize("old", RENAMED)
@pytest.mark.parametrize("source", ["file", "environment", "--set"])
def test_an_old_name_sets_the_new_setting_and_is_warned_about(
    old: str, source: str, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, value = RENAMED[old], VALUES[old]
    table, key = old.split(".")
    if source == "file":
        paths.config.write_text(f"[{table}]\n{key} = {json.dumps(value)}\n")
    elif source == "environment":
        monkeypatch.setenv(f"THORD__{table}__{key}".upper(), str(value))
    loaded = load(paths, "cpu", [f"{old}={value}"] if source == "--set" else [])
    assert flatten(loaded.tables)[new] == value
    assert source in loaded.origins[new] or loaded.origins[new] == str(paths.config)
    (warning,) = loaded.warnings
    assert f"{old} was renamed to {new}" in warning


def test_a_later_source_wins_whichever_name_it_uses(paths: Paths) -> None:
    paths.config.write_text("[training]\nmax_grad_norm = 0.5\n")
    assert load(paths, "cpu", ["training.clip=0.25"]).tables.training.max_grad_norm == 0.25


def test_both_names_in_one_file_are_refused(paths: Paths) -> None:
    paths.config.write_text("[training]\nclip = 0.5\nmax_grad_norm = 0.25\n")
    with pytest.raises(SettingsError, match=r"training\.clip and training\.max_grad_norm are the same setting"):
        load(paths, "cpu")


def test_what_an_older_version_recorded_is_read_under_the_new_names() -> None:
    def old_names(settings: BaseModel) -> dict[str, JsonValue]:
        back = {new: old for old, new in RENAMED.items()}
        recorded = settings.model_dump(mode="json")
        return {back.get(f"training.{key}", key).removeprefix("training."): value for key, value in recorded.items()}

    given = {RENAMED[old].split(".")[1]: VALUES[old] for old in RENAMED if old.startswith("training.")}
    settings = TrainingSettings.model_validate(given)
    recorded = old_names(settings)
    assert {"clip", "length", "recompute"} <= recorded.keys()
    assert TrainingSettings.model_validate_json(json.dumps(recorded)) == settings
    assert tables_with_new_names({"training": recorded, "profile": None}) == {
        "training": settings.model_dump(mode="json"),
        "profile": None,
    }
    assert CycleRequest.model_validate_json('{"overrides": {"length": 64}}').overrides == {"sequence_length": 64}


def test_thord_says_which_old_name_it_met(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "daemon.supervisor.main",
        "--check",
        "--home",
        str(tmp_path),
        "--set",
        "gate.draws=9",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "warning: --set gate.draws=9: gate.draws was renamed to gate.bootstrap_resamples" in done.stderr
