"""``/v1/work``: for ``thord worker`` on other hosts. What an attempt is given and may send, the supervisor decides."""

import asyncio
import hashlib
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from daemon.workers.server.errors import ApiError
from daemon.workers.server.work_port import WorkPort

_PIECE = 1 << 22
"""Bytes that are read or written at once: a host asks for a file piece by piece."""
_SECONDS, _PREPARING_SECONDS = 20.0, 600.0
Attempt = Annotated[int, Query(ge=1)]
Offset = Annotated[int, Query(ge=0, lt=2**62)]


class _Body(BaseModel):
    """A body that is passed on; the control API checks what is in it."""

    model_config = ConfigDict(extra="allow")

    attempt: int = Field(ge=1)


def router(work: WorkPort) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(prefix="/v1/work/jobs/{job}", tags=["work"])

    @routes.post("/claim")
    async def claim(job: int, body: _Body) -> JSONResponse:
        return JSONResponse(await work.post(f"/v1/work/{job}/claim", body.model_dump(), _PREPARING_SECONDS))

    @routes.post("/beat")
    async def beat(job: int, body: _Body) -> JSONResponse:
        return JSONResponse(await work.post(f"/v1/work/{job}/beat", body.model_dump(), _SECONDS))

    @routes.post("/deliver")
    async def deliver(job: int, body: _Body) -> JSONResponse:
        return JSONResponse(await work.post(f"/v1/work/{job}/deliver", body.model_dump(), _PREPARING_SECONDS))

    @routes.post("/finish")
    async def finish(job: int, body: _Body) -> JSONResponse:
        return JSONResponse(await work.post(f"/v1/work/{job}/finish", body.model_dump(), _PREPARING_SECONDS))

    @routes.get("/files")
    async def files(job: int, attempt: Attempt) -> JSONResponse:
        folders = await _folders(work, job, attempt)
        return JSONResponse(await asyncio.to_thread(_listed, work.state, folders))

    @routes.get("/content")
    async def read(job: int, attempt: Attempt, path: str, offset: Offset) -> Response:
        folders = await _folders(work, job, attempt)
        file = _inside(work.state, path)
        if not any(file.is_relative_to(work.state / folder) for folder in folders):
            raise ApiError(404, "not_found", f"{path} is not among the files of this attempt")
        piece = await asyncio.to_thread(_piece, file, offset)
        return Response(piece, media_type="application/octet-stream")

    @routes.put("/content")
    async def write(http: Request, job: int, attempt: Attempt, path: str, offset: Offset) -> Response:
        await work.post(f"/v1/work/{job}/beat", {"attempt": attempt}, _SECONDS)  # that it is the current one
        folder = work.state / "incoming" / f"{job:06d}-{attempt}"
        piece = bytearray()
        async for part in http.stream():
            piece += part
            if len(piece) > _PIECE:
                raise ApiError(413, "too_large", f"send at most {_PIECE} bytes at once")
        await asyncio.to_thread(_write, _inside(folder, path), offset, bytes(piece))
        return Response(status_code=204)

    return routes


async def _folders(work: WorkPort, job: int, attempt: int) -> list[str]:
    answer = await work.get(f"/v1/work/{job}/folders?attempt={attempt}")
    found = answer["folders"]
    return [str(folder) for folder in found] if isinstance(found, list) else []


def _inside(folder: Path, path: str) -> Path:
    """A file below ``folder``.

    Raises:
        ApiError: 422, it would be elsewhere.
    """
    if not path or path.startswith("/") or "\0" in path or ".." in Path(path).parts:
        raise ApiError(422, "bad_path", f"{path!r} is not a path inside the state folder")
    return folder / path


def _listed(state: Path, folders: list[str]) -> list[dict[str, JsonValue]]:
    found: list[dict[str, JsonValue]] = []
    for folder in folders:
        for file in sorted((state / folder).rglob("*")):
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(state).parts):
                with file.open("rb") as stream:
                    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                found.append({"path": str(file.relative_to(state)), "size": file.stat().st_size, "sha256": sha256})
    return found


def _piece(file: Path, offset: int) -> bytes:
    try:
        with file.open("rb") as stream:
            stream.seek(offset)
            return stream.read(_PIECE)
    except OSError as error:
        raise ApiError(404, "not_found", f"{file.name}: {error.strerror}") from None


def _write(file: Path, offset: int, piece: bytes) -> None:
    """Write at ``offset``, which is the end of what is there, or a place from which on it is sent again."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as stream:
            if stream.tell() < offset:
                raise ApiError(422, "gap", f"{file.name} has {stream.tell()} bytes so far: send on from there")
            stream.truncate(offset)
            stream.seek(offset)
            stream.write(piece)
    except OSError as error:
        raise ApiError(503, "not_written", f"{file.name}: {error.strerror}", retry_after=5) from None
