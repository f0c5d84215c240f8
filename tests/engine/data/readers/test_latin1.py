"""Latin-1 is read where it can be nothing else."""

import pytest

from engine.data.readers.latin1 import is_latin1

GERMAN = "Größe der Mühle? \N{DOUBLE LOW-9 QUOTATION MARK}So\N{LEFT DOUBLE QUOTATION MARK}, ÜBERALL 5 \N{EURO SIGN}"


@pytest.mark.parametrize("text", [GERMAN, "el café está aquí, José", "l\N{RIGHT SINGLE QUOTATION MARK}été", "École"])
def test_text_of_western_europe_is_known(text: str) -> None:
    assert is_latin1(text.encode("cp1252"))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Größe der Mühle", "utf-8"),
        ("Größe der Mühle", "cp437"),
        ("Größe der Mühle", "mac-roman"),
        ("café à la crème", "cp1252"),
        ("Příliš žluťoučký kůň", "cp1250"),
        ("árvíztűrő", "cp1250"),
        ("İstanbul şehri", "cp1254"),
        ("Привет", "cp1251"),
        ("Привет", "koi8-r"),
        ("Γειά", "cp1253"),
        ("你好吗", "gbk"),
        ("こんにちは", "shift-jis"),
        ("안녕하세요", "euc-kr"),
        ("plain", "ascii"),
    ],
)
def test_what_may_be_something_else_is_not(text: str, encoding: str) -> None:
    assert not is_latin1(text.encode(encoding))


def test_a_row_of_it_in_another_file_is_not_taken_for_the_file() -> None:
    assert not is_latin1(b"one\ntwo\n" + GERMAN.encode("cp1252"))


def test_it_is_read(read_bytes) -> None:
    found, refused = read_bytes('{"prompt": "Größe?", "completion": "Käse."}\n'.encode("latin-1"))
    assert [message.content for message in found[0].messages] == ["Größe?", "Käse."]
    assert refused == []


def test_what_is_not_certain_is_refused_with_what_to_do(read_bytes) -> None:
    found, refused = read_bytes('{"prompt": "Où?", "completion": "Là."}\n'.encode("latin-1"))
    assert found == []
    assert "save the file as UTF-8" in refused[0].reason
