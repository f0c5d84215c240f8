"""How much of the disk a run takes."""

import pytest

from daemon.supervisor.retention import room
from engine.config.training import TrainingSettings


@pytest.mark.parametrize(
    ("settings", "most", "least"),
    [
        ({}, 4 + 3 * 12, 4 + 2 * 12),
        ({"keep_checkpoints": 5}, 4 + 6 * 12, 4 + 2 * 12),
        ({"optimizer": "adamw8bit"}, 4 + 3 * 6, 4 + 2 * 6),
        ({"checkpoint_folder": "/elsewhere"}, 4, 4),
    ],
)
def test_a_run_takes_a_version_and_its_checkpoints(settings: dict[str, object], most: int, least: int) -> None:
    training = TrainingSettings.model_validate(settings)
    assert room.most_bytes(1000, training) == 1000 * most
    assert room.least_bytes(1000, training) == 1000 * least
