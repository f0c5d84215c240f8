"""The jobs of a supervisor that is not there: rows as the real one writes them, moved on by the test."""

import itertools
from collections.abc import Mapping

from control.job_answers import Attempt, Job, NewJob
from daemon.clock import utc_now
from daemon.workers.server.errors import ApiError

ENDED = {"completed", "failed", "cancelled"}


class Supervisor:
    """What the server asks about jobs."""

    def __init__(self) -> None:
        self.rows: dict[int, Job] = {}
        self._numbers = itertools.count(1)

    async def submit(self, kind: str, asked: NewJob) -> Job:
        key = asked.get("idempotency_key")
        for row in self.rows.values():
            if key is not None and row["idempotency_key"] == key:
                if row["request"] != asked["request"]:
                    raise ApiError(422, "idempotency_conflict", "another body came under this key")
                return row
            if asked.get("run_id") is not None and row["run_id"] == asked["run_id"]:
                raise ApiError(409, "run_exists", "the run exists")
        number = next(self._numbers)
        row: Job = {
            "id": number,
            "kind": kind,
            "run_id": asked.get("run_id", f"run-{number:06d}"),
            "state": "queued",
            "priority": 0,
            "queue": "trainer",
            "user_id": None,
            "owner": asked["owner"],
            "promote": asked["promote"],
            "request": asked["request"],
            "result": None,
            "error": None,
            "version": None,
            "attempt": 0,
            "attempts": [],
            "retries": 1,
            "retry_interval_seconds": 300.0,
            "retry_at": None,
            "time_limit_seconds": 86400.0,
            "idempotency_key": key,
            "progress": None,
            "log_offset": 0,
            "created_at": utc_now(),
            "started_at": None,
            "ended_at": None,
            "expires_at": None,
        }
        self.rows[number] = row
        return row

    async def find(
        self, *, kind: str, owner: str | None = None, before: int | None = None, limit: int = 1
    ) -> list[Job]:
        found = [row for row in self.rows.values() if row["kind"] == kind and row["owner"] == owner]
        return [row for row in found[::-1] if before is None or row["id"] < before][:limit]

    async def get(self, number: int) -> Job:
        if number not in self.rows:
            raise ApiError(404, "not_found", "no such job")
        return self.rows[number]

    async def cancel(self, number: int) -> Job:
        row = await self.get(number)
        if row["state"] in ENDED:
            raise ApiError(409, "job_ended", f"job {number} is {row['state']}")
        row["state"] = "cancelling" if row["state"] == "running" else "cancelled"
        row["ended_at"] = utc_now() if row["state"] == "cancelled" else None
        return row

    def start(self, number: int, **progress: float) -> None:
        row = self.rows[number]
        row |= {"state": "running", "started_at": row["started_at"] or utc_now(), "progress": progress}
        attempt: Attempt = {
            "number": len(row["attempts"]) + 1,
            "host": "here",
            "worker": "trainer",
            "pid": 1,
            "started_at": utc_now(),
            "last_beat_at": utc_now(),
            "progress": None,
            "ended_at": None,
            "cause": None,
            "log_offset": 0,
        }
        row["attempts"].append(attempt)

    def end(self, number: int, state: str, cause: str, **row: object) -> None:
        self.rows[number]["attempts"][-1] |= {"ended_at": utc_now(), "cause": cause}
        changed: Mapping[str, object] = {"state": state, "ended_at": utc_now(), **row}
        self.rows[number].update(changed)
