"""How good a version is, in words."""

import pytest

from control.quality import quality


@pytest.mark.parametrize(
    ("bits", "level"),
    [(3.4, "noise"), (2.0, "noise"), (1.99, "fragments"), (1.5, "fragments"), (1.3, "sentences"), (1.0, "fluent")],
)
def test_bits_per_byte_in_words(bits: float, level: str) -> None:
    found = quality({"bits_per_byte": bits}, first=True)
    assert found is not None
    assert found["level"] == level
    assert f"{bits:.2f} bits per byte" in found["words"]


def test_noise_says_how_little_text_it_had_and_what_to_do() -> None:
    found = quality({"bits_per_byte": 3.3985, "text_bytes": 412_000.0}, first=True)
    assert found is not None
    assert "this is noise; 0.4 MB of text is too little to learn a language from" in found["words"]
    assert "thorctl import starter" in found["words"]
    assert "17 KB of text" in (quality({"bits_per_byte": 3.4, "text_bytes": 17_422.0}, first=True) or found)["words"]


def test_what_was_not_judged_has_no_quality() -> None:
    assert quality(None, first=True) is None
    assert quality({"loss": 2.0}, first=True) is None


def test_a_later_version_knows_more_than_the_text_of_its_own_cycle() -> None:
    found = quality({"bits_per_byte": 2.4, "text_bytes": 1000.0}, first=False)
    assert found is not None
    assert "KB" not in found["words"]
