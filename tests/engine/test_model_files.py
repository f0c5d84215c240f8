"""What somebody calls a model is named for what it is, before anything heavy begins."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.model_files import Layout, fault


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As much of a model's folder as is looked at."""
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text('{"model_type": "llama"}')
    (made / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    (made / "tokenizer.json").write_text("{}")
    (made / "model.gguf").write_bytes(b"GGUF\x03\0\0\0")
    return made


def test_where_nothing_is_wrong_nothing_is_said(folder: Path) -> None:
    assert fault(folder, "hf") == ""
    assert fault(folder / "model.gguf", "gguf") == ""


def adapter(folder: Path) -> Path:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/base"}')
    return folder


def only(folder: Path, *names: str) -> Path:
    for file in folder.iterdir():
        if file.name not in names:
            file.unlink()
    return folder


def broken_link(folder: Path) -> Path:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("../../blobs/gone")
    return folder


def in_a_cache(folder: Path) -> Path:
    inner = folder.parent / "models--owner--name/snapshots/abc"
    inner.parent.mkdir(parents=True)
    folder.rename(inner)
    return inner.parents[1]


def sharded(folder: Path) -> Path:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model-1.safetensors").write_bytes(b"x")
    return folder


def version(folder: Path) -> Path:
    (folder / "config.json").write_text('{"family": "thor", "model": {}, "vocabulary": 9, "tokenizer": "bpe"}')
    return folder


def other(folder: Path) -> Path:
    (folder / "config.json").write_text('{"model_type": "mamba2"}')
    return folder


@pytest.mark.parametrize(
    ("made", "layout", "said"),
    [
        (adapter, "hf", "is a LoRA adapter, the difference to owner/base"),
        (lambda f: only(f, "model.gguf"), "hf", "it holds model.gguf: thorctl import gguf"),
        (lambda f: f / "model.gguf", "hf", "a GGUF file: thorctl import gguf"),
        (lambda f: f / "model.safetensors", "hf", "a file of weights: give the folder"),
        (lambda f: only(f, "tokenizer.json"), "hf", "config.json: there is no such file"),
        (lambda f: only(f, "config.json"), "hf", "no tokenizer.json"),
        (in_a_cache, "hf", "snapshots/abc has one"),
        (broken_link, "hf", "model.safetensors: a link to ../../blobs/gone, where nothing is"),
        (sharded, "hf", "model-2.safetensors: No such file"),
        (version, "hf", "is a version of a thord"),
        (other, "hf", "model_type 'mamba2' is not known; known are llama"),
        (lambda f: f / "nothing", "hf", "nothing: No such file"),
        (lambda f: f, "gguf", "it holds model.gguf: thorctl import gguf"),
        (lambda f: f / "model.safetensors", "gguf", "is not a GGUF file, but a file of weights"),
        (lambda f: f / "config.json", "checkpoint", "is not a folder"),
    ],
)
def test_it_says_what_it_is_and_what_to_do(
    made: Callable[[Path], Path], layout: Layout, said: str, folder: Path
) -> None:
    assert said in fault(made(folder), layout)


def test_what_may_not_be_read_is_not_called_missing(folder: Path) -> None:
    (folder / "model.safetensors").chmod(0)
    for place in (folder, *folder.parents[:3]):
        place.chmod(0o755)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(65534)
        said = fault(folder, "hf")
    finally:
        if is_root:
            os.seteuid(0)
    assert said.endswith("may not read it (Permission denied)"), said


def test_it_needs_no_torch() -> None:
    code = "import engine.model_files, sys; print({'torch', 'numpy', 'tokenizers'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
