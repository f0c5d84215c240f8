"""The state of the service is never better than its parts."""

from hypothesis import given
from hypothesis import strategies as st

from daemon.messages import WorkerName
from daemon.supervisor.processes.lifecycle import WorkerState
from daemon.supervisor.service_state import ServiceState, describe, service_state

STATES = st.fixed_dictionaries({name: st.sampled_from(WorkerState) for name in ("intake", "server", "monitor")})
TROUBLES = st.lists(st.sampled_from(["the disk is full"]), max_size=1)


@given(stopping=st.booleans(), came_up=st.booleans(), permanent=STATES, degradations=TROUBLES)
def test_ready_means_that_everything_is_well(
    stopping: bool, came_up: bool, permanent: dict[WorkerName, WorkerState], degradations: list[str]
) -> None:
    state = service_state(stopping=stopping, came_up=came_up, permanent=permanent, degradations=degradations)
    well = set(permanent.values()) == {WorkerState.RUNNING} and not degradations
    assert (state is ServiceState.STOPPING) == stopping
    assert (state is ServiceState.READY) == (well and not stopping)
    if state is ServiceState.STARTING:
        assert not came_up
        assert not {WorkerState.FAILED, WorkerState.BACKOFF, WorkerState.HUNG} & set(permanent.values())
    if state is ServiceState.DEGRADED:
        assert ": " in describe(state, permanent, degradations), "and says why"


def test_the_reasons_are_named() -> None:
    permanent: dict[WorkerName, WorkerState] = {"server": WorkerState.FAILED, "intake": WorkerState.RUNNING}
    state = service_state(stopping=False, came_up=True, permanent=permanent, degradations=["the disk is full"])
    assert describe(state, permanent, ["the disk is full"]) == "degraded: the disk is full; server is failed"
