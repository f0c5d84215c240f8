"""How much of the disk a run is taken to need: of an adapter megabytes, of a whole model what it always was."""

import json
from pathlib import Path

from daemon.supervisor.retention.room import trained_parameters
from engine.config.training import TrainingSettings

FULL, LORA = TrainingSettings(method="full"), TrainingSettings(method="lora")


def test_a_new_adapter_is_a_small_part_of_its_base(tmp_path: Path) -> None:
    model = {"family": "thor", "hidden": 576, "layers": 30, "heads": 9, "kv_heads": 3, "feed_forward": 1536}
    (tmp_path / "config.json").write_text(json.dumps({"model": model, "family": "thor"}))
    (tmp_path / "manifest.json").write_text(
        json.dumps(
            {
                "version": 1, "parent": None, "cycle": None, "created_at": "", "family": "thor", "parameters": 1,
                "tokenizer_sha256": "", "snapshot_sha256": "", "seed": 0, "settings": {}, "libraries": {},
                "training_seconds": 0, "metrics": {}, "files": {},
            }
        )
    )  # fmt: skip
    assert trained_parameters(tmp_path, 134_515_008, FULL) == 134_515_008
    actual = 30 * 16 * (2 * 1152 + 2 * 768 + 3 * 2112)
    assert actual <= trained_parameters(tmp_path, 134_515_008, LORA) < 4 * actual
    unset = trained_parameters(tmp_path, 134_515_008, TrainingSettings())
    assert unset == trained_parameters(tmp_path, 134_515_008, LORA), "the version is an import"


def test_a_damaged_version_is_taken_for_a_whole_one(tmp_path: Path) -> None:
    assert trained_parameters(tmp_path, 1000, LORA) == 1000
