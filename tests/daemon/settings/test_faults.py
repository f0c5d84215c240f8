"""What is wrong with the settings of one cycle is said as it is of thord.toml."""

import pytest
from pydantic import ValidationError

from daemon.settings import faults
from engine.config.model import ModelSettings
from engine.config.training import TrainingSettings


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"epochs": -1}, "training.epochs: Input should be greater than 0"),
        ({"distributed": {"hosts": 0}}, "training.distributed.hosts: Input should be greater than 0"),
        (
            {"batch_size": 1_000_000, "gradient_accumulation": 1_000},
            "batch_size x gradient_accumulation (1000000000) is more than the 1048576 rows that a step may have",
        ),
    ],
)
def test_a_fault_is_said_with_its_key_and_a_combination_in_its_own_words(overrides, said):
    with pytest.raises(ValidationError) as caught:
        TrainingSettings.model_validate(overrides)
    assert faults.of_training(caught.value) == said


def test_a_preset_that_a_family_lacks_is_said_without_a_key():
    with pytest.raises(ValidationError) as caught:
        ModelSettings.model_validate({"family": "gpt2", "preset": "gigantic"})
    assert faults.of_model(caught.value).startswith("family 'gpt2' has no preset 'gigantic'; it has tiny, ")
