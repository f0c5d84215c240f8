"""A published model is taken over, serves, learns, and goes out again for transformers to read; checkpoints too."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from demo.text import Dialogue
from tests.e2e.service import Service, running
from tests.foreign import make_tokenizer
from tests.hub import local_hub


def publish(folder: Path) -> Qwen2ForCausalLM:
    """A small random model with its own tokenizer and chat template, saved as people publish them."""
    make_tokenizer().save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config.update(do_sample=True, top_k=1, temperature=2.0)
    model.save_pretrained(folder)
    return model


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """One that keeps the checkpoints of its runs."""
    with running(tmp_path / "home", "training.keep_epochs=true") as started:
        yield started


@torch.no_grad()
def test_an_imported_model_serves_learns_and_goes_out_again(
    service: Service, tmp_path: Path, library: list[Dialogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = publish(tmp_path / "qwen")
    refused = service.ctl("import", "hf", str(tmp_path))
    assert refused.returncode == 1
    assert "config.json" in refused.stderr
    imported = service.json("import", "hf", str(tmp_path / "qwen"), "--promote")
    assert isinstance(imported, dict)
    assert (imported["version"], imported["state"], imported["cycle"]) == ("000001", "serving", None)
    said = [service.ctl("generate", "Once", "--max-tokens", "20").stdout for _ in range(3)]
    assert len(set(said)) == 1  # the model brings top_k 1, though a temperature of 2
    freely = [service.ctl("generate", "Once", "--max-tokens", "20", "--top-k", "0").stdout for _ in range(3)]
    assert len(set(freely)) > 1
    assert service.ctl("chat", "Hello").returncode == 0

    service.ingest("library", library[:100])
    cycle = service.train("--epochs", "2", "--method", "full")
    assert (cycle["state"], cycle["base_version"]) == ("promoted", imported["version"]), cycle

    brought = json.loads((service.home / "models/versions/000001/generation_config.json").read_text())
    handed_on = service.home / f"models/versions/{cycle['version']}/generation_config.json"
    assert (brought["top_k"], json.loads(handed_on.read_text())) == (1, brought)

    last = max((service.home / "runs/000001/checkpoints").iterdir())
    taken = service.json("import", "checkpoint", str(last))
    assert isinstance(taken, dict)
    assert (taken["state"], taken["parent"]) == ("available", imported["version"])
    service.ingest("more", library[100:130])
    further = service.json("train", "--from", str(taken["version"]), "--steps", "2", "--wait")
    assert isinstance(further, dict)
    assert (further["state"] in {"promoted", "rejected"}, further["base_version"]) == (True, taken["version"]), further

    service.ingest("for the adapter", library[130:])
    adapter = service.json("train", "--from", "1", "--steps", "4", "--wait")
    assert isinstance(adapter, dict)
    assert adapter["version"] is not None, adapter
    decided = service.json("cycle", str(adapter["id"]))
    assert isinstance(decided, dict)
    assert (decided["training"]["method"], decided["training"]["max_steps"]) == ("lora", 4)
    about = service.json("version", str(adapter["version"]))
    assert isinstance(about, dict)
    assert (about["method"], about["base"], about["parameters"]) == ("lora", "000001", imported["parameters"]), adapter
    assert (about["base_sha256"], about["bytes"] < 500_000) == (imported["sha256"], True)
    service.json("export", "peft", str(adapter["version"]), "--out", str(tmp_path / "adapter"))
    beside = service.json("import", "peft", str(tmp_path / "adapter"), "--promote")
    assert isinstance(beside, dict)
    assert (beside["sha256"], beside["base"], beside["state"]) == (about["sha256"], "000001", "serving")

    folded = service.json("fold", "--promote")
    assert isinstance(folded, dict)
    assert (folded["method"], folded["parent"], folded["state"]) == ("full", beside["version"], "serving")
    again = service.ctl("fold")
    assert (again.returncode, "has weights of its own, not an adapter" in again.stderr) == (1, True)

    file = tmp_path / "model.gguf"
    written = service.json("export", "gguf", str(cycle["version"]), "--out", str(file), "--type", "q8_0")
    assert written == {"version": cycle["version"], "file": str(file), "type": "q8_0"}
    back = service.json("import", "gguf", str(file))
    assert isinstance(back, dict)
    assert (back["state"], back["parent"]) == ("available", None)

    service.json("export", "hf", str(tmp_path / "first"), "--version", str(imported["version"]))
    ids = AutoTokenizer.from_pretrained(tmp_path / "first")("Once upon a time", return_tensors="pt")["input_ids"]
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "first")
    assert torch.equal(again(ids).logits, theirs(ids).logits)
    service.json("export", "hf", str(tmp_path / "learned"), "--version", str(cycle["version"]))
    learned = AutoModelForCausalLM.from_pretrained(tmp_path / "learned")
    assert not torch.equal(learned(ids).logits, theirs(ids).logits)

    with local_hub() as hub:
        for name, value in (("ENDPOINT", hub.address), ("TOKEN", "hf_secret"), ("HOME", str(tmp_path / "hf"))):
            monkeypatch.setenv(f"HF_{name}", value)
        pushed = service.json("push", "me/my-model", "--version", str(imported["version"]), "--private")
        assert pushed == {"version": "000001", "repository": "me/my-model", "url": f"{hub.address}/me/my-model"}
        assert hub.files == {file.name: file.read_bytes() for file in (tmp_path / "first").iterdir()}
