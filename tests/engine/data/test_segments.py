"""Segments give back what they took, also after a crash in the middle of a line."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.samples import Conversation, Text
from engine.data.segments import DamagedSegmentError, Location, Segments

TEXTS = st.lists(st.text(min_size=1, max_size=50, alphabet=st.characters(exclude_categories=["Cs"])), max_size=8)


@given(batches=st.lists(TEXTS, max_size=4), torn=st.integers(0, 30))
def test_what_was_synced_is_read_back_after_a_torn_write(tmp_path_factory, batches, torn):
    folder = tmp_path_factory.mktemp("segments")
    written: dict[Location, Conversation] = {}
    for texts in batches:
        segments = Segments(folder, segment_bytes=200)
        for text in texts:
            conversation = Text(text=text)
            written[segments.append(conversation)] = conversation
        segments.sync()
        segments.close()
        with max(folder.iterdir(), default=folder / "000001.jsonl").open("ab") as file:
            file.write(b'{"text": "torn and never ended'[:torn])
    segments = Segments(folder)
    assert {location: segments.read(location) for location in written} == written


@pytest.mark.parametrize("ahead", [1, 1 << 20])
def test_what_was_rolled_back_leaves_no_trace(tmp_path, monkeypatch, ahead):
    """Neither in memory nor, where the disk began to write it, in the file."""
    monkeypatch.setattr("engine.data.segments._AHEAD", ahead)
    segments = Segments(tmp_path)
    first = segments.append(Text(text="kept"))
    segments.sync()
    segments.append(Text(text="dropped"))
    segments.rollback()
    second = segments.append(Text(text="kept too"))
    segments.sync()
    assert (tmp_path / "000001.jsonl").read_text() == '{"text":"kept"}\n{"text":"kept too"}\n'
    assert [segments.read(first).text, segments.read(second).text] == ["kept", "kept too"]


def test_what_is_written_ahead_lies_where_it_would_lie_otherwise(tmp_path, monkeypatch):
    texts = [Text(f"text number {number}") for number in range(50)]
    for name, ahead in (("ahead", 70), ("at once", 1 << 20)):
        monkeypatch.setattr("engine.data.segments._AHEAD", ahead)
        segments = Segments(tmp_path / name)
        places = [segments.append(text) for text in texts[:30]]
        segments.sync()
        places += [segments.append(text) for text in texts[30:]]
        segments.sync()
        assert [segments.read(place) for place in places] == texts
    assert (tmp_path / "ahead/000001.jsonl").read_bytes() == (tmp_path / "at once/000001.jsonl").read_bytes()


def test_a_full_disk_loses_nothing_that_was_synced(tmp_path, monkeypatch):
    segments = Segments(tmp_path)
    first = segments.append(Text("kept"))
    segments.sync()
    monkeypatch.setattr("engine.data.segments._AHEAD", 1)
    written = os.pwrite

    def full(descriptor, data, offset):
        written(descriptor, data[:9], offset)
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="no space left"):
            segments.append(Text("half of it comes to the disk"))
    segments.rollback()
    second = segments.append(Text("kept too"))
    segments.sync()
    assert (tmp_path / "000001.jsonl").read_text() == '{"text":"kept"}\n{"text":"kept too"}\n'
    assert [segments.read(first).text, segments.read(second).text] == ["kept", "kept too"]


def test_damage_is_named(tmp_path):
    segments = Segments(tmp_path)
    location = segments.append(Text(text="soon gone"))
    segments.sync()
    (tmp_path / "000001.jsonl").write_bytes(b"\xff" * 40)
    with pytest.raises(DamagedSegmentError, match=r"000001\.jsonl at byte 0"):
        segments.read(location)


def test_what_nobody_knows_is_blanked_and_what_is_kept_stays_where_it_is(tmp_path) -> None:
    segments = Segments(tmp_path, segment_bytes=200)
    places = []
    for number in range(12):
        places.append(segments.append(Text(f"text number {number}")))
        segments.sync()
    assert len(list(tmp_path.iterdir())) > 1
    kept = [place for number, place in enumerate(places) if number % 3 == 1]
    assert segments.erase_all_but(kept) > 0
    assert segments.erase_all_but(kept) == 0, "blanks are left alone"
    written = b"".join(file.read_bytes() for file in sorted(tmp_path.iterdir()))
    assert [number for number in range(12) if f'text number {number}"'.encode() in written] == [1, 4, 7, 10]
    assert [segments.read(place).text for place in kept] == [f"text number {number}" for number in (1, 4, 7, 10)]
    after = segments.append(Text("more"))
    segments.sync()
    assert segments.read(after) == Text("more")
    segments.close()
