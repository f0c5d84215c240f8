"""A run beside other people's programs, by looks at a made-up machine: it does not starve, and gives way again."""

import pytest

from daemon.supervisor.fair_share import ladder
from daemon.supervisor.fair_share.ladder import LADDER, Look, Standing

CORES, MINIMUM = 2.0, 0.5
OF_ANY_PROGRAM = 1024.0
OF_NICENESS = {0: 1024.0, 4: 423.0, 9: 137.0, 14: 45.0, 19: 15.0}
"""Weights of Linux (kernel/sched/core.c, sched_prio_to_weight)."""


def look(level: int, sessions: int, server: float = 0.0, seconds: float = 5.0) -> Look:
    """What a run with two threads sees beside so many busy sessions, and a server that takes its share before."""
    own = OF_NICENESS[LADDER[level].session]
    free = CORES - server
    computed = free * own / (own + sessions * OF_ANY_PROGRAM)
    return Look(seconds, computed, CORES - computed, free - computed if sessions else 0.0)


def climb(standing: Standing, seconds: float, sessions: int, server: float = 0.0, minimum: float = MINIMUM) -> Standing:
    for _ in range(int(seconds / 5)):
        standing = ladder.after(look(standing.level, sessions, server), standing, minimum)
    return standing


def test_a_starved_run_has_its_share_within_half_a_minute() -> None:
    standing = climb(Standing(), 30.0, sessions=1)
    assert look(standing.level, 1).computed >= MINIMUM
    assert look(standing.level - 1, 1).computed < MINIMUM, "and no more weight than that takes"
    assert climb(standing, 600.0, sessions=1).level == standing.level


def test_a_short_burst_of_others_changes_nothing() -> None:
    assert climb(Standing(), 5.0, sessions=1).level == 0


def test_where_even_the_weight_of_any_program_is_not_enough_it_stays_at_that() -> None:
    assert climb(Standing(), 600.0, sessions=12).level == len(LADDER) - 1


def test_it_gives_way_again_when_the_others_are_done() -> None:
    raised = climb(Standing(), 60.0, sessions=1)
    assert climb(raised, 20.0, sessions=0).level == 0
    assert not climb(raised, 20.0, sessions=0).is_slowed


def test_a_server_that_takes_all_there_is_raises_nothing() -> None:
    starved = Look(5.0, 0.02, 1.98, 0.0)
    standing = Standing()
    for _ in range(100):
        standing = ladder.after(starved, standing, MINIMUM)
    assert standing.level == 0
    assert not standing.is_slowed


@pytest.mark.parametrize("clients", [0.3, 0.6, 0.9])
def test_clients_that_a_streaming_server_answers_here_raise_nothing(clients: float) -> None:
    assert not ladder.is_starved(Look(5.0, 0.3, 1.5, clients, rest=1.0), MINIMUM)


def test_others_raise_it_beside_a_server_that_has_less_than_they() -> None:
    assert ladder.is_starved(Look(5.0, 0.03, 1.9, 1.1, rest=0.8), MINIMUM)


def test_it_comes_down_step_by_step_where_it_has_much_more_than_its_share() -> None:
    standing = Standing(level=3)
    much = Look(5.0, 1.6, 0.3, 0.6)
    levels = []
    for _ in range(30):
        standing = ladder.after(much, standing, MINIMUM)
        levels.append(standing.level)
    assert sorted(set(levels), reverse=True) == [3, 2, 1, 0]


def test_a_run_that_waits_for_a_disk_or_for_itself_is_not_starved() -> None:
    assert not ladder.is_starved(Look(5.0, 0.1, 0.05, 1.5), MINIMUM)


def test_without_a_minimum_it_always_gives_way() -> None:
    assert climb(Standing(), 600.0, sessions=8, minimum=0.0).level == 0
    assert climb(Standing(level=3), 5.0, sessions=8, minimum=0.0).level == 0


@pytest.mark.parametrize("level", range(1, len(LADDER)))
def test_each_level_weighs_more(level: int) -> None:
    assert LADDER[level].session < LADDER[level - 1].session
    assert LADDER[level].thread < LADDER[level - 1].thread


@pytest.mark.parametrize(
    ("before", "load", "can_be_raised", "level"),
    [
        (None, 1.0, True, 0),
        (None, 4.5, True, 0),  # as much as a run and a server have by themselves
        (None, 17.0, True, 3),
        (2, 17.0, True, 2),
        (0, 17.0, True, 0),
        (None, 1.0, False, 0),
        (0, 17.0, False, 4),
    ],
)
def test_a_run_that_begins(before: int | None, load: float, can_be_raised: bool, level: int) -> None:
    assert ladder.at_start(before, load, 2, can_be_raised=can_be_raised) == level


def test_being_raised_counts_as_slowed() -> None:
    assert Standing(level=1).is_slowed
    assert climb(Standing(), 20.0, sessions=1).is_slowed
    assert not Standing().is_slowed


@pytest.mark.parametrize(
    ("computed", "waited", "others", "held_up"),
    [
        (0.3, 0.5, 1.5, True),
        (0.6, 0.4, 1.0, True),  # it weighs more by now, and still shares
        (0.0, 0.0, 1.8, False),  # at rest
        (0.9, 0.3, 0.1, False),  # its own threads wait for one another
    ],
)
def test_it_is_held_up_only_while_it_waits_for_others(
    computed: float, waited: float, others: float, held_up: bool
) -> None:
    assert ladder.is_held_up(Look(5.0, computed, waited, others), 0.5) == held_up
