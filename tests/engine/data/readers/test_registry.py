"""A file format costs a file and two lines: the example is recognised, read, and read on when the file has grown."""

import io
import subprocess
import sys

import pytest

from engine.data.readers import registry
from engine.data.readers.items import Found, Refused, Resume
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.samples import Dialogue
from examples import file_format

CARDS = b"#cards\nCapital of Norway?\tOslo\nno tab here\n"
MORE = b"Capital of Peru?\tLima\n"


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    formats = (*registry.FORMATS[:-1], file_format.FORMAT, registry.FORMATS[-1])
    monkeypatch.setattr(registry, "FORMATS", formats)
    monkeypatch.setattr(registry, "_BY_NAME", {each.name: each for each in formats})


def read(raw: bytes, resume: Resume | None = None) -> tuple[list[list[str]], list[Refused], Resume]:
    items = list(read_known(io.BytesIO(raw), Limits(), resume))
    dialogues = [item.sample for item in items if isinstance(item, Found) and isinstance(item.sample, Dialogue)]
    said = [[message.content for message in dialogue.messages] for dialogue in dialogues]
    return said, [item for item in items if isinstance(item, Refused)], items[-1].resume


def test_a_file_of_a_new_format_is_recognised_and_read() -> None:
    said, (refused,), resume = read(CARDS)
    assert said == [["Capital of Norway?", "Oslo"]]
    assert (refused.line, "expected a question, a tab and an answer" in refused.reason) == (3, True)
    assert resume.format == "cards"


def test_what_was_added_is_read_from_where_reading_ended() -> None:
    said, refused, _ = read(CARDS + MORE, read(CARDS)[2])
    assert (said, refused) == ([["Capital of Peru?", "Lima"]], [])


def test_other_files_are_what_they_were() -> None:
    assert registry.find("cards") is file_format.FORMAT
    assert read(b"User: Hello\nAssistant: Hi\n")[0] == [["Hello", "Hi"]]


def test_what_only_some_files_need_is_not_imported_at_start_up() -> None:
    code = "import engine.data.readers.loaders, sys; print({'pyarrow', 'zstandard', 'sqlite3'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "set()\n"
