"""What a host may read and write of the state folder: what its attempt needs, and its own folder for what it sends."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from control.paths import at_home
from daemon.workers.server.api.routes import work
from daemon.workers.server.errors import ApiError
from daemon.workers.server.work_port import WorkPort

pytestmark = pytest.mark.anyio
WEIGHTS = b"weights" * 1000


class Port(WorkPort):
    """A supervisor for which attempt 2 at job 1 is the current one; it needs the snapshot."""

    async def get(self, target: str) -> dict[str, object]:
        self._check(int(target.rpartition("=")[2]))
        return {"folders": ["snapshots/job-000001"]}

    async def post(self, target: str, body: dict[str, object], seconds: float) -> dict[str, object]:
        self._check(int(str(body["attempt"])))
        return {"target": target, **body}

    def _check(self, attempt: int) -> None:
        if attempt != 2:
            raise ApiError(409, "stale_attempt", f"attempt {attempt} is not under way")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    snapshot = tmp_path / "snapshots/job-000001"
    snapshot.mkdir(parents=True)
    (snapshot / "train.jsonl").write_bytes(WEIGHTS)
    (snapshot / ".draft").write_bytes(b"half")
    (tmp_path / "chats.db").write_bytes(b"private")
    app = FastAPI()
    app.include_router(work.router(Port(at_home(tmp_path))))

    @app.exception_handler(ApiError)
    async def refuse(request: Request, error: ApiError) -> JSONResponse:
        return error.response(request.url.path)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://thord") as made:
        yield made


def content(path: str, attempt: int = 2, offset: int = 0) -> tuple[str, dict[str, str | int]]:
    return "/v1/work/jobs/1/content", {"attempt": attempt, "path": path, "offset": offset}


async def test_an_attempt_reads_what_it_needs_with_its_sums(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/v1/work/jobs/1/files", params={"attempt": 2})).json()
    path = "snapshots/job-000001/train.jsonl"
    assert listed == [{"path": path, "size": len(WEIGHTS), "sha256": hashlib.sha256(WEIGHTS).hexdigest()}]
    url, query = content(path, offset=7)
    assert (await client.get(url, params=query)).content == WEIGHTS[7:]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("chats.db", 404),
        ("snapshots/job-000002/train.jsonl", 404),
        ("snapshots/job-000001/missing", 404),
        ("snapshots/job-000001/../../chats.db", 422),
        ("/etc/passwd", 422),
        ("", 422),
    ],
)
async def test_and_nothing_else(client: httpx.AsyncClient, path: str, status: int) -> None:
    url, query = content(path)
    assert (await client.get(url, params=query)).status_code == status


async def test_what_is_sent_goes_into_a_folder_of_the_attempt_piece_by_piece(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    for offset in (0, 1000, 1000, 7000 - 1000):
        url, query = content("runs/job-000001/weights", offset=offset)
        piece = WEIGHTS[offset : 6000 if offset == 1000 else None] if offset else WEIGHTS[:1000]
        assert (await client.put(url, params=query, content=piece)).status_code == 204
    assert (tmp_path / "incoming/000001-2/runs/job-000001/weights").read_bytes() == WEIGHTS
    url, query = content("runs/job-000001/other", offset=5)
    assert (await client.put(url, params=query, content=b"x")).json()["error"]["code"] == "gap"
    url, query = content("../../chats.db")
    assert (await client.put(url, params=query, content=b"x")).status_code == 422
    url, query = content("runs")  # a folder by now
    assert (await client.put(url, params=query, content=b"x")).json()["error"]["code"] == "not_written"
    url, query = content("large")
    assert (await client.put(url, params=query, content=bytes((1 << 22) + 1))).status_code == 413
    assert (tmp_path / "chats.db").read_bytes() == b"private"


async def test_an_attempt_that_is_not_the_current_one_reads_and_writes_nothing(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    url, query = content("snapshots/job-000001/train.jsonl", attempt=1)
    assert (await client.get(url, params=query)).status_code == 409
    assert (await client.put(url, params=query, content=b"x")).status_code == 409
    for act in ("claim", "beat", "deliver", "finish"):
        assert (await client.post(f"/v1/work/jobs/1/{act}", json={"attempt": 1})).status_code == 409
    assert not (tmp_path / "incoming").exists()


async def test_what_a_host_says_is_passed_on_as_it_came(client: httpx.AsyncClient) -> None:
    said = {"attempt": 2, "host": "gpu", "progress": {"step": 3}}
    for act, target in (("claim", "/v1/work/1/claim"), ("beat", "/v1/work/1/beat"), ("finish", "/v1/work/1/finish")):
        assert (await client.post(f"/v1/work/jobs/1/{act}", json=said)).json() == {"target": target, **said}
