"""A published model is taken over, serves, learns, and goes out again for transformers to read."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from demo.text import Dialogue
from tests.e2e.service import Service
from tests.foreign import make_tokenizer


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
    model.save_pretrained(folder)
    return model


@torch.no_grad()
def test_an_imported_model_serves_learns_and_goes_out_again(
    service: Service, tmp_path: Path, library: list[Dialogue]
) -> None:
    theirs = publish(tmp_path / "qwen")
    refused = service.ctl("import", "hf", str(tmp_path))
    assert refused.returncode == 1
    assert "config.json" in refused.stderr
    imported = service.json("import", "hf", str(tmp_path / "qwen"), "--promote")
    assert isinstance(imported, dict)
    assert (imported["state"], imported["cycle"], imported["parent"]) == ("serving", None, None)
    assert service.ctl("generate", "Once", "--temperature", "0").returncode == 0
    assert service.ctl("chat", "Hello").returncode == 0

    service.ingest("library", library[:100])
    cycle = service.train("--epochs", "2")
    assert (cycle["state"], cycle["base_version"]) == ("promoted", imported["version"]), cycle

    service.json("export", "hf", str(tmp_path / "first"), "--version", str(imported["version"]))
    ids = AutoTokenizer.from_pretrained(tmp_path / "first")("Once upon a time", return_tensors="pt")["input_ids"]
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "first")
    assert torch.equal(again(ids).logits, theirs(ids).logits)
    service.json("export", "hf", str(tmp_path / "learned"))
    learned = AutoModelForCausalLM.from_pretrained(tmp_path / "learned")
    assert not torch.equal(learned(ids).logits, theirs(ids).logits)
