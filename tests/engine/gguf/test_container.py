"""Files as they come: every type of tensor, what thord lacks, and what is damaged."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.foreign_model import ForeignModelError
from engine.gguf import container, exporting, importing, vocabulary
from engine.gguf.architectures import reading
from tests.engine.gguf.conftest import ORIGIN, VersionOf, add_words, finish, start


@pytest.mark.parametrize("kind", GGMLQuantizationType, ids=lambda kind: kind.name)
def test_a_tensor_is_decoded_as_the_package_does_or_refused_by_name(kind, tmp_path: Path) -> None:
    block, block_bytes = GGML_QUANT_SIZES[kind]
    rows, blocks = 6, 4
    data = np.random.default_rng(0).integers(0, 64, (rows, blocks * block_bytes), dtype=np.uint8)
    writer = GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_tensor_info("x", (rows, block * blocks), np.dtype(np.float32), data.nbytes, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.write_tensor_data(data)
    writer.close()
    file = container.read(tmp_path / "a.gguf")
    plain = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}
    try:
        expected = data.view(plain[kind.name]) if kind.name in plain else dequantize(data, kind)
    except NotImplementedError:
        with pytest.raises(ForeignModelError, match=f"x is of type {kind.name}"):
            file.read("x")
    else:
        found = file.read("x")
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected.astype(np.float32))


@pytest.fixture
def whole(version_of: VersionOf, tmp_path: Path):
    """A file that can be taken over."""
    _, folder = version_of("llama-3")
    exporting.write(folder, tmp_path / "whole.gguf", "q8_0")
    return tmp_path / "whole.gguf"


@settings(max_examples=120, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_is_more_than_a_sentence(whole, data) -> None:
    """Cut off or changed anywhere: an error that says so, or a model; quickly, and without taking memory."""
    content = whole.read_bytes()
    header = min(len(content), 24_000)
    at = data.draw(st.integers(0, header))
    cut = data.draw(st.booleans())
    junk = data.draw(st.binary(min_size=1, max_size=9))
    damaged = whole.with_name("damaged.gguf")
    damaged.write_bytes(content[:at] if cut else content[:at] + junk + content[at + len(junk) :])
    said = ""
    try:
        file = container.read(damaged)
        reading.read(file)
        vocabulary.read(file.metadata, 320)
        for name in file.tensors:
            file.read(name)
    except ForeignModelError as error:
        said = str(error)
    assert not said or str(damaged) in said
    assert "\n" not in said


def test_every_cut_is_named(whole, tmp_path: Path) -> None:
    content = whole.read_bytes()
    for share in (0.001, 0.1, 0.5, 0.99):
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ForeignModelError, match="cut off"):
            importing.take(cut, tmp_path / "version", 1)
    assert not (tmp_path / "version").exists()


def entries(file, **metadata):
    """Of a file with these keys besides those of a tiny model, its model."""
    writer = start(file)
    for key, value in metadata.items():
        key = key.replace("__", ".")
        adds = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        adds[type(value)](key, value)
    finish(writer, 4)
    return reading.read(container.read(file))


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"llama__expert_count": 8}, "llama.expert_count is something that thord"),
        ({"llama__attention__causal": False}, "llama.attention.causal"),
        ({"llama__rope__scaling__type": "longrope"}, "'longrope' is not known"),
        ({"llama__logit_scale": 0.5}, "llama.logit_scale"),
        ({"llama__rope__dimension_count": 8}, "rope.dimension_count is not the width of a head, 16"),
        ({"llama__attention__head_count_kv": 0}, "kv_heads"),
        ({"general__type": "adapter"}, "LoRA adapter"),
        ({"general__type": "mmproj"}, "not a language model"),
        ({"split__count": 3}, "one of 3 files"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_what_thord_lacks_is_refused_by_name(metadata, said: str, tmp_path: Path) -> None:
    with pytest.raises(ForeignModelError, match=said):
        entries(tmp_path / "a.gguf", **metadata)


def test_other_architectures_are_refused_by_name(tmp_path: Path) -> None:
    finish(start(tmp_path / "a.gguf", "mamba"), 4)
    with pytest.raises(ForeignModelError, match=r"'mamba' is not known; known are llama, qwen2, .*, gpt2"):
        reading.read(container.read(tmp_path / "a.gguf"))


def test_an_unknown_way_to_cut_texts_is_refused_by_name(words, tmp_path: Path) -> None:
    writer = start(tmp_path / "a.gguf")
    count = add_words(writer, words, "tekken")
    finish(writer, count)
    with pytest.raises(ForeignModelError, match=r"tokenizer\.ggml\.pre 'tekken'"):
        vocabulary.read(container.read(tmp_path / "a.gguf").metadata, count)


def test_weights_that_are_no_numbers_are_refused(version_of: VersionOf, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from engine import version
    from engine.tokenizers import registry

    _, folder = version_of("llama-tied")
    weights = load_file(folder / version.WEIGHTS)
    weights["model.layers.1.mlp.up_proj.weight"][3, 3] = float("nan")
    words = registry.load("huggingface", folder)
    version.publish(tmp_path / "bad", weights, version.read_config(folder).model, words, ORIGIN)
    exporting.write(tmp_path / "bad", tmp_path / "bad.gguf")
    with pytest.raises(ForeignModelError, match=r"NaN or infinity in blk\.1\.ffn_up\.weight"):
        importing.take(tmp_path / "bad.gguf", tmp_path / "version", 1)


def test_a_folder_is_told_the_other_command(version_of: VersionOf, tmp_path: Path) -> None:
    version_of("llama-tied")
    with pytest.raises(ForeignModelError, match="is a folder"):
        importing.take(tmp_path / "their-llama-tied", tmp_path / "version", 1)
