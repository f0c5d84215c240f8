"""Packed files are read like what is in them; what cannot be unpacked is refused by name, and costs nothing else."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings

from engine.data.readers.items import Found, Refused
from engine.data.readers.packed import bounds, streams
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from tests.engine.data.readers.mangling import mangled

LINE = '{"prompt": "p%d", "completion": "c"}\n'


def lines(*numbers):
    return "".join(LINE % number for number in numbers).encode()


def zipped(members, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return file.getvalue()


def tarred(members, form=tarfile.PAX_FORMAT):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, raw in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return file.getvalue()


def zstd(raw):
    return pytest.importorskip("zstandard").compress(raw)


def read(raw):
    items = list(read_known(io.BytesIO(raw), Limits()))
    assert all((item.start, item.end, item.resume.offset) == (0, len(raw), 0) for item in items)
    found = [item.sample.messages[0].content for item in items if isinstance(item, Found)]
    return found, [item.reason for item in items if isinstance(item, Refused)]


def noise(size):
    return random.Random(1).randbytes(size)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd])
class TestCompressed:
    def test_is_read_like_what_it_holds(self, pack):
        assert read(pack(lines(1, 2))) == (["p1", "p2"], [])

    def test_streams_that_follow_each_other_are_one_file(self, pack):
        assert read(pack(lines(1)) + pack(lines(2))) == (["p1", "p2"], [])

    def test_a_tar_in_it_counts_as_one(self, pack):
        inner = gzip.compress(lines(2))
        found, refused = read(pack(tarred({"a/1.jsonl": lines(1), "a/2.jsonl.gz": inner})))
        assert (found, refused) == (["p1", "p2"], [])

    def test_one_that_is_cut_off_is_refused(self, pack):
        whole = pack("\n".join(f'{{"prompt": "p", "completion": "{n} {noise(9).hex()}"}}' for n in range(9)).encode())
        _, refused = read(whole[:-12])
        assert len(refused) == 1
        assert "cut off" in refused[0] or "damaged" in refused[0]

    def test_one_that_is_damaged_is_refused(self, pack):
        whole = bytearray(pack(lines(1) + noise(2000).hex().encode()))
        whole[len(whole) // 2] ^= 0x55
        whole[len(whole) // 2 + 1] ^= 0x55
        _, refused = read(bytes(whole))
        assert refused

    def test_what_follows_its_end_is_refused(self, pack):
        found, refused = read(pack(lines(1)) + b"something else")
        assert found == ["p1"]
        assert len(refused) == 1

    def test_reading_on_after_growth_begins_again(self, pack):
        first, second = pack(lines(1)), pack(lines(2))
        resume = list(read_known(io.BytesIO(first), Limits()))[-1].resume
        again = list(read_known(io.BytesIO(first + second), Limits(), resume))
        assert [item.sample.messages[0].content for item in again] == ["p1", "p2"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_members_are_read_by_their_formats(form):
    long = "a" * 90 + "/" + "b" * 60 + ".jsonl"
    raw = tarred({"1.jsonl": lines(1), long: lines(2), "page.html": b"<html><body>x</body></html>"}, form)
    found, refused = read(raw)
    assert found == ["p1", "p2"]
    assert len(refused) == 1
    assert refused[0].startswith("page.html: ")
    assert "HTML" in refused[0]


def test_zip_members_are_read_by_their_formats():
    raw = zipped({"conversations.json": b"[" + LINE.encode() % 1 + b"]", "image.png": b"\x89PNG\0", "b/": b""})
    found, refused = read(raw)
    assert found == ["p1"]
    assert [reason.split(":")[0] for reason in refused] == ["image.png"]


def test_packed_files_in_a_zip_are_read_and_deeper_ones_refused():
    raw = zipped(
        {
            "1.jsonl.gz": gzip.compress(lines(1)),
            "2.zip": zipped({"2.jsonl": lines(2)}),
            "3.tar.gz": gzip.compress(tarred({"3.jsonl": lines(3)})),
            "4.zip": zipped({"4.jsonl.gz": gzip.compress(lines(4))}),
        }
    )
    found, refused = read(raw)
    assert found == ["p1", "p2", "p3"]
    assert len(refused) == 1
    assert refused[0].startswith("4.zip: 4.jsonl.gz: gzip: packed more than 2 times")


def test_names_that_lead_out_links_and_devices_are_refused_and_the_rest_is_read():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("/etc/passwd.jsonl", "a/../../b.jsonl", "good.jsonl"):
            info = tarfile.TarInfo(name)
            info.size = len(lines(1))
            archive.addfile(info, io.BytesIO(lines(1)))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"kind{kind.decode()}")
            info.type, info.linkname = kind, "good.jsonl"
            archive.addfile(info)
    found, refused = read(file.getvalue())
    assert found == ["p1"]
    assert [reason.split(":")[0] for reason in refused] == [
        *("/etc/passwd.jsonl", "a/../../b.jsonl", "kind2", "kind1", "kind3", "kind6")
    ]
    found, refused = read(zipped({"../x.jsonl": lines(1), "C:\\x.jsonl": lines(1), "y..z.jsonl": lines(2)}))
    assert found == ["p2"]
    assert len(refused) == 2


def test_a_sparse_file_is_refused_and_the_rest_is_read():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, headers in (("holes.jsonl", {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}), ("good.jsonl", {})):
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = len(lines(1)), headers
            archive.addfile(info, io.BytesIO(lines(1)))
    found, refused = read(file.getvalue())
    assert found == ["p1"]
    assert len(refused) == 1
    assert "holes.jsonl: a sparse file" in refused[0]


def test_an_encrypted_member_is_refused_and_the_rest_is_read():
    raw = bytearray(zipped({"secret.jsonl": lines(1), "open.jsonl": lines(2)}))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.find(mark) + flags] |= 1
    found, refused = read(bytes(raw))
    assert found == ["p2"]
    assert len(refused) == 1
    assert "secret.jsonl: encrypted" in refused[0]


def test_a_member_without_a_name_is_read():
    raw = zipped({"x": lines(1)}, zipfile.ZIP_STORED)
    assert read(raw.replace(b"x", b"\0")) == (["p1"], [])


def test_a_damaged_member_costs_itself_alone():
    raw = bytearray(zipped({"1.jsonl": lines(1), "2.jsonl": lines(2)}, zipfile.ZIP_STORED))
    raw[raw.find(b'"p1"') + 2] = ord("9")
    found, refused = read(bytes(raw))
    assert "p2" in found
    assert len(refused) == 1
    assert refused[0].startswith("1.jsonl: damaged")


def test_a_damaged_header_in_a_tar_is_said_and_what_came_before_is_kept():
    raw = bytearray(tarred({"1.jsonl": lines(1), "2.jsonl": lines(2), "3.jsonl": lines(3)}))
    raw[1024:1030] = b"\xff" * 6
    found, refused = read(bytes(raw))
    assert found == ["p1"]
    assert len(refused) == 1
    assert "no header of a member at byte 1024" in refused[0]


def test_a_tar_that_is_cut_off_is_said():
    found, refused = read(tarred({"1.jsonl": lines(1), "2.jsonl": lines(2) + b" " * 2000})[:2000])
    assert found == ["p1", "p2"] or found == ["p1"]
    assert len(refused) == 1
    assert "cut off" in refused[0]


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("[Content_Types].xml", "Office"),
        ("mimetype", "EPUB"),
        ("model/data.pkl", "PyTorch"),
        ("arr_0.npy", "NumPy"),
    ],
)
def test_documents_that_are_zips_inside_are_refused_as_what_they_are(member, words):
    found, refused = read(zipped({member: b"application/epub+zip"}))
    assert found == []
    assert len(refused) == 1
    assert words in refused[0]


def test_hidden_files_and_those_of_macos_are_passed_over():
    assert read(zipped({"__MACOSX/._1.jsonl": b"\0\5", ".DS_Store": b"\0", "1.jsonl": lines(1)})) == (["p1"], [])


def test_a_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(bounds, "FREE_BYTES", 1 << 20)
    found, refused = read(gzip.compress(LINE.encode() % 1 + b" " * (8 << 20) + b"\n" + lines(2)))
    assert found == ["p1"]
    assert len(refused) == 1
    assert "as a bomb does" in refused[0]


def test_too_many_members_are_refused(monkeypatch):
    monkeypatch.setattr(bounds, "MEMBERS", 3)
    for pack in (zipped, tarred):
        found, refused = read(pack({f"{n}.jsonl": lines(n) for n in range(5)}))
        assert found == ["p0", "p1", "p2"]
        assert len(refused) == 1
        assert "more than 3 members" in refused[0]


def test_memory_stays_flat(monkeypatch):
    """4 MB of lines, of which little may be kept."""
    monkeypatch.setattr(streams, "KEPT_BYTES", 5 << 18)
    line = b'{"prompt": "%08d", "completion": "' + noise(2000).hex().encode() + b'"}\n'
    packed = gzip.compress(b"".join(line % n for n in range(1000)), 1)
    tracemalloc.start()
    try:
        count = sum(isinstance(item, Found) for item in read_known(io.BytesIO(packed), Limits()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 1000
    assert peak < 4 << 20


def test_without_its_library_zstd_is_refused_with_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    _, refused = read(b"\x28\xb5\x2f\xfd\x04\x00")
    assert "pip install 'thord[zstd]'" in refused[0]


def test_a_disk_that_fails_is_not_taken_for_damage():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 1000:
                raise OSError(5, "Input/output error")
            return super().read(min(size, 512))

    for raw in (gzip.compress(noise(5000)), tarred({"a": noise(5000)})):
        with pytest.raises(OSError, match="Input/output error"):
            list(read_known(Failing(raw), Limits()))


MARKS = [
    b"\x1f\x8b\x08",
    b"\xfd7zXZ\0",
    b"BZh91AY&SY",
    b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04",
    gzip.compress(lines(1)),
    lzma.compress(lines(1)),
    bz2.compress(lines(1)),
    zipped({"a.jsonl": lines(1), "b.gz": gzip.compress(lines(2))}),
    tarred({"a.jsonl": lines(1), "b": b"x" * 600}),
    gzip.compress(tarred({"a.jsonl": lines(1)})),
]


@settings(max_examples=150, deadline=None)
@given(mangled(MARKS))
def test_any_bytes_after_a_mark_are_learned_or_refused(raw):
    for item in read_known(io.BytesIO(raw), Limits()):
        assert 0 <= item.start <= item.end
