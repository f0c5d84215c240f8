"""The jobs that the server computes, as its process comes and goes: it is told of them, and lost ones are ended."""

import contextlib
from collections.abc import Callable, Mapping

from pydantic import JsonValue

from daemon import background
from daemon.job import ANSWERS, JobState
from daemon.messages import AnswersQueued, Message, WorkerName
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.processes.lifecycle import ASKED_TO_END, WorkerState
from daemon.supervisor.processes.ports import WorkerUnavailableError
from daemon.supervisor.processes.worker import Change
from daemon.supervisor.store.job_records import Job


class JobsOfServer:
    """Told of every change of a worker by `worker_changed`, and of jobs by their watch.

    Args:
        jobs: all of them.
        send: sends a message to a worker; raises WorkerUnavailableError.
    """

    def __init__(self, jobs: Jobs, send: Callable[[WorkerName, Message], None]) -> None:
        self._jobs = jobs
        self._send = send
        jobs.watch.subscribe(self._job_changed)

    def worker_changed(self, change: Change) -> None:
        """End what a server computed that is gone, and tell one that came up what waits."""
        if change.worker != "server":
            return
        if (change.died or change.before in ASKED_TO_END) and change.now not in ASKED_TO_END:
            lost = self._jobs.lost("server", f"the server {change.detail}", died=change.died)
            background.begin(lost, "end of the server's jobs")
        if change.now is WorkerState.RUNNING:
            self._tell()

    def _job_changed(self, job: Job, progress: Mapping[str, JsonValue] | None) -> None:
        if progress is None and job.kind in ANSWERS and job.state is JobState.QUEUED:
            self._tell()

    def _tell(self) -> None:
        with contextlib.suppress(WorkerUnavailableError):  # it is told when it is up
            self._send("server", AnswersQueued())
