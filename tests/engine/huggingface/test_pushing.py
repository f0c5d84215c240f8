"""Upload to a hub: huggingface_hub itself, against a local server that speaks what it needs of the protocol."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub import REFUSED, local_hub


@pytest.fixture
def hub():
    with local_hub() as it:
        yield it


@pytest.fixture
def folder(tmp_path: Path):
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text('{"model_type": "llama"}')
    (made / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    return made


def push(hub, tmp_path: Path, *words):
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_secret", "HF_HOME": str(tmp_path / "hf")}
    command = [sys.executable, "-m", "engine.huggingface.pushing", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_every_file_arrives_in_one_commit(hub, folder, tmp_path: Path) -> None:
    done = push(hub, tmp_path, folder, "owner/model", "thord 000012", "--private")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{hub.address}/owner/model"
    assert hub.files == {file.name: file.read_bytes() for file in folder.iterdir()}
    assert hub.messages == ["thord 000012"]
    assert hub.keys == {"Bearer hf_secret"}
    created = hub.created[0]
    assert created.get("private") is True or created.get("visibility") == "private"


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "no-address"])
def test_a_hub_that_cannot_be_reached_is_one_clear_sentence(address: str, hub, folder, tmp_path: Path) -> None:
    hub.address = address
    done = push(hub, tmp_path, folder, "owner/model", "m")
    assert done.returncode == 1
    assert done.stderr.startswith(f"the hub at {address} did not take owner/model: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("repository", "said"), [(REFUSED, "did not take owner/refused"), ("a/b/c", "a/b/c")])
def test_a_refusal_is_one_clear_sentence_without_the_key(repository, said: str, hub, folder, tmp_path: Path) -> None:
    done = push(hub, tmp_path, folder, repository, "m")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hf_secret" not in done.stderr
    assert hub.files == {}
