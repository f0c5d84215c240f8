"""The log of a run read by positions, through rotation: every line once, whatever happens between two reads."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.workers.server.runs.log_file import LogFile, Position, position


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def rotate(path: Path) -> None:
    for number in range(5, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{number + 1}"))
    if path.exists():
        path.rename(path.with_name(f"{path.name}.1"))


def all_after(file: LogFile, start: Position | None) -> tuple[list[bytes], Position | None]:
    found: list[bytes] = []
    while True:
        chunk = file.after(start)
        found += [line for _, line in chunk.lines]
        start = chunk.end
        if not chunk.more:
            return found, start


STEPS = st.lists(
    st.one_of(st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")), st.just("rotate"), st.just("read")),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_every_line_is_read_once(tmp_path_factory, steps) -> None:
    path = tmp_path_factory.mktemp("log") / "run.log"
    file, place = LogFile(path), None
    written: list[bytes] = []
    read: list[bytes] = []
    for step in steps:
        if step == "rotate" and path.exists():
            if not sum(1 for _ in path.parent.iterdir()) < 5:
                continue
            rotate(path)
        elif step == "read":
            more, place = all_after(file, place)
            read += more
        elif isinstance(step, bytes):
            append(path, step + b"\n")
            written.append(step.rstrip(b"\r"))
    more, place = all_after(file, place)
    assert read + more == written
    chunk = file.tail(3)
    assert [line for _, line in chunk.lines] == written[-3:]
    assert all_after(file, chunk.end)[0] == []


def test_a_line_is_told_when_it_is_whole_and_resumes_behind_each(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    file = LogFile(path)
    assert (file.after(None).lines, file.end(), file.tail(5).lines) == ((), None, ())
    append(path, b"one\ntwo\nthr")
    chunk = file.after(None)
    assert [line for _, line in chunk.lines] == [b"one", b"two"]
    append(path, b"ee\n")
    assert [line for _, line in file.after(chunk.lines[0][0]).lines] == [b"two", b"three"]
    assert [line for _, line in file.after(chunk.end).lines] == [b"three"]


def test_a_position_whose_file_is_gone_begins_with_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    append(path, b"one\n")
    assert [line for _, line in LogFile(path).after(Position(1, 4)).lines] == [b"one"]


def test_an_endless_line_comes_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    append(path, b"x" * 600_000 + b"\nend\n")
    found, _ = all_after(LogFile(path), None)
    assert (sum(map(len, found)), found[-1]) == (600_003, b"end")


def test_positions_are_written_as_inode_and_offset() -> None:
    assert position("12:34") == Position(12, 34)
    assert str(Position(12, 34)) == "12:34"
    assert [position(text) for text in ("", "12", "a:b", "1:2:3", "-1:2", "1:" + "9" * 40)] == [None] * 6
