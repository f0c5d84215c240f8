"""What must hold of every plan, whatever there is and whatever the policy."""

import dataclasses
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.settings.sections import RetentionSettings
from daemon.supervisor.retention.inventory import Known, needed_versions, policy
from daemon.supervisor.retention.plan import Kind, Policy, Thing, plan
from daemon.supervisor.store.records import Version

NOW = 1_000_000.0
KINDS = typing.get_args(Kind)
WHOLE, ADAPTER = 134_500_000 * 4, 22_000_000
"""The starter model in float32, and an adapter of it with its tokenizer."""
inventories = st.lists(
    st.builds(
        Thing,
        kind=st.sampled_from(KINDS),
        number=st.integers(1, 50),
        bytes=st.integers(1, 1000),
        since=st.floats(0, NOW + 100),
        needed=st.sampled_from(["", "it serves"]),
    ),
    unique_by=lambda thing: (thing.kind, thing.number),
    max_size=30,
)
policies = st.builds(
    Policy,
    keep=st.fixed_dictionaries({kind: st.integers(0, 5) for kind in KINDS}),
    setting=st.just(dict.fromkeys(KINDS, "retention.keep")),
    seconds=st.floats(1, 2 * NOW),
    max_bytes=st.none() | st.integers(1, 20_000),
    min_free_bytes=st.integers(0, 20_000),
)
free = st.integers(0, 30_000)


@settings(max_examples=60, deadline=None)
@given(inventories, policies, free)
def test_what_is_needed_stays_and_everything_is_decided_with_a_reason(inventory, policy, free):
    found = plan(inventory, policy, NOW, free)
    assert not [thing for thing, _ in found.removed if thing.needed]
    assert sorted((*found.removed, *found.kept), key=repr) == sorted(
        ((thing, dict((*found.removed, *found.kept))[thing]) for thing in inventory), key=repr
    )
    assert all(why for _, why in (*found.removed, *found.kept))


@settings(max_examples=60, deadline=None)
@given(inventories, policies, free)
def test_once_carried_out_nothing_is_left_to_do(inventory, policy, free):
    found = plan(inventory, policy, NOW, free)
    again = plan([thing for thing, _ in found.kept], policy, NOW, free + found.bytes)
    assert again.removed == ()
    assert again.kept == found.kept


@settings(max_examples=60, deadline=None)
@given(inventories, policies, free, st.integers(0, 5000), st.integers(0, 3))
def test_a_larger_budget_removes_a_subset(inventory, policy, free, more_bytes, more):
    larger = dataclasses.replace(
        policy,
        keep={kind: count + more for kind, count in policy.keep.items()},
        seconds=policy.seconds * 2,
        max_bytes=None if policy.max_bytes is None else policy.max_bytes + more_bytes,
        min_free_bytes=max(0, policy.min_free_bytes - more_bytes),
    )
    budget_only = dataclasses.replace(larger, keep=policy.keep, seconds=policy.seconds)
    removed = {thing for thing, _ in plan(inventory, policy, NOW, free).removed}
    assert {thing for thing, _ in plan(inventory, budget_only, NOW, free).removed} <= removed


@settings(max_examples=60, deadline=None)
@given(inventories, policies, free, st.randoms())
def test_the_order_of_the_inventory_is_irrelevant(inventory, policy, free, dice):
    shuffled = dice.sample(inventory, len(inventory))
    assert plan(shuffled, policy, NOW, free) == plan(inventory, policy, NOW, free)


@settings(max_examples=60, deadline=None)
@given(inventories, policies, free)
def test_what_can_be_done_for_the_budget_is_done(inventory, policy, free):
    found = plan(inventory, policy, NOW, free)
    kept = sum(thing.bytes for thing, _ in found.kept)
    over = (policy.max_bytes is not None and kept > policy.max_bytes) or free + found.bytes < policy.min_free_bytes
    assert not over or all(thing.needed for thing, _ in found.kept)


def _version(number: int, **fields) -> Version:
    known = {"created_at": "2026-01-01T00:00:00Z", "sha256": "ab", "parameters": 1, "parent": None}
    return Version.model_validate({**known, "number": number, **fields})


def test_what_needs_a_version():
    versions = [
        _version(9, state="rejected", parent=7),
        _version(7, previous=5, parent=4, metrics={"bits_per_byte": 2.0}),
        _version(6, state="rejected", metrics={"bits_per_byte": 0.1}),
        _version(5, previous=3, metrics={"bits_per_byte": 2.5}),
        _version(4, metrics={"bits_per_byte": 3.0}),
        _version(3, previous=1, metrics={"bits_per_byte": 1.0}),
        _version(2, pinned=True),
        _version(1),
    ]
    known = Known(versions, frozenset(), {}, {7: "it serves"}, serving=7)
    needed = needed_versions(known, rollbacks=1)
    assert needed == {
        7: "it serves",
        5: "it served before: 'thorctl rollback' leads to it",
        2: "it is pinned ('thorctl unpin' lets go of it)",
        9: "it is the newest",
        3: "it is the best so far",
        4: "version 000007 was made from it",
    }
    assert 1 not in needed
    assert 6 not in needed, "a rejected one is not the best"


def test_the_base_of_an_adapter_stays_whatever_the_adapter_is_worth():
    versions = [
        _version(9, parent=8, base=1),
        _version(8, parent=3, base=3, state="rejected"),
        _version(4, parent=2, base=2, purged_at="2026-01-01T00:00:00Z"),
        _version(3),
        _version(2),
        _version(1),
    ]
    known = Known([version for version in versions if not version.is_purged], frozenset(), {}, {}, serving=None)
    needed = needed_versions(known, rollbacks=0)
    assert needed[1] == "version 000009 is an adapter for it"
    assert needed[3] == "version 000008 is an adapter for it"
    assert 2 not in needed, "the adapter itself is gone"


def test_the_policy_says_which_setting_it_comes_from():
    found = policy(RetentionSettings(max_gigabytes=2, min_free_gigabytes=1), keep_epochs=False, room_bytes=5)
    assert (found.max_bytes, found.min_free_bytes) == (2 * 10**9, 10**9 + 5)
    names = set(RetentionSettings.model_fields)
    assert {name.removeprefix("retention.") for name in found.setting.values() if name} <= names


def test_checkpoints_of_each_epoch_outlive_the_publishing_of_their_version():
    runs = [Thing("published run", number, 10, float(number)) for number in (1, 2)]
    settings = RetentionSettings(keep_days=1e6)
    without = plan(runs, policy(settings, keep_epochs=False), NOW, 10**12)
    kept = plan(runs, policy(settings, keep_epochs=True), NOW, 10**12)
    assert [thing.number for thing, _ in without.removed] == [1, 2]
    assert [(thing.number, why) for thing, why in kept.removed] == [
        (1, "older than the newest 1 (retention.keep_runs)")
    ]
    assert [thing.number for thing, _ in kept.kept] == [2]


@pytest.mark.parametrize(
    ("weights", "checkpoints", "base", "most"),
    [(WHOLE, 3 * 3 * WHOLE, None, 17 * 10**9), (ADAPTER, 3 * 3 * ADAPTER, 1, WHOLE + 35 * ADAPTER)],
    ids=["all weights", "adapters"],
)
def test_a_home_of_the_starter_model_stays_below_what_is_documented(weights, checkpoints, base, most):
    """100 cycles, each promoted or rejected by turns, every seventh failed: the pure part of what a home does."""
    rules = policy(RetentionSettings(), keep_epochs=False)
    versions: list[Version] = []
    runs: list[Thing] = []
    serving: int | None = None
    for cycle in range(1, 101):
        if cycle % 7 == 0:
            runs.append(Thing("run", cycle, checkpoints, float(cycle)))
        else:
            state = "rejected" if cycle % 3 == 0 else "available"
            metrics = {"bits_per_byte": 9 - cycle / 20}
            of_base = base if cycle > 1 else None
            versions.insert(
                0, _version(cycle, parent=serving, previous=serving, metrics=metrics, state=state, base=of_base)
            )
            runs.append(Thing("published run", cycle, checkpoints, float(cycle)))
            serving = cycle if state == "available" else serving
        needed = needed_versions(Known(versions, frozenset(), {}, {serving or 0: "it serves"}, serving), 2)
        kinds: dict[str, Kind] = {"available": "version", "rejected": "rejected"}
        things = [
            Thing(kinds[version.state], number, weights if number > 1 else WHOLE, float(number), needed.get(number, ""))
            for version in versions
            for number in [version.number]
        ]
        found = plan([*things, *runs], rules, NOW, 10**12)
        gone = {(thing.kind, thing.number) for thing, _ in found.removed}
        versions = [v for v in versions if ("version", v.number) not in gone and ("rejected", v.number) not in gone]
        runs = [run for run in runs if (run.kind, run.number) not in gone]
        assert sum(thing.bytes for thing, _ in found.kept) + checkpoints < most
        assert {serving, base or serving} <= {v.number for v in versions}
    assert len(versions) >= 8
