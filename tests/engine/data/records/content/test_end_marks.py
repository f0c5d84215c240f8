"""Marks that templates put behind a turn are not part of what was said."""

import pytest

from engine.data.records.content.end_marks import without_end_marks


@pytest.mark.parametrize(
    "said",
    [
        "Mud.<|im_end|>",
        "Mud.</s>",
        "Mud. <|eot_id|>\n",
        "Mud.<|im_end|>\n<|endoftext|>",
        "Mud.<end_of_turn>",
        "Mud.<eoa>",
    ],
)
def test_they_are_left_out(said: str) -> None:
    assert without_end_marks(said) == "Mud."


@pytest.mark.parametrize("said", ["<b>Mud</b>", "<s>Mud</s>", "a > b", "List<end>", "<|im_end|> ends a turn"])
def test_other_ends_stay(said: str) -> None:
    assert without_end_marks(said) == said
