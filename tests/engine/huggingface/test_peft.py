"""Adapters to and from PEFT: its numbers are ours, its tensors come back as they went, and what is foreign is refused.

PEFT itself is asked where it is installed (``pip install peft``); without it these tests say so and are skipped.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from engine import version
from engine.adapters import adapter as adapters
from engine.adapters.adapter import B
from engine.adapters.config import AdapterConfig
from engine.device import Placement
from engine.foreign_model import ForeignModelError
from engine.huggingface import exporting, importing, peft_exporting, peft_importing
from engine.manifest import Base, Lineage, read_manifest, verify
from engine.models import registry
from engine.tokenizers import registry as tokenizers

CPU = Placement(torch.device("cpu"), torch.float32)
IDS = torch.arange(5, 25)[None]


@pytest.fixture
def versions(tmp_path: Path, foreign) -> Path:
    """Version 1 is a Llama from elsewhere."""
    importing.take(foreign("llama")[1], tmp_path / "versions" / "000001", 1)
    return tmp_path / "versions"


def logits(folder: Path):
    model = version.load(folder, CPU, check_finite=True).model
    places_BT = torch.arange(IDS.shape[1])[None]
    with torch.no_grad():
        return model.logits(model.hidden(IDS, places_BT, torch.zeros_like(IDS)))


def adapter_version(versions: Path, number: int, **config) -> Path:
    """An adapter for version 1, as a run would publish it."""
    said = version.read_config(versions / "000001")
    model = registry.skeleton(said.model, said.vocabulary)
    adapter = adapters.new(model, AdapterConfig(rank=4, alpha=8.0, **config), seed=2)
    draw = torch.Generator().manual_seed(number)
    factors = {
        name: torch.randn(factor.shape, generator=draw) * 0.05 if name.endswith(B) else factor
        for name, factor in adapter.factors.items()
    }
    folder = versions / f"{number:06d}"
    words = tokenizers.load(said.tokenizer, versions / "000001")
    base = Base(version=1, sha256=read_manifest(versions / "000001").sha256)
    lineage = Lineage(number, 1, None, "", 0, {"training": {}}, 0.0, {})
    version.publish(folder, adapter.with_factors(factors), said.model, words, lineage, base=base)
    return folder


def with_peft(versions: Path, folder: Path):
    """The base as transformers loads it, and PEFT's model with an adapter over it."""
    peft = pytest.importorskip("peft", reason="PEFT is not installed: pip install peft")
    if not (versions.parent / "base").exists():
        exporting.write(versions / "000001", versions.parent / "base")
    whole = AutoModelForCausalLM.from_pretrained(versions.parent / "base", dtype=torch.float32).eval()
    return peft.PeftModel.from_pretrained(whole, folder).eval()


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"rslora": True},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"^model.layers.0.mlp.up_proj": 32.0}},
    ],
)
def test_peft_loads_ours_and_answers_the_same(versions: Path, config) -> None:
    ours = adapter_version(versions, 2, **config)
    peft_exporting.write(ours, versions.parent / "adapter")
    theirs = with_peft(versions, versions.parent / "adapter")
    with torch.no_grad():
        found = theirs(IDS).logits
    torch.testing.assert_close(found, logits(ours), atol=1e-4, rtol=0)
    assert not torch.allclose(found, logits(versions / "000001"), atol=1e-3)
    theirs.save_pretrained(versions.parent / "saved")
    ours_tensors, saved = (
        load_file(folder / "adapter_model.safetensors") for folder in (ours, versions.parent / "saved")
    )
    assert ours_tensors.keys() == saved.keys()
    assert all(torch.equal(ours_tensors[name], saved[name]) for name in saved)
    peft_importing.take(versions.parent / "saved", versions / "000003", 3, versions / "000001")
    assert torch.equal(logits(versions / "000003"), logits(ours))


@pytest.mark.parametrize("name", ["gemma3", "phi3", "gpt_neox"])
def test_adapters_of_other_layouts_have_the_names_of_their_base(name: str, foreign, tmp_path: Path) -> None:
    versions = tmp_path / "versions"
    importing.take(foreign(name)[1], versions / "000001", 1)
    ours = adapter_version(versions, 2)
    peft_exporting.write(ours, tmp_path / "adapter")
    theirs = with_peft(versions, tmp_path / "adapter")
    with torch.no_grad():
        torch.testing.assert_close(theirs(IDS).logits, logits(ours), atol=1e-4, rtol=0)
    theirs.save_pretrained(tmp_path / "saved")
    peft_importing.take(tmp_path / "saved", versions / "000003", 3, versions / "000001")
    assert torch.equal(logits(versions / "000003"), logits(ours))


def test_an_adapter_that_peft_made_answers_the_same_here(versions: Path) -> None:
    peft = pytest.importorskip("peft", reason="PEFT is not installed: pip install peft")
    exporting.write(versions / "000001", versions.parent / "base")
    whole = AutoModelForCausalLM.from_pretrained(versions.parent / "base", dtype=torch.float32)
    torch.manual_seed(4)
    said = peft.LoraConfig(
        r=3, lora_alpha=5, target_modules=["q_proj", "v_proj"], rank_pattern={"v_proj": 2}, init_lora_weights=False
    )
    theirs = peft.get_peft_model(whole, said).eval()
    theirs.save_pretrained(versions.parent / "made")
    taken = peft_importing.take(versions.parent / "made", versions / "000002", 2, versions / "000001")
    assert (taken.method, taken.is_pretrained, taken.cycle) == ("lora", True, None)
    with torch.no_grad():
        torch.testing.assert_close(logits(versions / "000002"), theirs(IDS).logits, atol=1e-4, rtol=0)


def test_merged_into_its_base_it_is_exported_whole(versions: Path) -> None:
    ours = adapter_version(versions, 2)
    exporting.write(ours, versions.parent / "merged")
    back = AutoModelForCausalLM.from_pretrained(versions.parent / "merged", dtype=torch.float32).eval()
    with torch.no_grad():
        torch.testing.assert_close(back(IDS).logits, logits(ours), atol=1e-4, rtol=0)
    with pytest.raises(ForeignModelError, match="whole model"):
        peft_exporting.write(versions / "000001", versions.parent / "none")


def test_the_base_is_found_by_its_sum(versions: Path) -> None:
    """Whatever serves: here an adapter over the same base, and a model that has nothing to do with it."""
    ours = adapter_version(versions, 2)
    peft_exporting.write(ours, versions.parent / "adapter")
    for number, serving in ((3, "000001"), (4, "000002")):
        made = peft_importing.take(versions.parent / "adapter", versions / f"{number:06d}", number, versions / serving)
        assert made.base == verify(ours).base


def test_another_base_is_refused_with_both_sums(versions: Path) -> None:
    folder = versions.parent / "adapter"
    peft_exporting.write(adapter_version(versions, 2), folder)
    here = read_manifest(versions / "000001").sha256
    save_file(load_file(folder / adapters.FILE), folder / adapters.FILE, metadata={adapters.BASE_SHA256: "a" * 64})
    with pytest.raises(ForeignModelError, match=f"{'a' * 64}.*{here}"):
        peft_importing.take(folder, versions / "000003", 3, versions / "000001")
    assert not (versions / "000003").exists()


def test_without_a_model_there_is_nothing_to_lay_it_over(versions: Path) -> None:
    folder = versions.parent / "adapter"
    peft_exporting.write(adapter_version(versions, 2), folder)
    with pytest.raises(ForeignModelError, match="import and promote the model that it changes first"):
        peft_importing.take(folder, versions / "000003", 3, None)


@pytest.mark.parametrize(
    ("changed", "named"), [({"use_dora": True}, "use_dora"), ({"modules_to_save": ["lm_head"]}, "modules_to_save")]
)
def test_what_an_adapter_needs_besides_is_refused_by_name(
    versions: Path, changed: dict[str, object], named: str
) -> None:
    folder = versions.parent / "adapter"
    peft_exporting.write(adapter_version(versions, 2), folder)
    said = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(said | changed))
    with pytest.raises(ForeignModelError, match=named):
        peft_importing.take(folder, versions / "000003", 3, versions / "000001")


def test_an_adapter_of_the_head_is_refused_by_name(versions: Path) -> None:
    folder = versions.parent / "adapter"
    peft_exporting.write(adapter_version(versions, 2), folder)
    factors = load_file(folder / adapters.FILE)
    head = {f"base_model.model.lm_head.lora_{part}.weight": torch.ones(4, 4) for part in "AB"}
    with safe_open(folder / adapters.FILE, framework="pt") as stored:
        about = stored.metadata()
    save_file(factors | head, folder / adapters.FILE, metadata=about)
    with pytest.raises(ForeignModelError, match="lm_head"):
        peft_importing.take(folder, versions / "000003", 3, versions / "000001")
