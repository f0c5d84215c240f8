"""Logs: the last lines of all, merged by time, and what comes after, through rotation."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.service import logs
from tests.control.stand_in import REPOSITORY, Ctl


def entry(second: int, event: str, **more: object) -> str:
    return json.dumps({"at": f"2026-01-01T00:00:{second:02}.000Z", "level": "info", "event": event, **more})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "home/logs"
    folder.mkdir(parents=True)
    return folder


def test_lines_of_several_files_come_in_the_order_of_time(folder: Path, ctl: Ctl) -> None:
    (folder / "thord.log").write_text(f"{entry(1, 'a')}\n{entry(3, 'c', cycle=4)}\n")
    (folder / "trainer.log").write_text(f"{entry(2, 'b', level='error')}\nFatal Python error: Segmentation fault\n")
    ends = [line.split()[-1] for line in ctl("logs").stdout.splitlines()]
    assert ends == ["a", "b", "fault", "cycle=4"]
    assert [json.loads(line)["event"] for line in ctl("logs", "thord", "--json").stdout.splitlines()] == ["a", "c"]
    assert ctl("logs", "-n", "1", "thord").stdout.split()[-1] == "cycle=4"


@given(
    lines=st.lists(
        st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\n"), max_size=30),
        max_size=40,
    ),
    count=st.integers(0, 50),
)
def test_the_last_lines_are_the_last_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], count: int
) -> None:
    file = tmp_path_factory.mktemp("logs") / "thord.log"
    file.write_bytes("".join(f"{line}\n" for line in lines).encode())
    assert [line.text for line in logs.Logs([file]).last(count)] == (lines[-count:] if count else [])


def test_the_rotated_copy_fills_up_what_is_missing(folder: Path) -> None:
    (folder / "thord.log.1").write_text("\n".join(entry(n, f"old{n}") for n in range(5)) + "\n")
    (folder / "thord.log").write_text(entry(9, "new") + "\n")
    events = [json.loads(line.text)["event"] for line in logs.Logs([folder / "thord.log"]).last(3)]
    assert events == ["old3", "old4", "new"]


def test_a_large_log_is_read_from_its_end(folder: Path) -> None:
    with (folder / "thord.log").open("w") as file:
        file.truncate(1 << 33)  # 8 GiB of nothing: reading it through would take longer than the test may
        file.seek(0, os.SEEK_END)
        file.write("\n" + "\n".join(entry(n, f"e{n}") for n in range(9)) + "\n")
    assert [json.loads(line.text)["event"] for line in logs.Logs([folder / "thord.log"]).last(2)] == ["e7", "e8"]


def test_following_goes_through_rotation_truncation_and_late_creation(folder: Path) -> None:
    file, late = folder / "thord.log", folder / "trainer.log"
    file.write_text("before\n")
    lines = logs.Logs([file, late]).follow()

    def after(act: Callable[[], object]) -> str:
        threading.Timer(0.05, act).start()
        return next(lines).text

    def append(text: str, to: Path = file) -> None:
        with to.open("a") as stream:
            stream.write(text)

    def rotate() -> None:
        append("last of the old\n")
        file.rename(folder / "thord.log.1")
        append("first of the new\n")

    assert after(lambda: append("one\ntw")) == "one"
    assert after(lambda: append("o\n")) == "two"
    assert after(rotate) == "last of the old"
    assert next(lines).text == "first of the new"
    assert after(lambda: append("late\n", late)) == "late"
    assert after(lambda: file.write_text("cut\n")) == "cut"


def test_between_the_past_and_what_follows_no_line_is_lost_or_told_twice(folder: Path) -> None:
    file = folder / "thord.log"
    file.write_text("a\nb\nhal")
    reader = logs.Logs([file])
    with file.open("a") as stream:
        stream.write("f\nafter\n")
    assert [line.text for line in reader.last(9)] == ["a", "b"]
    following = reader.follow()
    assert [next(following).text, next(following).text] == ["half", "after"]


def test_logs_need_no_thord_but_a_log(ctl: Ctl) -> None:
    done = ctl("logs")
    assert done.returncode == 5
    assert "no log" in done.stderr


def test_a_log_cannot_steer_the_terminal(folder: Path, ctl: Ctl) -> None:
    (folder / "thord.log").write_text(entry(1, "a\x1b[2Jb", file="\x07x") + "\n\x1b]0;title\x07\n")
    assert not set("\x1b\x07") & set(ctl("logs").stdout)


def test_follow_prints_at_once_into_a_pipe(folder: Path) -> None:
    (folder / "thord.log").write_text(entry(1, "old") + "\n")
    command = [sys.executable, "-m", "control.cli.main", "-H", str(folder.parent), "logs", "-f", "--json"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "old"
        with (folder / "thord.log").open("a") as file:
            file.write(entry(2, "new") + "\n")
        assert json.loads(process.stdout.readline())["event"] == "new"
        process.terminate()
