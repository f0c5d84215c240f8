"""Versions that must never serve: each way to spoil a good one, and what the refusal says."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save_file

from engine import artifacts, disk, version
from engine.manifest import read_manifest
from engine.tokenizers import bpe
from tests.daemon.workers.server.harness import SMALL, make_version


def resealed(folder: Path) -> None:
    """Make the manifest say what the files are now: the fault is then in what they mean."""
    manifest = read_manifest(folder)
    files = artifacts.record_files(folder)
    value = json.loads(manifest.model_copy(update={"files": files}).model_dump_json())
    (folder / "manifest.json").unlink()
    disk.write_json(folder / "manifest.json", value)


def flip_a_bit(folder: Path) -> None:
    file = folder / version.WEIGHTS
    data = bytearray(file.read_bytes())
    data[-77] ^= 4
    file.unlink()
    file.write_bytes(data)


def truncate(folder: Path) -> None:
    file = folder / version.WEIGHTS
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data[: len(data) // 2])


def truncate_and_reseal(folder: Path) -> None:
    truncate(folder)
    resealed(folder)


def change_weights(folder: Path, change: Callable[[dict], None]) -> None:
    weights = load_file(folder / version.WEIGHTS)
    change(weights)
    (folder / version.WEIGHTS).unlink()
    save_file(weights, folder / version.WEIGHTS)
    resealed(folder)


def drop_a_tensor(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.pop("model.norm.weight"))


def reshape_a_tensor(folder: Path) -> None:
    def cut(weights: dict) -> None:
        weights["model.norm.weight"] = weights["model.norm.weight"][:-1].contiguous()

    change_weights(folder, cut)


def poison(folder: Path) -> None:
    def poisoned(weights: dict) -> None:
        weights["model.layers.1.mlp.up_proj.weight"][3, 5] = float("nan")

    change_weights(folder, poisoned)


def overflow(folder: Path) -> None:
    def huge(weights: dict) -> None:
        weights["model.norm.weight"].fill_(3e38)

    change_weights(folder, huge)


def foreign_tokenizer(folder: Path) -> None:
    other = bpe.train(["something else entirely, of the same size " * 20], vocabulary=400, sample_bytes=1 << 20)
    shutil.rmtree(folder)
    make_version(folder, int(folder.name), other, SMALL)


def broken_tokenizer(folder: Path) -> None:
    (folder / version.TOKENIZER).unlink()
    (folder / version.TOKENIZER).write_text("{}")
    resealed(folder)


def other_number(folder: Path) -> None:
    shutil.rmtree(folder)
    tokenizer = bpe.load(folder.with_name("000001"))
    make_version(folder, 9, tokenizer, SMALL)


def no_config(folder: Path) -> None:
    (folder / version.CONFIG).unlink()


def absent(folder: Path) -> None:
    shutil.rmtree(folder)


BAD = {
    flip_a_bit: "sha256",
    truncate: "bytes, the manifest says",
    truncate_and_reseal: "model.safetensors",
    drop_a_tensor: "missing: ['model.norm.weight']",
    reshape_a_tensor: "model.norm.weight is [",
    poison: "NaN or infinity in model.layers.1.mlp.up_proj.weight",
    overflow: "NaN or infinite",
    foreign_tokenizer: "foreign tokenizer",
    broken_tokenizer: "tokenizer",
    other_number: "version 9",
    no_config: "config.json",
    absent: "manifest.json",
}
