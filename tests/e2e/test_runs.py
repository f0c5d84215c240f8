"""The commands of docs/runs.md, from top to bottom, with curl, against a real thord."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.service import REPOSITORY, Service

PAGE = REPOSITORY / "docs/runs.md"
STATES = {"queued", "running", "completed", "failed"}


def commands() -> list[str]:
    """The curl commands of the page, each on one line."""
    block = re.search(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    joined = block[1].replace("\\\n", " ")
    return [" ".join(part.split()) for part in re.split(r"\n(?=curl )", joined.strip())]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the walk needs curl")
def test_the_documented_commands_from_top_to_bottom(stopped: Service, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "books").mkdir(parents=True)
    for number in range(20):
        text = f"The quick brown fox jumps over the lazy dog {number}. Once upon a time, hello. " * 10
        (corpus / f"books/{number}.txt").write_text(text)
    roots, open_to = json.dumps([str(corpus)]), json.dumps(["read", "generate", "train"])
    stopped.start(f"api.file_roots={roots}", f"api.anonymous_scopes={open_to}")
    url = stopped.json("status")["api"]["url"].rstrip("/")
    said: dict[str, str] = {}
    request_id = ""
    for command in commands():
        ready = command.replace("http://localhost:8000", url).replace("REQUEST_ID", request_id)
        done = subprocess.run(
            ["bash", "-c", f"{ready} -sS -w '\\n%{{http_code}}'"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        body, _, status = done.stdout.rpartition("\n")
        said[command] = f"{status} {body}"
        assert done.returncode == 0, (command, done.stderr)
        if command.endswith("/cancel"):
            assert status == "409", "it has ended"
            continue
        if "/readyz" in command:
            continue  # no version serves here, and that is said
        assert status in {"200", "202"}, (command, said[command], stopped.log("trainer")[-3000:])
        if body.startswith("{"):
            found = json.loads(body)
            request_id = found.get("request_id", request_id)
            if ("wait=" in command and "/runs/gpt2" in command) or "tokenizers/my" in command:
                assert found["status"] == "completed", (command, body, stopped.log("trainer")[-3000:])
            assert found.get("status", "completed") in STATES | {"ok", "cancellation-requested", "deleted"}
    evaluated = json.loads(next(body for command, body in said.items() if "/eval?" in command).partition(" ")[2])
    assert evaluated["loss"] > 0
    assert "kept back for validation" in evaluated["metrics"]["reason"]
    assert json.loads(Path(evaluated["artifact_path"]).read_text())["loss"] == evaluated["loss"]
    stream = next(body for command, body in said.items() if "logs/stream" in command)
    assert "event: done" in stream
    assert '"status": "completed"' in stream
    artifact = json.loads(next(body for command, body in said.items() if "/artifact" in command).partition(" ")[2])
    assert (Path(artifact["path"]) / "manifest.json").exists()
