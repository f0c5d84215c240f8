"""The small runs of `tests.engine.training.conftest`, whose versions and checkpoints are published again here."""

from tests.engine.training.conftest import conversations, places, plan, recording

__all__ = ["conversations", "places", "plan", "recording"]
