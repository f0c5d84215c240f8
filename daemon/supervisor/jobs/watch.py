"""Who follows jobs, and what they are told: each state that a job comes to, and how far its attempt is."""

from collections.abc import Callable, Mapping

from pydantic import JsonValue

from daemon import log
from daemon.supervisor.followers import Followers
from daemon.supervisor.store.job_records import Job

_logger = log.get(__name__)

Line = dict[str, JsonValue]
"""``{"job": …}`` in a new state, or ``{"progress": …}`` in the state before."""
OnNews = Callable[[Job, Mapping[str, JsonValue] | None], None]
"""Is given the job, and how far it came; null: it is in a new state."""


class JobWatch:
    """Hands news about jobs to whoever follows them, all or a single one.

    Attributes:
        followers: who follows a single job, by its number.
    """

    def __init__(self) -> None:
        self._subscribers: list[OnNews] = []
        self.followers: Followers[Line] = Followers()

    def subscribe(self, call: OnNews) -> None:
        """Have ``call`` told in the loop of every change of every job. It must not block."""
        self._subscribers.append(call)

    def changed(self, job: Job) -> None:
        """Tell that a job is in a new state."""
        self._call(job, None)
        self.followers.send(job.id, {"job": job.to_json()})
        if job.is_final:
            self.followers.send(job.id, None)

    def progressed(self, job: Job, progress: Mapping[str, JsonValue]) -> None:
        """Tell how far a job came."""
        self._call(job, progress)
        self.followers.send(job.id, {"progress": dict(progress)})

    def _call(self, job: Job, progress: Mapping[str, JsonValue] | None) -> None:
        for call in self._subscribers:
            try:
                call(job, progress)
            except Exception:  # what a subscriber does wrong must not stop the job
                _logger.exception("a subscriber to jobs failed", job=job.id)
