"""What goes out as a GGUF file is the same to llama.cpp and transformers, and comes back as it went."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from engine import artifacts, version
from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.data.samples import Message
from engine.device import Placement
from engine.foreign_model import ForeignModelError
from engine.gguf import exporting, importing
from engine.models import registry
from engine.tokenizers import registry as tokenizers
from engine.tokenizers.base import END, EOS
from engine.tokenizers.train import train as train_tokenizer
from tests.engine.gguf.conftest import ORIGIN, SAMPLE, VersionOf
from tests.llama import loaded

CPU = Placement(torch.device("cpu"), torch.float32)
LAYOUTS = ["llama", "llama-tied", "llama-3", "llama-linear", "llama-yarn", "qwen2", "qwen3", "qwen3-yarn", "gpt2"]
LAYOUTS += ["gemma2-by-head", "gemma3-by-head", "phi3-whole", "phi3-long", "smollm3-4", "olmo2", "granite", "gpt_neox"]
ROUNDED = dict.fromkeys(("gpt2", "gemma2-by-head", "gemma3-by-head", "gpt_neox"), 5e-2)
"""llama.cpp looks GELU up in a table of float16, in its form by tanh."""
IDS = torch.randint(0, 303, (1, 60), generator=torch.Generator().manual_seed(1))


def made(folder, family="thor", kind="bpe", dtype=torch.float32, **shape):
    """A version of thord's own, with a tokenizer that knows a little."""
    tokenizer = train_tokenizer(TokenizerSettings(kind=kind, vocabulary=420), [SAMPLE] * 2)
    settings = ModelSettings(family=family, preset="tiny", **shape).resolved
    model = registry.module(registry.build(settings, tokenizer.vocabulary, 3))
    weights = {name: weight.to(dtype) for name, weight in model.state_dict().items()}
    version.publish(folder, weights, settings, tokenizer, ORIGIN)
    return version.load(folder, CPU)


@pytest.mark.parametrize("name", LAYOUTS)
@torch.no_grad()
def test_llama_cpp_computes_what_transformers_does(name, version_of: VersionOf, tmp_path: Path) -> None:
    """The greatest difference of scores, which are some 10 in size, is below 1e-4, and greedy answers are the same."""
    theirs, folder = version_of(name)
    theirs.generation_config.eos_token_id = None
    asked = IDS[:, :20]
    assert exporting.write(folder, tmp_path / "out.gguf") == "f32"
    with loaded(tmp_path / "out.gguf") as llama:
        found = llama.logits(IDS[0].tolist())
        answer = llama.greedy(asked[0].tolist(), 12)
    assert np.abs(found - theirs(IDS).logits[0].numpy()).max() < ROUNDED.get(name, 1e-4)
    expected = theirs.generate(asked, attention_mask=torch.ones_like(asked), max_new_tokens=12, do_sample=False)
    assert answer == expected[0, 20:].tolist()


@pytest.mark.parametrize("name", ["llama", "llama-tied", "qwen2"])
@torch.no_grad()
def test_transformers_reads_the_file_as_it_is(name: str, version_of: VersionOf, tmp_path: Path) -> None:
    """Of qwen3 and gpt2, transformers 5 reads neither the width of heads nor the context, and takes its defaults."""
    theirs, folder = version_of(name)
    exporting.write(folder, tmp_path / "out.gguf")
    back = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="out.gguf", dtype=torch.float32).eval()
    torch.testing.assert_close(back(IDS).logits, theirs(IDS).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, torch.bfloat16) for name in LAYOUTS), ("llama", torch.float32), ("gpt2", torch.float16)],
)
def test_it_comes_back_as_it_went(name, dtype, version_of: VersionOf, tmp_path: Path) -> None:
    _, folder = version_of(name)
    config = version.read_config(folder)
    weights = {key: weight.to(dtype) for key, weight in load_file(folder / version.WEIGHTS).items()}
    words = tokenizers.load(config.tokenizer, folder)
    version.publish(tmp_path / "rounded", weights, config.model, words, ORIGIN)
    exporting.write(tmp_path / "rounded", tmp_path / "out.gguf")
    importing.take(tmp_path / "out.gguf", tmp_path / "back", 2)
    back = load_file(tmp_path / "back" / version.WEIGHTS)
    assert {key: weight.dtype for key, weight in back.items()} == dict.fromkeys(weights, dtype)
    assert all(torch.equal(weight, weights[key]) for key, weight in back.items())
    again = version.read_config(tmp_path / "back").model.shape
    linear = {"rope_trained": again.rope_trained} if name == "llama-linear" else {}  # which has no meaning there
    head = {} if name == "gpt2" else {"head_width": again.width}
    by_tanh = {"mlp": "gelu_tanh"} if name == "gpt_neox" else {}  # as llama.cpp computes it
    assert again == config.model.shape.model_copy(update=linear | head | by_tanh)
    once_more = tokenizers.load("huggingface", tmp_path / "back")
    assert once_more.encode(SAMPLE) == words.encode(SAMPLE)
    question = [Message("user", "Hello 日本")]
    assert once_more.encode_prompt(question) == words.encode_prompt(question)
    assert (once_more.special(EOS), once_more.special(END)) == (words.special(EOS), words.special(END))


@pytest.mark.parametrize("kind", ["bpe", "sentencepiece-bpe"])
@torch.no_grad()
def test_a_version_of_thords_own_goes_to_llama_cpp(kind: str, tmp_path: Path) -> None:
    """Ids, scores, chat template, and what ends a text and an answer."""
    ours = made(tmp_path / "version", kind=kind)
    exporting.write(tmp_path / "version", tmp_path / "out.gguf")
    words = ours.tokenizer
    with loaded(tmp_path / "out.gguf") as llama:
        for text in (SAMPLE, "", " ", "a  b\n\n c", "<|user|> says <|end|>", "<0x0A>"):
            assert llama.encode(text) == words.encode(text), text
        assert llama.encode("Hi", begins=True) == [*words.opening, *words.encode("Hi")]
        assert llama.decode(words.encode(SAMPLE)) == SAMPLE
        assert llama.text_of("tokenizer.chat_template") == words.chat_template
        assert all(llama.ends(words.special(token)) for token in (EOS, END))
        prompt = words.encode_prompt([Message("user", "Hi")])
        written = "<|bos|><|user|>Hi<|end|><|assistant|>"
        assert llama.encode(written, special=True) == prompt
        ids_BT = torch.tensor([prompt])
        hidden = ours.model.hidden(ids_BT, torch.arange(len(prompt))[None], torch.zeros_like(ids_BT))
        assert np.abs(llama.logits(prompt) - ours.model.logits(hidden[0]).numpy()).max() < 1e-4


@pytest.mark.parametrize("kind", ["f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"])
def test_it_is_written_in_fewer_bits(kind: str, tmp_path: Path) -> None:
    made(tmp_path / "version", dtype=torch.bfloat16)
    exporting.write(tmp_path / "version", tmp_path / "whole.gguf", "f32")
    exporting.write(tmp_path / "version", tmp_path / "out.gguf", kind)
    assert (tmp_path / "out.gguf").stat().st_size < (tmp_path / "whole.gguf").stat().st_size * 0.7
    with loaded(tmp_path / "out.gguf") as less, loaded(tmp_path / "whole.gguf") as whole:
        near, exact = less.logits([1, 30, 40, 50]), whole.logits([1, 30, 40, 50])
    assert np.abs(near - exact).max() < 0.25 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("family", "kind", "shape", "said"),
    [
        ("agiformer", "bytes", {}, "family 'agiformer'"),
        ("char_lstm", "bytes", {}, "family 'char_lstm'"),
        ("thor", "bytes", {}, "kind 'bytes'"),
        ("thor", "unigram", {}, "kind 'unigram'"),
        ("thor", "bpe", {"window": 64}, "llama does not have window = 64; 'thorctl export hf'"),
        ("thor", "bpe", {"qkv_bias": True, "qk_norm": True}, "qwen3 does not have qkv_bias = True"),
        ("thor", "bpe", {"nope_interval": 4, "logits_softcap": 30.0}, "smollm3 does not have logits_softcap = 30.0"),
    ],
)
def test_what_llama_cpp_does_not_have_is_refused(family: str, kind: str, shape, said: str, tmp_path: Path) -> None:
    made(tmp_path / "version", family, kind, **shape)
    with pytest.raises(ForeignModelError, match=said):
        exporting.write(tmp_path / "version", tmp_path / "out.gguf")
    assert [file.name for file in tmp_path.iterdir()] == ["version"]


def test_nothing_is_overwritten_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    made(tmp_path / "version")
    (tmp_path / "out.gguf").write_text("mine")
    with pytest.raises(ForeignModelError, match="exists already"):
        exporting.write(tmp_path / "version", tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").read_text() == "mine"
    exporting.write(tmp_path / "version", tmp_path / "new" / "out.gguf")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["out.gguf"]
    weights = load_file(tmp_path / "version" / version.WEIGHTS)
    (tmp_path / "version" / version.WEIGHTS).unlink()
    save_file({name: weight + 1 for name, weight in weights.items()}, tmp_path / "version" / version.WEIGHTS)
    with pytest.raises(artifacts.ArtifactError, match="sha256"):
        exporting.write(tmp_path / "version", tmp_path / "new" / "other.gguf")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["out.gguf"]
