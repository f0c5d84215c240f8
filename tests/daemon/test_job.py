"""The table of a job's states: whatever happens, it ends in one state for good."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.job import FINAL, TABLE, JobEvent, JobState, JobTransitionError, next_state


@given(walk=st.lists(st.sampled_from(list(JobEvent)), max_size=30))
def test_a_job_ends_once_and_stays_as_it_ended(walk: list[JobEvent]) -> None:
    state, ended = JobState.QUEUED, None
    for event in walk:
        try:
            state = next_state(state, event)
        except JobTransitionError:
            continue
        assert ended is None, f"{event} led from {ended} to {state}"
        ended = state if state in FINAL else None


@pytest.mark.parametrize("state", [state for state in JobState if state not in FINAL])
def test_every_state_can_be_cancelled_and_leads_to_an_end(state: JobState) -> None:
    after = next_state(state, JobEvent.CANCEL)
    assert after in {JobState.CANCELLED, JobState.CANCELLING}
    reached, edge = set(), {state}
    while edge:
        reached |= edge
        edge = {to for (origin, _), to in TABLE.items() if origin in reached} - reached
    assert JobState.CANCELLED in reached


@pytest.mark.parametrize("event", [JobEvent.STOP, JobEvent.FAIL, JobEvent.RETRY, JobEvent.PUT_BACK])
def test_a_job_that_is_cancelled_is_never_tried_again(event: JobEvent) -> None:
    assert next_state(JobState.CANCELLING, event) is JobState.CANCELLED
