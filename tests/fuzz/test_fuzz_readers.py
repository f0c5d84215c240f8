"""A few damaged files of every format; `make fuzz` feeds many."""

import random

import pytest

from engine.data.records.limits import Limits
from tests.fuzz.readers import check, mutated
from tests.fuzz.seeds import seeds

SEEDS = seeds()


@pytest.mark.parametrize("name", SEEDS)
def test_no_rule_is_broken(name: str) -> None:
    dice = random.Random(name)
    others = list(SEEDS.values())
    for raw in (SEEDS[name], *(mutated(SEEDS[name], others, dice) for _ in range(5))):
        check(raw, Limits(), is_text=False)
