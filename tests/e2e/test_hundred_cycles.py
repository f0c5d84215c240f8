"""A hundred cycles of an adapter: what each writes, what they leave on disk, and that the base stays as it came.

Run by ``make cycles``; ``THORD_CYCLES`` asks for another number, ``-s`` shows the figures.
"""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from demo.text import Dialogue
from tests.e2e.service import BIN, FAST, Service
from tests.foreign import make_tokenizer

CYCLES = int(os.environ.get("THORD_CYCLES", "100"))
NEW = 24
"""Conversations a cycle."""
WRITTEN = 4
"""A cycle may write so many times the adapter: checkpoints, the version, its data, databases and logs."""
LEFT = 32 << 20
"""Bytes that a home may have besides the base and a hundred adapters: databases, logs, and other files of versions."""


def publish(folder: Path) -> None:
    """A random model of 4.4M parameters, whose adapter of rank 16 has 1.65 MB."""
    make_tokenizer().save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=320,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def dialogues(cycle: int) -> list[Dialogue]:
    numbers = range(cycle * NEW, (cycle + 1) * NEW)
    return [[("user", f"What comes after {n}?"), ("assistant", f"{n + 1} comes after {n}.")] for n in numbers]


def started(service: Service) -> subprocess.Popen[bytes]:
    """In the foreground, so that the system says what it and its workers wrote when it has ended."""
    settings = (*FAST, "training.method=lora")
    options = [word for setting in settings for word in ("--set", setting)]
    process = subprocess.Popen(
        [BIN / "thord", "--home", service.home, "--profile", "tiny", *options], stdout=subprocess.DEVNULL
    )
    service.until(lambda: service.ctl("status").returncode == 0 and service.status()["state"] == "ready")
    return process


def written_until_the_end(process: subprocess.Popen[bytes]) -> int:
    """Stop it: bytes that it and all its workers gave to the file system."""
    process.terminate()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_oublock * 512


def sum_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def size_of(folder: Path) -> int:
    """Bytes of disk below a folder, files of several names counted once."""
    found = {(stat.st_dev, stat.st_ino): stat.st_blocks * 512 for file in folder.rglob("*") if (stat := file.lstat())}
    return sum(found.values())


@pytest.mark.soak
def test_a_hundred_cycles_write_and_keep_megabytes(tmp_path: Path) -> None:
    publish(tmp_path / "model")
    service = Service(tmp_path / "home")
    process = started(service)
    service.json("import", "hf", str(tmp_path / "model"), "--promote")
    base = service.home / "models/versions/000001/model.safetensors"
    before, imported = sum_of(base), size_of(service.home)
    written_until_the_end(process)

    process = started(service)
    states, adapter = list[object](), 0
    for number in range(CYCLES):
        service.ingest(f"cycle {number}", dialogues(number))
        cycle = service.train("--steps", "6")
        assert cycle["version"] is not None, cycle
        states.append(cycle["state"])
        adapter = (service.home / f"models/versions/{cycle['version']}/adapter_model.safetensors").stat().st_size
    written = written_until_the_end(process) / CYCLES
    left = size_of(service.home)
    print(f"\n{CYCLES} cycles, {states.count('promoted')} promoted; an adapter has {adapter / 1e6:.2f} MB")
    print(f"written a cycle: {written / 1e6:.2f} MB, {written / adapter:.2f} times the adapter")
    print(f"on disk after the import {imported / 1e6:.1f} MB, at the end {left / 1e6:.1f} MB")
    assert set(states) <= {"promoted", "rejected"}
    assert sum_of(base) == before
    assert written <= WRITTEN * adapter
    assert left <= imported + CYCLES * adapter + LEFT
