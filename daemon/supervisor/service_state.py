"""The state of the whole service, as ``status`` and systemd show it: a pure function of what is known."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from daemon.messages import WorkerName
from daemon.supervisor.processes.lifecycle import WorkerState


class ServiceState(StrEnum):
    """How the service is."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    STOPPING = "stopping"


_ON_THE_WAY_UP = frozenset({WorkerState.STOPPED, WorkerState.STARTING, WorkerState.RUNNING})
"""States of a worker that may be seen while the service comes up; ``stopped``: its turn has not come."""


def service_state(
    *, stopping: bool, came_up: bool, permanent: Mapping[WorkerName, WorkerState], degradations: Sequence[str]
) -> ServiceState:
    """Judge the whole by its parts.

    Args:
        stopping: a stop was asked for.
        came_up: every permanent worker has been ready at the same time once.
        permanent: the states of the workers that are meant to run all the time.
        degradations: what else is wrong, such as a disk without space.
    """
    if stopping:
        return ServiceState.STOPPING
    if degradations:
        return ServiceState.DEGRADED
    if all(state is WorkerState.RUNNING for state in permanent.values()):
        return ServiceState.READY
    if not came_up and all(state in _ON_THE_WAY_UP for state in permanent.values()):
        return ServiceState.STARTING
    return ServiceState.DEGRADED


def reasons(state: ServiceState, permanent: Mapping[WorkerName, WorkerState], degradations: Sequence[str]) -> list[str]:
    """Why the service is not ready, in words."""
    if state not in (ServiceState.STARTING, ServiceState.DEGRADED):
        return []
    return [*degradations, *(f"{name} is {now}" for name, now in permanent.items() if now is not WorkerState.RUNNING)]


def describe(state: ServiceState, permanent: Mapping[WorkerName, WorkerState], degradations: Sequence[str]) -> str:
    """One line for people: the state and why."""
    why = reasons(state, permanent, degradations)
    return f"{state}: {'; '.join(why)}" if why else str(state)
