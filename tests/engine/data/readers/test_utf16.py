"""Text in UTF-16 and with the line ends of old Macs is read like any other; what is not certain is refused."""

import io

import pytest

from engine.data.readers.items import Found
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits

LINES = '{"prompt": "Größe?", "completion": "c"}\n{"prompt": "p — 2", "completion": "c"}\n'


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_lines_are_read_whatever_their_encoding_and_ends(read_bytes, encoding, ends):
    found, refused = read_bytes(LINES.replace("\n", ends).encode(encoding))
    assert [sample.messages[0].content for sample in found] == ["Größe?", "p — 2"]
    assert refused == []


def test_places_of_lines_that_end_with_cr_are_those_of_the_file():
    raw = LINES.encode()
    with_cr, with_lf = (list(read_known(io.BytesIO(each), Limits())) for each in (raw.replace(b"\n", b"\r"), raw))
    assert with_cr == with_lf
    grown = raw.replace(b"\n", b"\r") + b'{"prompt": "3", "completion": "c"}\r'
    [added] = [i for i in read_known(io.BytesIO(grown), Limits(), with_cr[-1].resume) if isinstance(i, Found)]
    assert added.sample.messages[0].content == "3"


@pytest.mark.parametrize(
    "raw",
    [
        "会議は十時に始まります。資料を忘れないでください。".encode("utf-16-le"),
        b"\x00\x01" * 100 + b"\x02\x00" * 20,
        b"\x7f\x00\x00\x00" * 40,
        b"a\0b\0",
    ],
)
def test_what_is_not_certainly_utf16_is_refused(read_bytes, raw):
    found, refused = read_bytes(raw)
    assert found == []
    assert len(refused) == 1
