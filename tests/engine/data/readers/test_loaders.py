"""Loaders of real packages, as pip leaves them on disk."""

import io
from pathlib import Path

import pytest

from engine.data.readers import loaders
from engine.data.readers.items import Found, Refused
from engine.data.records.limits import Limits

MODULE = """
import configparser
import io
import json

class Ini:
    suffixes = (".INI",)

    def read(self, file):
        parser = configparser.ConfigParser()
        parser.read_string(file.read().decode())
        for name in parser.sections():
            yield {"prompt": parser[name]["q"], "completion": parser[name]["a"]}

class Careless:
    suffixes = (".careless",)

    def read(self, file):
        yield {"text": file.readline().decode()}
        yield {"unknown": 1}
        raise KeyError("page 7")

class Quits:
    suffixes = (".quits",)

    def read(self, file):
        raise SystemExit(3)

class Closes:
    suffixes = (".closes",)

    def read(self, file):
        whole = json.load(io.TextIOWrapper(file, "utf-8"))  # which closes the file when it goes
        yield from ({"text": poem} for poem in whole)

class NoLoader:
    pass

class CommaForgotten:
    suffixes = (".jsonl")

    def read(self, file):
        yield {"text": "not of this loader"}

class Numbered:
    suffixes = (1,)

    def read(self, file):
        yield {"text": "not of this loader"}
"""
POINTS = """[thord.loaders]
ini = strange:Ini
careless = strange:Careless
quits = strange:Quits
closes = strange:Closes
none = strange:NoLoader
gone = nowhere:Loader
comma = strange:CommaForgotten
numbered = strange:Numbered
"""


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    (tmp_path / "strange.py").write_text(MODULE)
    described = tmp_path / "strange-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    loaders._loaders.cache_clear()
    yield
    loaders._loaders.cache_clear()


def read(tmp_path, name, content):
    return list(loaders.read(tmp_path / name, io.BytesIO(content), Limits()))


def test_a_file_that_a_loader_knows_is_read_by_it(tmp_path):
    items = read(tmp_path, "talk.ini", b"[one]\nq = Who?\na = Me.\n[two]\nq = Where?\na = Here.\n")
    said = [[message.content for message in item.sample.messages] for item in items]
    assert said == [["Who?", "Me."], ["Where?", "Here."]]
    assert [item.line for item in items] == [1, 2]
    assert all(item.resume.offset == 0 for item in items), "it is read anew when it has changed"


def test_the_example_of_the_documentation_reads(tmp_path):
    page = (Path(__file__).parents[4] / "docs/corpora.md").read_text()
    (tmp_path / "poems.py").write_text(page.split("```python\n")[1].split("```")[0])
    point = page.split("```toml\n[project.entry-points.")[1].split("```")[0].split("]\n")[1]
    (tmp_path / "strange-1.0.dist-info" / "entry_points.txt").write_text("[thord.loaders]\n" + point.replace('"', ""))
    items = read(tmp_path, "all.poems", b"Roses are red.\n---\nViolets are blue.\nSo are you.\n")
    assert [i.sample.text for i in items] == ["Roses are red.", "Violets are blue.\nSo are you."]


def test_other_files_are_read_as_ever(tmp_path):
    [item] = read(tmp_path, "talk.txt", b"Some words.")
    assert item.sample.text == "Some words."


def test_what_a_loader_raises_is_refused_with_its_name_and_what_came_before_is_kept(tmp_path):
    items = read(tmp_path, "book.careless", b"First line.\nSecond.\n")
    assert [type(item) for item in items] == [Found, Refused, Refused]
    assert items[0].sample.text == "First line."
    assert "unknown shape" in items[1].reason
    assert items[2].reason == "loader 'careless' failed after 2 records: KeyError: 'page 7'"


def test_one_that_wants_to_end_the_process_does_not(tmp_path):
    [item] = read(tmp_path, "a.quits", b"x")
    assert item.reason == "loader 'quits' failed after 0 records: SystemExit: 3"


def test_one_may_close_the_file(tmp_path):
    items = read(tmp_path, "poems.closes", b'["Roses are red.", "Violets are blue."]')
    assert [item.sample.text for item in items] == ["Roses are red.", "Violets are blue."]


def test_one_that_is_none_is_said_and_left_out(tmp_path, caplog):
    read(tmp_path, "talk.txt", b"Some words.")
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "loader comma (strange:CommaForgotten) cannot be used: "
        "its suffixes must be a tuple of strings, such as (\".epub\",), and are '.jsonl'",
        "loader gone (nowhere:Loader) cannot be used: No module named 'nowhere'",
        "loader none (strange:NoLoader) cannot be used: it has no suffixes, or no method read",
        "loader numbered (strange:Numbered) cannot be used: "
        'its suffixes must be a tuple of strings, such as (".epub",), and are (1,)',
    ]


def test_a_loader_with_a_string_for_suffixes_claims_no_file(tmp_path):
    """A string is a sequence of strings too, and every file's name that ends with one of its letters would fit."""
    [item] = read(tmp_path, "any.l", b'{"text": "Somebody else reads this."}\n')
    assert item.sample.text == "Somebody else reads this."
