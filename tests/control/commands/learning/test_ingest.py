"""Ingesting: whole files under names of their own, whatever is there already."""

import os
import threading
from pathlib import Path

import pytest

from control import inbox
from control.paths import is_ignored
from tests.control.stand_in import Ctl, StandIn


def test_files_folders_and_standard_input_reach_the_inbox_and_are_read(
    stand_in: StandIn, ctl: Ctl, tmp_path: Path
) -> None:
    folder = tmp_path / "chats"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jsonl").write_text("a")
    (folder / "deep/a.jsonl").write_text("b")
    (folder / ".hidden").write_text("no")
    found = ctl.json("ingest", str(folder), str(folder / "a.jsonl"), "-", stdin="from stdin")
    target = stand_in.home / "inbox/conversations"
    assert isinstance(found, dict)
    assert {name: found[name] for name in ("added", "duplicates", "quarantined", "read")} == {
        "added": 2, "duplicates": 1, "quarantined": 0, "read": True
    }  # fmt: skip
    assert {file.name: file.read_text() for file in target.iterdir()} == {
        "a.jsonl": "a", "deep-a.jsonl": "b", "stdin": "from stdin"
    } | {Path(found["files"][2]).name: "a"}  # fmt: skip
    assert stand_in.asked[-1][1] == "/v1/scan"


def test_each_file_is_shown_under_its_own_name_with_what_it_was_taken_for(
    stand_in: StandIn, ctl: Ctl, tmp_path: Path
) -> None:
    (tmp_path / "talk.jsonl").write_text("{}")
    counts = {"conversations": 20, "turns": 81, "texts": 0, "preferences": 3, "labelled": 0}
    fate = {"added": 12, "duplicates": 8, "held": 3, "refused_records": 7}
    report = {"format": "lines", **counts, **fate, "refused": [{"line": 4, "reason": "not\x1bJSON"}]}
    stand_in.answers["POST", "/v1/scan"] = (
        200, {"added": 12, "duplicates": 8, "held": 3, "quarantined": 7, "files": [report]},
    )  # fmt: skip
    lines = ctl("ingest", str(tmp_path / "talk.jsonl")).stdout.splitlines()
    assert lines[1].split() == [
        str(tmp_path / "talk.jsonl"), "JSON", "Lines", "20", "81", "0", "3", "0", "12", "8", "3", "7"
    ]  # fmt: skip
    assert lines[2:4] == [f"refused: {tmp_path / 'talk.jsonl'}, line 4: not JSON", "and 6 more refused"]
    assert lines[4].startswith("1 file copied into ")
    (tmp_path / "talk.jsonl").write_text("{ }")
    found = ctl.json("ingest", str(tmp_path / "talk.jsonl"))
    assert found["reports"] == [{"file": found["files"][0], **report}]


def test_a_dry_run_needs_no_thord_and_leaves_nothing_behind(ctl: Ctl, tmp_path: Path) -> None:
    talk = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}'
    done = ctl("ingest", "--dry-run", "-", stdin=talk)
    assert done.returncode == 0, done.stderr
    assert "<|user|>Hi<|end|><|assistant|>[[Hello<|end|>]]" in done.stdout
    assert done.stdout.splitlines()[-1] == "conversations: 1, turns: 2, refused: 0; nothing was learned"
    assert not (tmp_path / "home").exists()


def test_without_thord_it_is_left_for_the_next_start(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("Once.")
    done = ctl("ingest", "--corpus", str(tmp_path / "book.txt"))
    assert done.returncode == 0
    assert "reads them when it starts" in done.stdout
    assert (tmp_path / "home/inbox/corpus/book.txt").read_text() == "Once."


def test_a_member_of_the_group_may_give_though_not_command(stand_in: StandIn, ctl: Ctl) -> None:
    stand_in.fail("POST", "/v1/scan", 403, "not_permitted", "uid 1001 may not")
    done = ctl("ingest", "-", stdin="text")
    assert done.returncode == 0
    assert "by itself" in done.stdout


def test_what_does_not_exist_is_five_and_nothing_beside_it_is_copied(
    stand_in: StandIn, ctl: Ctl, tmp_path: Path
) -> None:
    (tmp_path / "talk.jsonl").write_text("{}")
    done = ctl("ingest", str(tmp_path / "talk.jsonl"), "no-such-file.jsonl")
    assert done.returncode == 5
    assert "no-such-file.jsonl" in done.stderr
    assert not (stand_in.home / "inbox/conversations/talk.jsonl").exists()


def test_another_file_of_the_same_name_is_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    news = []
    for content in (b"one", b"two", b"one", b"two"):
        source = tmp_path / "source"
        source.write_bytes(content)
        with source.open("rb") as stream:
            news.append(inbox.put(stream, "name.jsonl", folder)[1])
    assert news == [True, True, True, False], "the third has a name with its sum"
    contents = [file.read_bytes() for file in folder.iterdir()]
    assert set(contents) == {b"one", b"two"}
    assert (folder / "name.jsonl").read_bytes() == b"one"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chat.tmp", "chat.tmp.txt"),
        ("notes.txt~", "notes.txt~.txt"),
        (".#lock.jsonl", "lock.jsonl"),
        ("#", "stdin"),
        ("\udcff.jsonl", "\udcff.jsonl"),
        ("é" * 200 + ".jsonl", "é" * 112 + ".jsonl"),
    ],
)
def test_what_is_given_is_not_left_alone_for_its_name(tmp_path: Path, name: str, expected: str) -> None:
    for content in (b"one", b"two"):
        (tmp_path / "source").write_bytes(content)
        with (tmp_path / "source").open("rb") as stream:
            target, _ = inbox.put(stream, name, tmp_path / "inbox")
        assert not is_ignored(target.name)
    assert (tmp_path / "inbox" / expected).read_bytes() == b"one"


def test_a_watcher_never_sees_a_part_of_a_file(tmp_path: Path) -> None:
    folder, reader_end, writer_end = tmp_path / "inbox", *os.pipe()
    result: list[Path] = []
    with os.fdopen(reader_end, "rb") as source:
        thread = threading.Thread(target=lambda: result.append(inbox.put(source, "live", folder)[0]))
        thread.start()
        with os.fdopen(writer_end, "wb") as sink:
            for _ in range(20):
                sink.write(b"x" * 100_000)
                assert not [file for file in folder.glob("*") if not file.name.startswith(".")]
        thread.join()
    assert result[0].stat().st_size == 2_000_000
    assert [file.name for file in folder.iterdir()] == ["live"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with (tmp_path / "source").open("w+b") as source, pytest.raises(inbox.errors.ThordError, match="No space left"):
        inbox.put(source, "name", tmp_path / "inbox")
    assert list((tmp_path / "inbox").iterdir()) == []
