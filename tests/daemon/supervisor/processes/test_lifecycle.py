"""The state machine of a worker, and the policy of restarts, over whatever may happen."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.supervisor.processes.lifecycle import (
    ALIVE,
    ASKED_TO_END,
    Action,
    RestartPolicy,
    Tally,
    WorkerEvent,
    WorkerState,
    WorkerTransitionError,
    after_death,
    pause_seconds,
    transition,
)

POLICY = RestartPolicy(max_restarts=5, max_seconds=60.0, backoff_cap_seconds=30.0)
BY_HAND = (WorkerEvent.START, WorkerEvent.STOP, WorkerEvent.RESTART)
DEATHS = (WorkerEvent.DIED, WorkerEvent.DIED_AGAIN, WorkerEvent.DIED_TOO_OFTEN)


def possible(state: WorkerState) -> list[WorkerEvent]:
    """What can happen in that state in the real world."""
    events = list(BY_HAND)
    if state in ALIVE:
        events += [WorkerEvent.READY, WorkerEvent.GONE]
        events += [] if state in ASKED_TO_END else DEATHS
    if state in (WorkerState.STARTING, WorkerState.RUNNING):
        events.append(WorkerEvent.OVERDUE)
    if state is WorkerState.BACKOFF:
        events.append(WorkerEvent.DUE)
    return events


@given(st.data())
def test_there_is_a_process_exactly_in_the_states_that_say_so(data: st.DataObject) -> None:
    state, process = WorkerState.STOPPED, False
    for _ in range(data.draw(st.integers(1, 40))):
        event = data.draw(st.sampled_from(possible(state)))
        if event in (WorkerEvent.GONE, *DEATHS):
            process = False
        state, actions = transition(state, event)
        for action in actions:
            if action is Action.SPAWN:
                assert not process, "never two processes of one worker"
                process = True
            elif action in (Action.ASK_TO_STOP, Action.ABORT):
                assert process
        assert process == (state in ALIVE)


@pytest.mark.parametrize("state", WorkerState)
def test_a_person_can_always_stop_start_and_restart(state: WorkerState) -> None:
    for event in BY_HAND:
        transition(state, event)
    after_stop, actions = transition(state, WorkerEvent.STOP)
    assert after_stop in (WorkerState.STOPPED, WorkerState.STOPPING)
    assert Action.SPAWN not in actions


def test_a_stop_during_the_back_off_is_immediate() -> None:
    assert transition(WorkerState.BACKOFF, WorkerEvent.STOP) == (WorkerState.STOPPED, ())


@pytest.mark.parametrize("state", [WorkerState.BACKOFF, WorkerState.FAILED])
def test_a_start_by_hand_forgets_the_deaths(state: WorkerState) -> None:
    assert Action.FORGET in transition(state, WorkerEvent.START)[1]


def test_what_cannot_happen_is_an_error() -> None:
    with pytest.raises(WorkerTransitionError, match="stopped"):
        transition(WorkerState.STOPPED, WorkerEvent.READY)


def live(lives: list[float], policy: RestartPolicy, boot: float = 0.0) -> list[WorkerEvent]:
    """The verdicts on a worker that is ready for each of ``lives`` seconds and dies."""
    now, tally, verdicts = 0.0, Tally(), []
    for seconds in lives:
        now += boot + seconds
        verdict, tally = after_death(tally, policy, now, seconds)
        verdicts.append(verdict)
        if verdict is WorkerEvent.DIED_TOO_OFTEN:
            break
        if verdict is WorkerEvent.DIED_AGAIN:
            now += pause_seconds(tally, policy, 0.0)
    return verdicts


def test_a_crash_loop_ends_after_the_allowed_restarts() -> None:
    verdicts = live([0.0] * 100, POLICY)
    assert verdicts == [WorkerEvent.DIED, *[WorkerEvent.DIED_AGAIN] * 4, WorkerEvent.DIED_TOO_OFTEN]


def test_living_a_little_longer_than_the_start_does_not_prevent_giving_up() -> None:
    assert live([2.0] * 100, POLICY)[-1] is WorkerEvent.DIED_TOO_OFTEN


def test_rare_deaths_are_each_a_first_one() -> None:
    assert set(live([31.0] * 100, POLICY)) == {WorkerEvent.DIED}


def test_a_slow_start_is_no_long_life() -> None:
    assert live([1.0] * 100, POLICY, boot=100.0)[1:] == [WorkerEvent.DIED_AGAIN] * 99


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=60), st.integers(1, 6), st.floats(1, 100), st.floats(0.1, 60))
def test_intensity_is_never_exceeded(lives: list[float], restarts: int, window: float, cap: float) -> None:
    policy = RestartPolicy(restarts, window, cap)
    now, tally, deaths = 0.0, Tally(), []
    for seconds in lives:
        now += seconds
        deaths.append(now)
        verdict, tally = after_death(tally, policy, now, seconds)
        in_window = [death for death in deaths if now - death < window]
        assert (verdict is WorkerEvent.DIED_TOO_OFTEN) == (len(in_window) > restarts)
        if verdict is WorkerEvent.DIED_TOO_OFTEN:
            break
        assert (verdict is WorkerEvent.DIED) == (len(deaths) == 1 or seconds > cap)


@given(st.floats(0, 1, exclude_max=True), st.floats(0.6, 1000))
def test_pauses_double_up_to_the_cap(jitter: float, cap: float) -> None:
    policy = RestartPolicy(5, 60.0, cap)
    pauses = [pause_seconds(Tally((), deaths), policy, jitter) for deaths in range(2, 100)]
    assert all(0 < pause <= cap for pause in pauses)
    for earlier, later in itertools.pairwise(pauses):
        assert later == pytest.approx(min(2 * earlier, cap * (1 - jitter / 4)))
