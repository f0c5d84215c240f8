"""What the end of an attempt means for its job: a pure function with its table.

| how the attempt ended                                  | the job                                     | a try |
| ------------------------------------------------------ | ------------------------------------------- | ----- |
| its work is done                                       | completed                                   | no    |
| it ended because somebody asked for that               | cancelled                                   | no    |
| it failed, and another attempt would not help          | failed                                      | yes   |
| the time limit                                         | failed                                      | yes   |
| it failed, was killed or lost, and tries are left      | waits for `retry_interval_seconds`          | yes   |
| the same, and no try is left                           | failed                                      | yes   |
| thord was restarted, or a cycle went first             | is queued again, at once                    | no    |

A job that is being cancelled is cancelled by any of these but the first (`daemon.job`).
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from daemon.job import JobEvent
from daemon.settings.jobs import JobSettings
from daemon.supervisor.store.attempt_store import AttemptEnd
from daemon.supervisor.store.job_records import Job

Outcome = Literal["completed", "cancelled", "failed", "put_back"]
"""How an attempt ended: ``put_back`` where it was cut short by no fault of its own."""


@dataclass(frozen=True)
class Report:
    """What is said of an attempt that ended.

    Attributes:
        outcome: how it ended.
        cause: why, as in the row of the attempt.
        error: a sentence for people.
        result: what it came to.
        retry: another attempt may help.
    """

    outcome: Outcome
    cause: str
    error: str | None = None
    result: Mapping[str, JsonValue] | None = None
    retry: bool = False


def ending(job: Job, report: Report, settings: JobSettings, now: datetime.datetime) -> AttemptEnd:
    """How the attempt and its job are written down."""
    kept, failed_kept = settings.result_ttl_seconds, settings.failure_ttl_seconds
    match report.outcome:
        case "completed":
            return AttemptEnd(JobEvent.COMPLETE, report.cause, result=report.result, keep_seconds=kept)
        case "cancelled":
            return AttemptEnd(JobEvent.STOP, report.cause, report.error or "cancelled", keep_seconds=failed_kept)
        case "put_back":
            return AttemptEnd(JobEvent.PUT_BACK, report.cause, report.error, keep_seconds=failed_kept)
    if report.retry and job.tries < job.retries:
        at = now + datetime.timedelta(seconds=job.retry_interval_seconds)
        written = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return AttemptEnd(
            JobEvent.RETRY, report.cause, report.error, retry_at=written, keep_seconds=failed_kept, counts=True
        )
    why = report.error or f"the attempt ended: {report.cause}"
    return AttemptEnd(JobEvent.FAIL, report.cause, why, keep_seconds=failed_kept, counts=True)
