from pathlib import Path

import pytest

from engine import disk


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    disk.write(file, "old")
    with file.open() as reading:
        disk.write_json(file, {"name": "Ünd"})
        assert reading.read() == "old", "who had it open reads what it was"
    assert file.read_text(encoding="utf-8") == '{\n  "name": "Ünd"\n}\n'
    assert names(tmp_path) == ["state.json"]


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "state"
    disk.write(file, b"old")

    def fail() -> None:
        with disk.draft(file) as draft:
            draft.write_bytes(b"half")
            assert file.read_bytes() == b"old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == ["state"]


def test_a_link_is_moved_in_one_step_even_to_what_is_gone(tmp_path: Path) -> None:
    link = tmp_path / "current"
    for target in ("one", "two"):
        with disk.draft(link) as draft:
            draft.symlink_to(target)
        assert link.readlink() == Path(target)
    assert names(tmp_path) == ["current"]
