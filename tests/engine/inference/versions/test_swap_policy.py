"""Every state that four versions can be brought into, and what must hold in each."""

import itertools

import pytest

from engine.inference.versions import swap_policy
from engine.inference.versions.swap_policy import EMPTY, SLOTS, Place, Table

VERSIONS = (1, 2, 3, 4)
MAX_USERS = 2


def frozen(table: Table) -> frozenset[tuple[int, Place]]:
    return frozenset(table.items())


def successors(table: Table) -> list[tuple[str, int, Table]]:
    """Whatever may happen next. A load follows its admission at once, as one thread does both."""
    found = []
    for version in VERSIONS:
        admitted, admission = swap_policy.admit(table, version)
        found.append(("admit", version, admitted))
        if admission == "load":
            found.append(("load", version, swap_policy.loaded(admitted, version)))
        found.append(("abandon", version, swap_policy.abandon(table, version)))
        found.append(("clear", version, swap_policy.clear(table)))
        if version in table:
            found.append(("commit", version, swap_policy.commit(table, version)))
            if table[version].users < MAX_USERS and table[version].state != "retiring":
                found.append(("enter", version, swap_policy.enter(table, version)))
            if table[version].users:
                found.append(("leave", version, swap_policy.leave(table, version)))
    return found


def reachable() -> dict[frozenset[tuple[int, Place]], Table]:
    seen = {frozen(EMPTY): EMPTY}
    frontier = [EMPTY]
    while frontier:
        for _, _, after in successors(frontier.pop()):
            if frozen(after) not in seen:
                seen[frozen(after)] = after
                frontier.append(after)
    return seen


STATES = list(reachable().values())


def test_there_are_many_states() -> None:
    assert len(STATES) > 200


def test_at_most_two_versions_and_one_of_each_kind() -> None:
    for table in STATES:
        assert len(table) <= SLOTS
        states = [place.state for place in table.values()]
        for state in ("prepared", "serving", "previous"):
            assert states.count(state) <= 1
        assert all(place.users for place in table.values() if place.state == "retiring")


def test_a_version_that_serves_is_only_ever_replaced_unless_all_must_go() -> None:
    for table in STATES:
        serving = swap_policy.only(table, "serving")
        for event, version, after in successors(table):
            expected = {"commit": version, "clear": None}.get(event, serving)
            assert swap_policy.only(after, "serving") == expected


def test_a_version_with_users_stays() -> None:
    for table in STATES:
        for event, version, after in successors(table):
            for held, place in table.items():
                ends = event == "leave" and held == version
                if place.users - ends > 0:
                    assert after[held].users >= place.users - ends


def test_an_admitted_version_is_in_memory_or_has_room_or_waits_for_one_in_use() -> None:
    for table in STATES:
        for version in VERSIONS:
            after, admission = swap_policy.admit(table, version)
            assert swap_policy.admit(after, version) == (after, admission), "asking again changes nothing"
            if admission == "ready":
                assert after[version].state in ("prepared", "serving")
            elif admission == "load":
                assert len(after) < SLOTS
            else:
                assert any(place.state == "retiring" and place.users for place in after.values())


def test_whoever_waits_gets_room_when_requests_end() -> None:
    for table in STATES:
        for version in VERSIONS:
            after, admission = swap_policy.admit(table, version)
            for held in list(after):
                while held in after and after[held].users and after[held].state != "serving":
                    after = swap_policy.leave(after, held)
            assert swap_policy.admit(after, version)[1] in ("ready", "load"), admission


def test_commands_may_be_repeated() -> None:
    for table in STATES:
        for event, version, after in successors(table):
            if event == "commit":
                assert swap_policy.commit(after, version) == after
            if event == "abandon":
                assert swap_policy.abandon(after, version) == after
            if event == "clear":
                assert swap_policy.clear(after) == after


def test_after_all_were_told_to_go_nothing_is_left_but_what_is_in_use() -> None:
    for table in STATES:
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
    for table in STATES:
        for sizes in itertools.product((1, 4, 7), repeat=len(table)):
            held = dict(zip(table, sizes, strict=True))
            if sum(sizes) > total:
                continue
            for version, needed in itertools.product(VERSIONS, (1, 5, 8, 11, 13)):
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
