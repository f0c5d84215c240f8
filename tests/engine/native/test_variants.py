"""Which variant of the kernels a processor runs, and what is said of one that it cannot."""

import pytest

from engine.native import library, variants
from engine.native.variants import NoSuchVariantError

ALDER_LAKE = {"sse2", "avx2", "fma", "f16c", "avx_vnni"}
ZEN_3 = {"sse2", "avx2", "fma", "f16c"}
SKYLAKE = {*ZEN_3, "avx512f", "avx512bw", "avx512dq", "avx512vl"}
ZEN_4 = {*SKYLAKE, "avx512_vnni", "avx512_bf16"}
SAPPHIRE_RAPIDS = {*ZEN_4, "avx_vnni", "amx_tile", "amx_bf16", "amx_int8"}


@pytest.mark.parametrize(
    ("abilities", "expected"),
    [
        ({"sse2"}, []),
        (ZEN_3, ["avx2"]),
        (ALDER_LAKE, ["avxvnni", "avx2"]),
        (SKYLAKE, ["avx512", "avx2"]),
        ({*SKYLAKE, "avx512_vnni"}, ["avx512vnni", "avx512", "avx2"]),
        (ZEN_4, ["avx512bf16", "avx512vnni", "avx512", "avx2"]),
        (SAPPHIRE_RAPIDS, ["amx", "avx512bf16", "avx512vnni", "avx512", "avxvnni", "avx2"]),
    ],
)
def test_a_processor_runs_what_it_has_the_instructions_for(abilities: set[str], expected: list[str]) -> None:
    assert [each.name for each in variants.usable("", "x86_64", abilities)] == expected


def test_the_one_that_is_asked_for_is_taken() -> None:
    assert [each.name for each in variants.usable("avx2", "x86_64", SAPPHIRE_RAPIDS)] == ["avx2"]
    assert [each.name for each in variants.usable("", "aarch64", set())] == ["neon"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("avx512", "THORD_ISA=avx512 needs a processor with avx512bw, avx512dq, avx512f, avx512vl; .* avx2$"),
        ("neon", "needs a processor with aarch64"),
        ("amx", "amx_bf16, amx_tile, .* and a system that lets programs use them; this processor runs avx2$"),
        ("sse9", "THORD_ISA=sse9 names no variant of the kernels; this processor runs avx2$"),
    ],
)
def test_one_that_it_cannot_run_is_refused(asked: str, sentence: str) -> None:
    with pytest.raises(NoSuchVariantError, match=sentence):
        variants.usable(asked, "x86_64", ZEN_3)


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    able = [each for each in variants.usable_here() if library.path(each).is_file()]
    for variant in able:
        monkeypatch.setenv(variants.FORCED, variant.name)
        assert library.chosen() == variant
    monkeypatch.setenv(variants.FORCED, "abacus")
    with pytest.raises(NoSuchVariantError, match="abacus"):
        library.chosen()


def test_amx_is_not_used_where_linux_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variants.FORCED, raising=False)
    monkeypatch.setattr(variants, "amx_permitted", lambda: False)
    assert "amx" not in [each.name for each in variants.usable_here()]


def test_options_are_what_compilers_call_the_abilities() -> None:
    best = variants.usable("", "x86_64", SAPPHIRE_RAPIDS)[0]
    assert {"-mavx2", "-mavx512f", "-mavx512vnni", "-mavx512bf16", "-mamx-tile", "-mamx-bf16"} <= set(best.options)
