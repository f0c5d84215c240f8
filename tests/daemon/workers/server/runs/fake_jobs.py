"""Jobs without a supervisor: rows in this process, with the states, the fence and the refusals of the real ones."""

from collections.abc import Mapping
from typing import Any

from daemon.workers.server.errors import ApiError

NAMING = {"train", "tokenizer"}


class FakeJobs:
    """A `JobPort`. ``away`` refuses everything, as while the supervisor is restarted."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        self.away = False
        self.cancelled: set[int] = set()

    async def submit(self, kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._check()
        for row in self.rows.values():
            if asked.get("idempotency_key") and row["idempotency_key"] == asked["idempotency_key"]:
                if row["asked"] != {"kind": kind, **asked}:
                    raise ApiError(422, "idempotency_conflict", "the key came with another request")
                return row
            if kind in NAMING and row["kind"] == kind and asked.get("run_id") and row["run_id"] == asked["run_id"]:
                raise ApiError(409, "run_exists", f"run {asked['run_id']!r} exists")
        number = len(self.rows) + 1
        row = {
            "id": number, "kind": kind, "run_id": None, "state": "queued", "priority": 0, "queue": "trainer",
            "user_id": None, "owner": "uid 0", "promote": "never", "request": {}, "result": None, "error": None,
            "version": None, "attempt": 0, "attempts": [], "retries": 1, "retry_interval_seconds": 300.0,
            "retry_at": None, "time_limit_seconds": 86400.0, "idempotency_key": None, "progress": None, "log_offset": 0,
            "created_at": "2026-01-02T03:04:05.000Z", "started_at": None, "ended_at": None, "expires_at": None,
            **asked, "asked": {"kind": kind, **asked},
        }  # fmt: skip
        self.rows[number] = row
        return row

    async def find(
        self, *, kind: str, run_id: str | None = None, state: str | None = None, limit: int = 1, **_
    ) -> list:
        self._check()
        found = [
            row
            for row in self.rows.values()
            if row["kind"] == kind and run_id in (None, row["run_id"]) and state in (None, row["state"])
        ]
        return found[::-1][:limit]

    async def get(self, number: int) -> dict[str, Any]:
        self._check()
        if number not in self.rows:
            raise ApiError(404, "not_found", f"there is no job {number}")
        return self.rows[number]

    async def cancel(self, number: int) -> dict[str, Any]:
        row = await self.get(number)
        if row["state"] in {"completed", "failed", "cancelled"}:
            raise ApiError(409, "job_ended", f"job {number} has ended")
        row["state"] = "cancelled" if row["state"] == "queued" else "cancelling"
        return row

    async def claim(self, number: int) -> dict[str, Any]:
        row = await self.get(number)
        if row["state"] != "queued":
            raise ApiError(409, "not_claimable", f"job {number} is {row['state']}")
        row["state"], row["attempt"] = "running", row["attempt"] + 1
        row["attempts"].append({"number": row["attempt"], "last_beat_at": "2026-01-02T03:04:06.000Z"})
        return {"job": row, "attempt": row["attempt"]}

    async def beat(self, number: int, attempt: int, progress: Mapping[str, Any]) -> bool:
        row = await self._current(number, attempt)
        return row["state"] == "cancelling"

    async def finish(
        self, number: int, attempt: int, state: str, *, cause: str, result: Mapping[str, Any] | None, error: str | None
    ) -> dict[str, Any]:
        row = await self._current(number, attempt)
        row.update(state=state, result=None if result is None else dict(result), error=error, cause=cause)
        return row

    def put_back(self, number: int) -> None:
        """As when the server that had it is gone."""
        self.rows[number]["state"] = "queued"

    def trained(self, run_id: str, version: str | None = "000001", state: str = "completed", **more: object) -> int:
        """A run that has ended."""
        number = len(self.rows) + 1
        self.rows[number] = {
            "id": number, "kind": "train", "run_id": run_id, "state": state, "priority": 0, "queue": "trainer",
            "user_id": 7, "owner": "uid 0", "promote": "never", "request": {}, "result": {}, "error": None,
            "version": version, "attempt": 1, "attempts": [], "retries": 1, "retry_interval_seconds": 300.0,
            "retry_at": None, "time_limit_seconds": 86400.0, "idempotency_key": None, "progress": None, "log_offset": 0,
            "created_at": "2026-01-02T03:04:05.000Z", "started_at": None, "ended_at": None, "expires_at": None, **more,
        }  # fmt: skip
        return number

    async def _current(self, number: int, attempt: int) -> dict[str, Any]:
        row = await self.get(number)
        if row["attempt"] != attempt or row["state"] not in {"running", "cancelling"}:
            raise ApiError(409, "stale_attempt", f"attempt {attempt} is not the current one")
        return row

    def _check(self) -> None:
        if self.away:
            raise ApiError(503, "supervisor_away", "thord is restarting")
