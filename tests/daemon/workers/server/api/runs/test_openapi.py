"""What the OpenAPI document says of runs is true: schemathesis asks whatever it allows, and looks at the answers."""

import asyncio
import os
import shutil
import socket
from pathlib import Path

import pytest

from daemon.workers.server.http_server import ApiServer
from tests.daemon.workers.server.api.runs.conftest import Api

pytestmark = pytest.mark.anyio
PROGRAM = os.environ.get("THORD_SCHEMATHESIS") or shutil.which("schemathesis")
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,unsupported_method"
)


@pytest.mark.skipif(PROGRAM is None, reason="schemathesis is not installed: set THORD_SCHEMATHESIS (.ci/run does)")
async def test_the_document_of_runs_is_true(api: Api, tmp_path: Path) -> None:
    (api.paths.state / "corpus/text.txt").write_text("hello")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        api.made.service.access.anonymous = frozenset({"read", "generate", "train"})
        server = ApiServer(api.made.over_tcp)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        asked = await asyncio.create_subprocess_exec(
            *(PROGRAM, "run", f"{url}/openapi.json", "--include-path-regex", r"^/(runs|tokenizers)/", "--no-color"),
            *("--exclude-path-regex", "logs/stream$", "--checks", CHECKS, "--max-examples", "2", "--seed", "1"),
            *("--phases", "examples,fuzzing", "--request-timeout", "20", "--max-failures", "5"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
        )
        said, _ = await asyncio.wait_for(asked.communicate(), 120)
        server.stop(1.0)
        await serving
    assert asked.returncode == 0, said.decode()[-6000:]
