"""Versions that are in memory only because a job asks for them: every state that three versions can be brought into."""

from collections.abc import Mapping

import pytest

from engine.inference.versions import swap_policy
from engine.inference.versions.swap_policy import EMPTY, SLOTS, Budget, Place, Table

VERSIONS = 1, 2, 3, 4
Following = list[tuple[str, int, Table]]


def successors(table: Table, bases: Mapping[int, str]) -> Following:
    """Whatever may happen next. A load follows its admission at once, as one lock guards both."""
    found: Following = []
    for version, base in bases.items():
        admitted, admission = swap_policy.admit(table, version, base, Budget(most=SLOTS))
        found.append(("admit", version, admitted))
        if admission == "load":
            found.append(("load", version, swap_policy.loaded(admitted, version, base)))
        invited, admission = swap_policy.invite(table, version, base)
        found.append(("invite", version, invited))
        if admission == "load":
            found.append(("receive", version, swap_policy.received(invited, version, base)))
        found.append(("abandon", version, swap_policy.abandon(table, version)))
        found.append(("see off", version, swap_policy.see_off(table, version)))
        if version in table:
            if table[version].state not in {"guest", "retiring"}:  # `admit` comes before `commit`
                found.append(("commit", version, swap_policy.commit(table, version)))
            if not table[version].users and table[version].state != "retiring":
                found.append(("enter", version, swap_policy.enter(table, version)))
            if table[version].users:
                found.append(("leave", version, swap_policy.leave(table, version)))
    return found


def reachable(bases: Mapping[int, str]) -> list[tuple[Table, Following]]:
    seen = {(): EMPTY}
    frontier, found = [EMPTY], []
    while frontier:
        table = frontier.pop()
        following = successors(table, bases)
        found.append((table, following))
        for _, _, after in following:
            if tuple(after.items()) not in seen:
                seen[tuple(after.items())] = after
                frontier.append(after)
    return found


STATES = [*reachable(dict.fromkeys((1, 2, 3), "")), *reachable({1: "a", 2: "a", 3: "b"})]


def test_there_is_one_guest_beside_two_sets_of_weights() -> None:
    assert len(STATES) > 200
    for table, _ in STATES:
        states = [place.state for place in table.values()]
        assert all(states.count(state) <= 1 for state in ("guest", "serving", "previous", "prepared"))
        residents = {v: place for v, place in table.items() if place.state not in {"guest", "retiring"}}
        assert len({place.base or version for version, place in residents.items()}) <= SLOTS


def test_a_guest_changes_nothing_for_versions_that_serve() -> None:
    """What serves, what served before, and what waits to serve are as they were, whoever is invited."""
    for table, following in STATES:
        for event, version, after in following:
            if event in {"invite", "receive", "see off"}:
                for other, place in table.items():
                    if other != version and place.state != "guest":
                        assert after[other] == place


def test_a_version_with_users_stays() -> None:
    for table, following in STATES:
        for event, version, after in following:
            for held, place in table.items():
                if place.users and not (event == "leave" and held == version):
                    assert after[held].users >= place.users


def test_whoever_is_invited_is_ready_may_be_loaded_or_waits_for_a_guest_in_use() -> None:
    for table, _ in STATES:
        for version in VERSIONS[:3]:
            after, admission = swap_policy.invite(table, version)
            if admission == "ready":
                assert after[version].state != "retiring"
            elif admission == "wait":
                guest = swap_policy.only(after, "guest")
                assert guest is not None
                assert after[guest].users
            else:
                assert version not in after


def test_a_swap_sends_a_guest_away_only_where_its_memory_is_needed() -> None:
    table = swap_policy.commit(swap_policy.loaded(EMPTY, 1), 1)
    table = swap_policy.received(table, 7)
    beside, admission = swap_policy.admit(table, 2, "", Budget(needed=5, free=5, held={1: 5, 7: 5}))
    assert (beside.get(7), admission) == (Place("guest"), "load")
    instead, admission = swap_policy.admit(table, 2, "", Budget(needed=5, free=0, held={1: 5, 7: 5}))
    assert (7 in instead, admission) == (False, "load")
    used = swap_policy.enter(table, 7)
    waiting, admission = swap_policy.admit(used, 2, "", Budget(needed=5, free=0, held={1: 5, 7: 5}))
    assert (waiting[7].state, admission) == ("retiring", "wait")


def test_a_guest_waits_for_room_and_is_the_first_to_go_for_requests() -> None:
    table = swap_policy.commit(swap_policy.loaded(EMPTY, 1), 1)
    assert swap_policy.invite(table, 7, "", Budget(needed=6, free=5, held={1: 9})) == (table, "wait")
    table = swap_policy.received(table, 7)
    assert swap_policy.expendable(table) == 7
    assert swap_policy.expendable(swap_policy.enter(table, 7)) is None
    assert 7 not in swap_policy.see_off(table, 7)
    assert swap_policy.see_off(swap_policy.enter(table, 7), 7)[7].state == "guest"
    admitted, admission = swap_policy.admit(table, 7)
    assert (admitted[7].state, admission) == ("prepared", "ready"), "what was a guest may come to serve"


def test_there_is_no_second_guest() -> None:
    table = swap_policy.received(EMPTY, 7)
    with pytest.raises(ValueError, match="as a guest"):
        swap_policy.received(table, 8)
