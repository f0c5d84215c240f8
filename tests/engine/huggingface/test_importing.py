"""Models from transformers compute the same in thord, and come back as they went."""

import io
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, processors
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from engine import version
from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.samples import Message
from engine.device import Placement
from engine.foreign_model import ForeignModelError
from engine.huggingface import exporting, importing
from engine.inference.requests import Sampling, sampling_of
from engine.manifest import Lineage, verify
from engine.models import registry
from engine.tokenizers.base import END, EOS, PAD
from engine.tokenizers.encode import encode_conversations
from engine.tokenizers.train import train as train_tokenizer
from tests.engine.huggingface import decoders
from tests.engine.huggingface.conftest import Foreign

CPU = Placement(torch.device("cpu"), torch.float32)
EXACT = {"atol": 1e-4, "rtol": 0}
LLAMAS = ["llama", "llama-tied", "llama-3", "llama-linear", "llama-yarn", "qwen3-yarn"]
LAYOUTS = [*LLAMAS, "mistral", "mistral-unlimited", "qwen2", "qwen2-window", "qwen3", "gpt2", *decoders.MADE]
WIDTHS = ["hidden_size", "intermediate_size", "num_attention_heads"]
SIZES = ["vocab_size", "num_hidden_layers", "max_position_embeddings", *WIDTHS]
DIALOGUE = [{"role": "user", "content": "Hello 日本"}]


def ids(rows, length, vocabulary=303):
    return torch.randint(0, vocabulary, (rows, length), generator=torch.Generator().manual_seed(length))


def whole(model, ids_BT):
    positions_BT = torch.arange(ids_BT.shape[1]).expand_as(ids_BT)
    return model.logits(model.hidden(ids_BT, positions_BT, torch.zeros_like(ids_BT)))


def in_steps(model, ids_BT):
    cache = model.make_cache(len(ids_BT), ids_BT.shape[1])
    rows, outs = torch.arange(len(ids_BT)), []
    for at in (0, *range(20, ids_BT.shape[1])):
        part = ids_BT[:, at : 20 if at == 0 else at + 1]
        outs.append(model.step(part, cache, rows, torch.full_like(rows, at)))
    return model.logits(torch.cat(outs, dim=1))


def taken(folder, tmp_path: Path, number=1):
    importing.take(folder, tmp_path / f"{number:06d}", number)
    return version.load(tmp_path / f"{number:06d}", CPU, check_finite=True)


@pytest.mark.parametrize("name", LAYOUTS)
@torch.no_grad()
def test_imported_it_computes_the_same(name, foreign: Foreign, tmp_path: Path) -> None:
    """All at once and through the cache; within the length it was trained on (16 for llama-3), and beyond it."""
    theirs, folder = foreign(name)
    ours = taken(folder, tmp_path).model
    for length in (5, 64):
        ids_BT = ids(2, length)
        torch.testing.assert_close(whole(ours, ids_BT), theirs(ids_BT).logits, **EXACT)
    torch.testing.assert_close(in_steps(ours, ids(2, 64)), theirs(ids(2, 64)).logits, **EXACT)
    if name != "gpt2":  # it has no positions beyond its context
        torch.testing.assert_close(whole(ours, ids(2, 150)), theirs(ids(2, 150)).logits, **EXACT)


@pytest.mark.parametrize("name", LAYOUTS)
@torch.no_grad()
def test_exported_again_it_is_theirs(name, foreign: Foreign, tmp_path: Path) -> None:
    theirs, folder = foreign(name)
    taken(folder, tmp_path)
    exporting.write(tmp_path / "000001", tmp_path / "out")
    back = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    assert type(back) is type(theirs) or name == "mistral-unlimited"  # which is a Llama
    assert torch.equal(back(ids(2, 40)).logits, theirs(ids(2, 40)).logits)
    went, came = (load_file(place / "model.safetensors") for place in (folder, tmp_path / "out"))
    assert went.keys() == came.keys()
    assert all(torch.equal(went[key], came[key]) for key in went)
    before, after = (AutoTokenizer.from_pretrained(place) for place in (folder, tmp_path / "out"))
    assert after("Hello <|im_end|> 日本")["input_ids"] == before("Hello <|im_end|> 日本")["input_ids"]
    prompts = [
        words.apply_chat_template(DIALOGUE, add_generation_prompt=True, return_dict=False) for words in (before, after)
    ]
    assert prompts[0] == prompts[1]


@torch.no_grad()
def test_a_sharded_model_is_one(foreign: Foreign, tmp_path: Path) -> None:
    theirs, folder = foreign("llama", shard="100KB")
    assert len(list(folder.glob("*.safetensors"))) > 2
    torch.testing.assert_close(whole(taken(folder, tmp_path).model, ids(1, 9)), theirs(ids(1, 9)).logits, **EXACT)


@torch.no_grad()
def test_names_as_in_old_files_are_understood(foreign: Foreign, tmp_path: Path) -> None:
    """GPT-2 as it was first published: no prefix, masks among the weights; a tied head written out."""
    theirs, folder = foreign("gpt2")
    weights = load_file(folder / "model.safetensors")
    old = {name.removeprefix("transformer."): weight for name, weight in weights.items()}
    old |= {"h.0.attn.bias": torch.ones(1, 1, 64, 64), "lm_head.weight": weights["transformer.wte.weight"].clone()}
    save_file(old, folder / "model.safetensors", metadata={"format": "pt"})
    torch.testing.assert_close(whole(taken(folder, tmp_path).model, ids(1, 9)), theirs(ids(1, 9)).logits, **EXACT)


@torch.no_grad()
def test_settings_as_in_old_files_are_understood(foreign: Foreign, tmp_path: Path) -> None:
    theirs, folder = foreign("llama-3")
    config = json.loads((folder / "config.json").read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = {**rope, "type": rope["rope_type"]}
    (folder / "config.json").write_text(json.dumps(config))
    torch.testing.assert_close(whole(taken(folder, tmp_path).model, ids(1, 60)), theirs(ids(1, 60)).logits, **EXACT)


def test_an_imported_version_is_a_version_like_others(foreign: Foreign, tmp_path: Path) -> None:
    _, folder = foreign("qwen2")
    (folder / "README.md").write_text("---\nlanguage:\n- en\nlicense: apache-2.0\n---\n# A model\nlicense: none\n")
    loaded = taken(folder, tmp_path)
    manifest = verify(tmp_path / "000001")
    assert manifest.settings["imported"] == {"from": str(folder), "licence": "apache-2.0"}
    assert (manifest.version, manifest.parent, manifest.cycle, manifest.family) == (1, None, None, "thor")
    assert loaded.tokenizer.vocabulary == loaded.model.vocabulary == 320
    theirs = AutoTokenizer.from_pretrained(folder)
    prompt = theirs.apply_chat_template(DIALOGUE, add_generation_prompt=True, return_dict=False)
    assert loaded.tokenizer.encode_prompt([Message("user", "Hello 日本")]) == prompt
    assert loaded.tokenizer.specials[loaded.tokenizer.special("<|end|>")] == "<|im_end|>"


OWN = {
    "thor": {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "feed_forward": 48, "context": 64},
    "thor-ntk": {"hidden": 32, "layers": 2, "heads": 2, "kv_heads": 2, "feed_forward": 48, "context": 64}
    | {"rope_scaling": "ntk", "rope_factor": 4.0},
    "thor-bias": {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "feed_forward": 48, "context": 64}
    | {"qkv_bias": True},
    "thor-window": {
        "hidden": 32,
        "layers": 2,
        "heads": 4,
        "kv_heads": 2,
        "feed_forward": 48,
        "context": 64,
        "window": 5,
    },
    "gpt2": {"hidden": 32, "layers": 2, "heads": 4, "context": 64},
    "char_lstm": {"hidden": 32, "layers": 1, "context": 64},
    "agiformer": {"hidden": 32, "layers": 2, "heads": 4, "feed_forward": 48, "context": 64},
}


def published(name, folder, kind="bpe"):
    kind = "bytes" if name == "agiformer" else kind
    words = train_tokenizer(TokenizerSettings(kind=kind, vocabulary=400), ["Hello there, how are you?"] * 9)
    settings = ModelSettings.model_validate({"family": name.split("-")[0], **OWN[name]})
    model = registry.build(settings, words.vocabulary, seed=3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())) * 0.2)
    provenance = Lineage(1, None, 1, "0" * 64, 0, {}, 1.0, {})
    version.publish(folder, registry.module(model).state_dict(), settings, words, provenance)
    return version.load(folder, CPU)


@pytest.mark.parametrize("kind", ["bpe", "unigram", "bytes"])
@pytest.mark.parametrize("name", ["thor", "thor-ntk", "thor-window", "thor-bias", "gpt2"])
@torch.no_grad()
def test_what_thord_learned_generates_the_same_in_transformers(name: str, kind: str, tmp_path: Path) -> None:
    ours = published(name, tmp_path / "000001", kind)
    exporting.write(tmp_path / "000001", tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    words = AutoTokenizer.from_pretrained(tmp_path / "out")
    given = words("Hello there", return_tensors="pt")["input_ids"]
    assert given[0].tolist() == [*ours.tokenizer.opening, *ours.tokenizer.encode("Hello there")]
    chat = words.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True, return_dict=False
    )
    assert chat == ours.tokenizer.encode_prompt([Message("user", "Hello")])
    model.generation_config.eos_token_id = None
    theirs = model.generate(given, max_new_tokens=20, do_sample=False)[0].tolist()
    mine = given[0].tolist()
    while len(mine) < len(theirs):
        mine.append(int(whole(ours.model, torch.tensor([mine]))[0, -1].argmax()))
    assert mine == theirs
    said = ours.tokenizer.encode("Hello, 日本 ")
    assert words.decode(said) == ours.tokenizer.decode(said)


@pytest.mark.parametrize("name", OWN)
@torch.no_grad()
def test_what_thord_exported_it_takes_back(name, tmp_path: Path) -> None:
    ours = published(name, tmp_path / "000001")
    exporting.write(tmp_path / "000001", tmp_path / "out")
    again = taken(tmp_path / "out", tmp_path, number=2)
    assert again.config.tokenizer == ours.config.tokenizer
    assert again.manifest.tokenizer_sha256 == ours.manifest.tokenizer_sha256
    torch.testing.assert_close(
        whole(again.model, ids(2, 30, 264)), whole(ours.model, ids(2, 30, 264)), atol=1e-5, rtol=0
    )
    with pytest.raises(ForeignModelError, match="exists already"):
        exporting.write(tmp_path / "000001", tmp_path / "out")


def test_others_may_read_what_was_exported(tmp_path: Path) -> None:
    """Whatever safetensors makes of its own files."""
    published("thor", tmp_path / "000001")
    before = os.umask(0o022)
    try:
        exporting.write(tmp_path / "000001", tmp_path / "out")
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "out").iterdir()} == {0o644}


def test_parts_and_calls_are_written_as_they_are_learned(tmp_path: Path) -> None:
    ours = published("thor", tmp_path / "000001").tokenizer
    exporting.write(tmp_path / "000001", tmp_path / "out")
    words = AutoTokenizer.from_pretrained(tmp_path / "out")
    called = {"name": "weather", "arguments": {"city": "Köln"}}
    record = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Is it raining?"}]},
            {"role": "assistant", "content": None, "tool_calls": [{"function": called}, {"function": called}]},
            {"role": "tool", "content": "yes"},
            {"role": "assistant", "content": "Once more.", "tool_calls": [{"function": called}]},
        ]
    }
    (found,) = read_known(io.BytesIO(json.dumps(record).encode()), Limits())
    (encoded,) = encode_conversations(ours, [(found.sample, 0)])
    assert words.apply_chat_template(record["messages"], return_dict=False) == encoded.ids.tolist()
    with pytest.raises(Exception, match="content may be text only, not image"):
        words.apply_chat_template([{"role": "user", "content": [{"type": "image"}]}])


def test_what_a_model_says_of_sampling_goes_with_it(foreign: Foreign, tmp_path: Path) -> None:
    """So do several tokens that end an answer; what is no token of its own, as a default of Llama's, ends none."""
    _, folder = foreign("llama")
    inner = Tokenizer.from_file(str(folder / "tokenizer.json"))
    inner.add_tokens([AddedToken("<eot>", normalized=False)])
    inner.save(str(folder / "tokenizer.json"))
    eot = inner.token_to_id("<eot>")
    said = {
        "do_sample": True,
        "temperature": 0.6,
        "top_k": 1,
        "eos_token_id": [258, eot, 2, 50256],
        "bos_token_id": 257,
    }
    (folder / "generation_config.json").write_text(json.dumps(said))
    loaded = taken(folder, tmp_path)
    assert eot in loaded.tokenizer.specials
    assert 2 not in loaded.tokenizer.specials
    assert sampling_of(loaded.generation) == Sampling(temperature=0.6, top_k=1)
    exporting.write(tmp_path / "000001", tmp_path / "out")
    after = GenerationConfig.from_pretrained(tmp_path / "out")
    assert {name: getattr(after, name) for name in said} == said | {"eos_token_id": [258, eot, 2, 256]}


@pytest.mark.parametrize("own", [True, False])
def test_a_tokenizer_saved_after_a_batch_reads_whole_texts(own: bool, foreign: Foreign, tmp_path: Path) -> None:
    """Truncation and padding stay in tokenizer.json when transformers saves it; neither is in what is exported."""
    folder = tmp_path / "theirs"
    if own:
        published("thor", tmp_path / "000009")
        exporting.write(tmp_path / "000009", folder)
    else:
        _, folder = foreign("llama")
    words = AutoTokenizer.from_pretrained(folder)
    text = "Hello there, how are you? " * 9
    whole = words(text, add_special_tokens=False)["input_ids"]
    words([text, "Hello"], truncation=True, max_length=5, padding=True)
    words.save_pretrained(folder)
    assert json.loads((folder / "tokenizer.json").read_text())["truncation"]
    ours = taken(folder, tmp_path).tokenizer
    assert [ours.encode(text), ours.encode_batch([text, "Hello"])[0].tolist()] == [whole, whole]
    exporting.write(tmp_path / "000001", tmp_path / "out")
    assert Tokenizer.from_file(str(tmp_path / "out/tokenizer.json")).encode(text, add_special_tokens=False).ids == whole


def edit(folder, name="config.json", **changes) -> None:
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def add_word(folder, number) -> None:
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    edit(folder, "tokenizer.json", model=model | {"vocab": model["vocab"] | {"zzz": number}})


def poison(folder) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][3] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "config.json").unlink(), "config.json: there is no such file"),
        (lambda f: (f / "config.json").write_text("{"), "config.json"),
        (lambda f: edit(f, model_type="bert"), "model_type 'bert' is not known; known are llama"),
        (lambda f: edit(f, hidden_act="gelu"), "hidden_act 'gelu'"),
        (lambda f: edit(f, attention_bias=True), r"missing: \['model.layers.0.self_attn.k_proj.bias'"),
        (lambda f: edit(f, model_type="mistral", attention_bias=True), "attention_bias"),
        (lambda f: (f / "generation_config.json").write_text('{"top_p": 7}'), "generation_config.json: top_p: .* 1"),
        (lambda f: edit(f, rope_parameters={"rope_type": "dynamic", "factor": 2.0}), "rope_type 'dynamic'"),
        (lambda f: edit(f, rope_parameters={"rope_type": "longrope", "factor": 2.0}), "rope_type 'longrope'"),
        (lambda f: edit(f, rope_parameters={"rope_type": "yarn", "factor": 2.0, "beta_fast": 16}), "yarn with other"),
        (lambda f: edit(f, rope_parameters={"rope_type": "yarn", "factor": 2.0, "mscale": 0.7}), "yarn with other"),
        (lambda f: edit(f, mlp_bias=True), "mlp_bias"),
        (poison, "NaN or infinity in model.norm.weight"),
        (lambda f: edit(f, quantization_config={"bits": 4}), "weights are quantized"),
        (lambda f: edit(f, hidden_size=64), r"weight is \[320, 48\], the model needs \[320, 64\]"),
        (lambda f: edit(f, vocab_size=100), "259 tokens, the model has 100 ids"),
        (lambda f: edit(f, num_hidden_layers=4), "missing"),
        (lambda f: (f / "tokenizer.json").unlink(), "save_pretrained"),
        (lambda f: (f / "tokenizer_config.json").write_text("[]"), "tokenizer_config.json"),
        (lambda f: (f / "chat_template.jinja").write_bytes(b"\xff"), "chat_template.jinja: .*can't decode"),
        (lambda f: add_word(f, 900), "901 tokens, the model has 320 ids"),
        (
            lambda f: (f / "model.safetensors").write_bytes(
                b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"
            ),
            "git lfs pull",
        ),
        (lambda f: (f / "model.safetensors").unlink(), "neither model.safetensors nor"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 40), "model.safetensors"),
        (
            lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../x.safetensors"}}'),
            "outside of its folder",
        ),
    ],
)
def test_what_cannot_be_taken_over_is_said(damage, said: str, foreign: Foreign, tmp_path: Path) -> None:
    _, folder = foreign("llama")
    damage(folder)
    with pytest.raises(ForeignModelError, match=said):
        importing.take(folder, tmp_path / "000001", 1)
    assert not (tmp_path / "000001").exists()
    assert list(tmp_path.glob(".tmp-*")) == []


@pytest.mark.parametrize("key", [*SIZES, "num_key_value_heads", "head_dim"])
@pytest.mark.parametrize("size", [10**10, 10**20])
def test_a_size_that_cannot_be_meant_is_named_before_anything_is_made_of_it(
    key, size: int, foreign: Foreign, tmp_path: Path
) -> None:
    """Layers without end, or a table of so many tokens, would take all memory there is."""
    _, folder = foreign("llama")
    edit(folder, **{key: size})
    with pytest.raises(ForeignModelError, match=f"config.json.* {key}: .* less than or equal to"):
        importing.take(folder, tmp_path / "000001", 1)


@pytest.mark.parametrize("key", SIZES)
def test_a_size_of_nothing_is_named(key, foreign: Foreign, tmp_path: Path) -> None:
    _, folder = foreign("llama")
    edit(folder, head_dim=None, **{key: 0})
    with pytest.raises(ForeignModelError, match=f"config.json.* {key}: .* greater than 0"):
        importing.take(folder, tmp_path / "000001", 1)


def test_special_tokens_that_nothing_has_are_done_without(foreign: Foreign, tmp_path: Path) -> None:
    """A padding token that was named and never added, and the end of a text that GPT-2's settings have by default."""
    _, folder = foreign("llama")
    (folder / "chat_template.jinja").unlink()
    edit(folder, "tokenizer_config.json", pad_token="[PAD]")
    edit(folder, eos_token_id=50256)
    (folder / "generation_config.json").write_text('{"eos_token_id": [50256]}')
    tokenizer = taken(folder, tmp_path).tokenizer
    assert {tokenizer.special(token) for token in (PAD, EOS, END)} == {tokenizer.special(EOS)}
    assert max(tokenizer.specials) < tokenizer.vocabulary


def test_what_stands_before_every_text_opens_it_and_what_stands_behind_does_not(
    foreign: Foreign, tmp_path: Path
) -> None:
    """Also where the tokenizer was saved as it pads batches."""
    _, folder = foreign("llama")
    file = str(folder / "tokenizer.json")
    inner = Tokenizer.from_file(file)
    first, last = "<|im_start|>", "<|endoftext|>"
    inner.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(token, inner.token_to_id(token)) for token in (first, last)]
    )
    inner.enable_padding(direction="left", length=8)
    inner.save(file)
    assert taken(folder, tmp_path).tokenizer.opening == (inner.token_to_id(first),)
