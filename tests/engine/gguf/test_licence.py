"""What a GGUF file says of its maker and licence."""

from pathlib import Path

from engine.gguf import container, licence
from tests.engine.gguf.conftest import add_words, finish, start


def test_what_a_file_says_of_itself_is_kept(tmp_path: Path, words: tuple[list[str], list[str]]) -> None:
    writer = start(tmp_path / "model.gguf")
    writer.add_license("apache-2.0")
    writer.add_organization("Somebody")
    writer.add_url("https://example.org/model")
    finish(writer, add_words(writer, words, "gpt-2"))
    assert licence.read(container.read(tmp_path / "model.gguf").metadata) == {
        "maker": "Somebody",
        "licence": "apache-2.0",
        "url": "https://example.org/model",
    }


def test_a_licence_that_is_on_no_list_goes_by_its_name(tmp_path: Path, words: tuple[list[str], list[str]]) -> None:
    writer = start(tmp_path / "model.gguf")
    writer.add_license("other")
    writer.add_license_name("llama3")
    finish(writer, add_words(writer, words, "gpt-2"))
    assert licence.read(container.read(tmp_path / "model.gguf").metadata) == {"licence": "llama3"}


def test_a_file_that_says_nothing_is_taken_all_the_same(tmp_path: Path, words: tuple[list[str], list[str]]) -> None:
    writer = start(tmp_path / "model.gguf")
    finish(writer, add_words(writer, words, "gpt-2"))
    assert licence.read(container.read(tmp_path / "model.gguf").metadata) == {}
