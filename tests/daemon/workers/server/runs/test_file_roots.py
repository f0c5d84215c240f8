"""Files that requests may name: below the roots, wherever links lead, and nothing else."""

import os
from pathlib import Path

import pytest

from daemon.workers.server.errors import ApiError
from daemon.workers.server.runs.file_roots import read_text, resolve


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/sub").mkdir(parents=True)
    (tmp_path / "root/sub/in.txt").write_text("inside")
    (tmp_path / "secret.txt").write_text("outside")
    (tmp_path / "root/link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "root/up").symlink_to(tmp_path)
    (tmp_path / "root/alias.txt").symlink_to("sub/in.txt")
    (tmp_path / "root/loop").symlink_to("loop")
    (tmp_path / "rooted").mkdir()
    (tmp_path / "rooted/x.txt").write_text("a name that only begins like the root")
    os.mkfifo(tmp_path / "root/pipe")
    return tmp_path / "root"


def refusal(name: str, roots: list[Path], limit: int = 100) -> int:
    with pytest.raises(ApiError) as refused:
        read_text(name, [str(each) for each in roots], "path", limit)
    return refused.value.status


def test_what_lies_below_a_root_is_read(root: Path) -> None:
    for name in ("sub/in.txt", str(root / "sub/in.txt"), "alias.txt", "sub/../sub/in.txt"):
        assert read_text(name, ["/nowhere", str(root)], "path", 100) == "inside"
    assert resolve("sub", [str(root)], "path") == root / "sub"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt",
        "/etc/passwd",
        "link.txt",
        "up/secret.txt",
        "sub/../../secret.txt",
        "../rooted/x.txt",
        "up",
        "..",
    ],
)
def test_nothing_else_is(root: Path, name: str) -> None:
    assert refusal(name, [root]) == 403


def test_without_roots_nothing_is(root: Path) -> None:
    assert refusal(str(root / "sub/in.txt"), []) == 403


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("a\0b", 422), ("", 422), ("missing.txt", 404), ("loop", 403), ("pipe", 422), ("sub", 422), ("x" * 5000, 403),
        ("sub/in.txt/x", 404), ("\ud800", 403),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(root: Path, name: str, status: int) -> None:
    assert refusal(name, [root]) == status


def test_a_file_has_a_limit_and_is_utf_8(root: Path) -> None:
    assert refusal("sub/in.txt", [root], limit=5) == 413
    (root / "bytes.txt").write_bytes(b"\xff\xfe")
    assert refusal("bytes.txt", [root]) == 422
