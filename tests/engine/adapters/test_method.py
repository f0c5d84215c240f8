"""Which method a run has where it is not set: the table."""

import pytest

from engine.adapters import method
from engine.config.distributed import DistributedSettings
from engine.config.training import TrainingSettings
from engine.manifest import VersionManifest

SHARDED = DistributedSettings(processes=2, strategy="fsdp")


def base(*, pretrained: bool, family: str = "thor") -> VersionManifest:
    return VersionManifest(
        version=1, parent=None, cycle=1, created_at="", family=family, parameters=1, tokenizer_sha256="",
        snapshot_sha256="", seed=0, settings={}, libraries={}, training_seconds=0, metrics={}, files={},
        pretrained=pretrained,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "goes_on_from", "expected"),
    [
        (TrainingSettings(), None, "full"),
        (TrainingSettings(), base(pretrained=False), "full"),
        (TrainingSettings(), base(pretrained=True), "lora"),
        (TrainingSettings(), base(pretrained=True, family="gpt2"), "lora"),
        (TrainingSettings(), base(pretrained=True, family="char_lstm"), "full"),
        (TrainingSettings(), base(pretrained=True, family="unheard of"), "full"),
        (TrainingSettings(distributed=SHARDED), base(pretrained=True), "lora"),
        (TrainingSettings(method="full"), base(pretrained=True), "full"),
        (TrainingSettings(method="lora"), base(pretrained=False), "lora"),
    ],
)
def test_the_method_follows_from_where_a_run_goes_on(settings, goes_on_from, expected) -> None:
    assert method.resolved(settings, goes_on_from) == expected
