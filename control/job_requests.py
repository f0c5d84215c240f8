"""What `control.client.Thord` asks about jobs: work beside cycles that somebody asked for, and its attempts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from control import job_answers
from control.http import Endpoint, query

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Literal, Unpack

    from control.answers import Json


class JobRequests:
    """Requests over the control socket."""

    def __init__(self, control: Endpoint) -> None:
        self._control = control

    def submit_job(self, kind: str, **asked: Unpack[job_answers.NewJob]) -> job_answers.Job:
        """Queue a job; with the idempotency key of an earlier one of the same body, that one.

        Args:
            kind: ``train``, ``evaluate``, ``tokenizer``, ``import``, ``generate``, ``score`` or ``chat``.
            asked: see `control.job_answers.NewJob`.

        Raises:
            ThordError: the run ID is taken, the request is wrong, or the key belongs to another body.
        """
        body: dict[str, Json] = {"kind": kind, **json.loads(json.dumps(asked))}
        return self._control.post("/v1/jobs", job_answers.Job, body)

    def jobs(
        self,
        *,
        kind: str | None = None,
        state: str | None = None,
        run_id: str | None = None,
        owner: str | None = None,
        before: int | None = None,
        limit: int | None = None,
    ) -> list[job_answers.Job]:
        """Jobs of that kind, state, run and owner, newest first; with ``before`` those of smaller numbers."""
        target = query("/v1/jobs", kind=kind, state=state, run_id=run_id, owner=owner, before=before, limit=limit)
        return self._control.get(target, list[job_answers.Job])

    def job(self, number: int, *, wait: int | None = None) -> job_answers.Job:
        """One job with its attempts; with ``wait`` when it has ended, or after that many seconds, at most 60."""
        return self._control.get(query(f"/v1/jobs/{number}", wait=wait), job_answers.Job, timeout=(wait or 0) + 30.0)

    def cancel_job(self, number: int) -> job_answers.Job:
        """Ask a job to end. It may be ``cancelling`` for a while, until its work has stopped."""
        return self._control.post(f"/v1/jobs/{number}/cancel", job_answers.Job)

    def follow_job(self, number: int) -> Iterator[job_answers.JobNews]:
        """The job, its progress and each new state as they come, until it has ended."""
        for line in self._control.lines("GET", f"/v1/jobs/{number}/follow"):
            news: job_answers.JobNews = json.loads(line)
            yield news

    # For those who carry out jobs ------------------------------------------------------------------------------------

    def claim_job(self, number: int, *, host: str, worker: str, pid: int) -> job_answers.Claimed:
        """Begin an attempt at a queued job; nobody else can from now on."""
        body: dict[str, Json] = {"host": host, "worker": worker, "pid": pid}
        return self._control.post(f"/v1/jobs/{number}/claim", job_answers.Claimed, body)

    def beat_job(self, number: int, attempt: int, progress: Mapping[str, Json] | None = None) -> bool:
        """Show that the attempt lives, and what is new about its progress; whether the job was asked to end.

        Raises:
            ThordError: with the code ``stale_attempt`` where it is not the current one: stop at once.
        """
        body: dict[str, Json] = {"attempt": attempt, "progress": None if progress is None else dict(progress)}
        return self._control.post(f"/v1/jobs/{number}/beat", job_answers.Beaten, body)["cancel"]

    def finish_job(
        self,
        number: int,
        attempt: int,
        state: Literal["completed", "failed", "cancelled"],
        *,
        cause: str,
        result: Mapping[str, Json] | None = None,
        error: str | None = None,
        retry: bool = False,
    ) -> job_answers.Job:
        """End the attempt; the job as it is now. ``retry``: it failed, and another attempt may help.

        Raises:
            ThordError: with the code ``stale_attempt`` where it is not the current one: nothing was written.
        """
        body: dict[str, Json] = {"attempt": attempt, "state": state, "cause": cause, "error": error, "retry": retry}
        body["result"] = None if result is None else dict(result)
        return self._control.post(f"/v1/jobs/{number}/finish", job_answers.Job, body)
