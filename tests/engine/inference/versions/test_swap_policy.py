"""Every state that a few versions can be brought into, and what must hold in each: of versions with weights of their
own, and of adapters for one base beside a version with another.
"""

import itertools
from collections.abc import Mapping

import pytest

from engine.inference.versions import swap_policy
from engine.inference.versions.swap_policy import EMPTY, SLOTS, Budget, Place, Table

OWN = {1: "", 2: "", 3: "", 4: ""}
SHARED = {1: "a", 2: "a", 3: "a", 4: "a", 5: "b"}
MOST = 3
"""Versions in memory where they share a base."""


def successors(table: Table, bases: Mapping[int, str], max_users: int) -> list[tuple[str, int, Table]]:
    """Whatever may happen next. A load follows its admission at once, as one thread does both."""
    found = []
    for version, base in bases.items():
        admitted, admission = swap_policy.admit(table, version, base, BUDGETS[base != ""])
        found.append(("admit", version, admitted))
        if admission == "load":
            found.append(("load", version, swap_policy.loaded(admitted, version, base, MOST)))
        found.append(("abandon", version, swap_policy.abandon(table, version)))
        found.append(("clear", version, swap_policy.clear(table)))
        if version in table:
            found.append(("commit", version, swap_policy.commit(table, version)))
            if table[version].users < max_users and table[version].state != "retiring":
                found.append(("enter", version, swap_policy.enter(table, version)))
            if table[version].users:
                found.append(("leave", version, swap_policy.leave(table, version)))
    return found


BUDGETS = Budget(most=SLOTS), Budget(most=MOST)


def reachable(bases: Mapping[int, str], max_users: int) -> list[tuple[Table, list[tuple[str, int, Table]]]]:
    """Each state, with what may follow it."""
    seen = {(): EMPTY}
    frontier, found = [EMPTY], []
    while frontier:
        table = frontier.pop()
        following = successors(table, bases, max_users)
        found.append((table, following))
        for _, _, after in following:
            if tuple(after.items()) not in seen:
                seen[tuple(after.items())] = after
                frontier.append(after)
    return found


OF_OWN, OF_SHARED = reachable(OWN, max_users=2), reachable(SHARED, max_users=1)
STATES = [*OF_OWN, *OF_SHARED]


def asked(table: Table, version: int) -> tuple[Table, str]:
    """As in `successors`, of a table with versions of either kind."""
    bases = SHARED if any(place.base for place in table.values()) else OWN
    return swap_policy.admit(table, version, bases[version], BUDGETS[bases is SHARED])


def test_there_are_many_states() -> None:
    assert len(OF_OWN) > 200
    assert len(OF_SHARED) > 200
    assert any(place.state == "kept" for table, _ in OF_SHARED for place in table.values())


def test_there_are_two_sets_of_weights_and_one_version_of_each_kind() -> None:
    for table, _ in STATES:
        assert len(table) <= MOST
        assert len({place.base or version for version, place in table.items()}) <= SLOTS
        states = [place.state for place in table.values()]
        for state in ("prepared", "serving", "previous"):
            assert states.count(state) <= 1
        assert all(place.users for place in table.values() if place.state == "retiring")


def test_what_is_kept_shares_the_base_that_serves() -> None:
    for table, _ in STATES:
        serving = swap_policy.only(table, "serving")
        for place in table.values():
            if place.state == "kept":
                assert place.base
                assert serving is None or place.base == table[serving].base


def test_a_version_that_serves_is_only_ever_replaced_unless_all_must_go() -> None:
    for table, following in STATES:
        serving = swap_policy.only(table, "serving")
        for event, version, after in following:
            expected = {"commit": version, "clear": None}.get(event, serving)
            assert swap_policy.only(after, "serving") == expected


def test_a_version_with_users_stays() -> None:
    for table, following in STATES:
        for event, version, after in following:
            for held, place in table.items():
                ends = event == "leave" and held == version
                if place.users - ends > 0:
                    assert after[held].users >= place.users - ends


def test_an_admitted_version_is_in_memory_or_has_room_or_waits_for_one_in_use() -> None:
    for table, _ in STATES:
        for version in OWN:
            after, admission = asked(table, version)
            assert asked(after, version) == (after, admission), "asking again changes nothing"
            if admission == "ready":
                assert after[version].state in ("prepared", "serving")
            elif admission == "load":
                assert len(after) < MOST
            else:
                assert any(place.state == "retiring" and place.users for place in after.values())


def test_whoever_waits_gets_room_when_requests_end() -> None:
    for table, _ in STATES:
        for version in OWN:
            after, admission = asked(table, version)
            for held in list(after):
                while held in after and after[held].users and after[held].state != "serving":
                    after = swap_policy.leave(after, held)
            assert asked(after, version)[1] in ("ready", "load"), admission


def test_commands_may_be_repeated() -> None:
    for _, following in STATES:
        for event, version, after in following:
            if event == "commit":
                assert swap_policy.commit(after, version) == after
            if event == "abandon":
                assert swap_policy.abandon(after, version) == after
            if event == "clear":
                assert swap_policy.clear(after) == after


def test_after_all_were_told_to_go_nothing_is_left_but_what_is_in_use() -> None:
    for table, _ in STATES:
        after = swap_policy.clear(table)
        assert {version: place.users for version, place in after.items()} == {
            version: place.users for version, place in table.items() if place.users
        }
        assert {place.state for place in after.values()} <= {"retiring"}
        for version in list(after):
            with pytest.raises(KeyError):
                swap_policy.enter(after, version)
            while version in after:
                after = swap_policy.leave(after, version)
        assert after == EMPTY


def test_a_version_is_loaded_beside_wherever_memory_allows_and_else_in_place() -> None:
    """By carrying it out: admit what is said to fit, add up what is then in memory."""
    total = 12
    for table, _ in OF_OWN:
        for sizes in itertools.product((1, 4, 7), repeat=len(table)):
            held = dict(zip(table, sizes, strict=True))
            if sum(sizes) > total:
                continue
            for version, needed in itertools.product(OWN, (1, 5, 8, 11, 13)):
                room = swap_policy.room(table, version, needed, total - sum(sizes), held)
                beside = swap_policy.admit(table, version)[0]
                for other in list(beside):
                    while other in beside and beside[other].state == "retiring":
                        beside = swap_policy.leave(beside, other)
                kept = sum(held[other] for other in beside if other == swap_policy.only(beside, "serving"))
                if version in table or kept + needed <= total:
                    assert room == "beside"
                else:
                    assert room == ("in place" if needed <= total else "none")


def test_the_version_before_can_be_gone_back_to_without_loading() -> None:
    table = swap_policy.commit(swap_policy.loaded(EMPTY, 1), 1)
    table = swap_policy.commit(swap_policy.loaded(table, 2), 2)
    table, admission = swap_policy.admit(table, 1)
    assert admission == "ready"
    assert swap_policy.commit(table, 1) == {1: Place("serving"), 2: Place("previous")}


def serving_in_turn(*versions: int) -> Table:
    table = EMPTY
    for version in versions:
        table, _ = swap_policy.admit(table, version, "a", Budget(most=9))
        table = swap_policy.commit(swap_policy.loaded(table, version, "a", 9), version)
    return table


def test_versions_that_share_a_base_are_kept_and_reached_by_requests() -> None:
    table = serving_in_turn(1, 2, 3, 4)
    assert {version: place.state for version, place in table.items()} == {
        1: "kept", 2: "kept", 3: "previous", 4: "serving",
    }  # fmt: skip
    assert swap_policy.enter(table, 1)[1].users == 1
    back, admission = swap_policy.admit(table, 1, "a")
    assert admission == "ready"
    assert swap_policy.only(swap_policy.commit(back, 1), "serving") == 1


def test_the_one_that_was_asked_for_longest_ago_makes_room() -> None:
    table = swap_policy.leave(swap_policy.enter(serving_in_turn(1, 2, 3, 4), 1), 1)
    after, admission = swap_policy.admit(table, 5, "a", Budget(most=4))
    assert (sorted(after), admission) == ([1, 3, 4], "load")
    after, admission = swap_policy.admit(table, 5, "a", Budget(9, needed=20, free=5, held={1: 10, 2: 10, 3: 10, 4: 99}))
    assert (sorted(after), admission) == ([3, 4], "load")


def test_what_is_kept_and_idle_is_expendable_the_oldest_first() -> None:
    table = serving_in_turn(1, 2, 3, 4)
    assert swap_policy.expendable(table) == 1
    assert swap_policy.expendable(swap_policy.enter(table, 1)) == 2
    assert swap_policy.expendable(serving_in_turn(1, 2)) is None


def test_another_base_ends_what_was_kept() -> None:
    table = serving_in_turn(1, 2, 3)
    table = swap_policy.commit(swap_policy.loaded(table, 4, "b", 9), 4)
    assert {version: place.state for version, place in table.items()} == {3: "previous", 4: "serving"}
    table = swap_policy.loaded(table, 5, "b", 9)
    assert swap_policy.admit(table, 6, "c", Budget(most=9)) == ({4: Place("serving", base="b")}, "load")


def test_what_is_kept_can_be_forgotten() -> None:
    table = serving_in_turn(1, 2, 3)
    assert sorted(swap_policy.abandon(table, 1)) == [2, 3]
    assert swap_policy.abandon(table, 2) == table


def test_what_cannot_be_is_an_error() -> None:
    with pytest.raises(KeyError):
        swap_policy.commit(EMPTY, 1)
    with pytest.raises(KeyError):
        swap_policy.enter(EMPTY, 1)
    full = swap_policy.loaded(swap_policy.loaded(EMPTY, 1), 2)
    with pytest.raises(ValueError, match="no slot"):
        swap_policy.loaded(full, 3)
    with pytest.raises(ValueError, match="no users"):
        swap_policy.leave(full, 1)
