"""Files named for one cycle that hold little: they can be judged on all the same, or what is missing is said."""

import contextlib
import json
import re

import pytest

from control.paths import at_home
from daemon.messages import Collect, CollectFiles
from daemon.settings.sections import Tables
from daemon.workers.intake import named_files
from engine.data import snapshot

LINE = "line {:06d}: the quick brown fox jumps over the lazy dog.\n"
SIZE = len(LINE.format(0))


def prose(size: int) -> str:
    """Numbered lines; a paragraph ends after every seventh."""
    return "".join(LINE.format(n) if n % 7 else f"{LINE.format(n)[:-2]}\n\n" for n in range(size // SIZE))


def place(piece: str, size: int) -> float:
    """Where in so much prose the first whole line of a piece lies."""
    number = re.search(r"line (\d{6})", piece)
    assert number
    return int(number[1]) * SIZE / size


@pytest.fixture
def collected(tmp_path):
    paths = at_home(tmp_path / "home")
    paths.snapshots.mkdir(parents=True)

    def run(text: str, **how: object) -> tuple[list[str], list[str]]:
        """What is trained on and what is judged on."""
        file = tmp_path / "file.txt"
        file.write_text(text)
        command = Collect(cycle=1, limit=None, minimum=1, files=(str(file),), **how)
        reading = lambda _path, _signature: contextlib.nullcontext()  # noqa: E731
        named_files.write_snapshot(command, paths, Tables(), lambda: None, reading, lambda _sample, _identity: False)
        folder = paths.snapshot(1)
        return tuple(
            [example.sample.texts[0] for example in examples]
            for examples in (snapshot.train_examples(folder), snapshot.held_out_examples(folder))
        )

    return run


def test_seventy_kilobytes_can_be_split(collected):
    text = prose(70_000)
    train, judged = collected(text, split=True)
    assert len(judged) >= 10
    assert 0.75 < sum(map(len, train)) / len(text) <= 0.9
    assert max(place(piece, 70_000) for piece in train) < min(place(piece, 70_000) for piece in judged)


def test_of_much_text_five_hundredths_judge_and_five_are_left_alone(collected):
    text = prose(1_500_000)
    train, judged = collected(text, split=True)
    assert len(judged) >= 5
    assert all(0.9 <= place(piece, 1_500_000) <= 0.95 for piece in judged)
    assert 0.85 < sum(map(len, train)) / len(text) <= 0.9


def test_six_hundred_kilobytes_of_text_hold_out_enough(collected):
    train, judged = collected(prose(600_000))
    assert len(judged) >= 10
    assert not set(train) & set(judged)
    assert sum(map(len, train)) > 400_000


def test_forty_dialogues_hold_out_enough_of_them(collected):
    turns = [[("user", f"question {n}"), ("assistant", f"answer {n}")] for n in range(40)]
    lines = [json.dumps({"messages": [{"role": role, "content": text} for role, text in turn]}) for turn in turns]
    train, judged = collected("\n".join(lines) + "\n")
    assert (len(train), len(judged)) == (30, 10)


def test_what_is_too_short_to_split_says_so(collected):
    with pytest.raises(named_files.CollectError, match="too short"):
        collected(prose(700), split=True)


def test_a_conversation_that_ends_with_the_file_is_split_by_where_it_lies(collected):
    rows = [{"session_id": 1, "role": role, "content": role} for role in ("user", "assistant")]
    texts = [{"text": f"{number} " + "x" * 50} for number in range(200)]
    train, _ = collected("".join(json.dumps(line) + "\n" for line in (*rows, *texts)), split=True)
    assert "user" in "".join(train)


def test_a_job_that_nobody_judges_learns_all_of_its_file(tmp_path):
    paths = at_home(tmp_path / "home")
    paths.snapshots.mkdir(parents=True)
    file = tmp_path / "talk.jsonl"
    talk = [[{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}."}] for n in range(60)]
    file.write_text("".join(json.dumps({"messages": each}) + "\n" for each in talk))
    reading = lambda _path, _signature: contextlib.nullcontext()  # noqa: E731
    for job, share, held_out in ((1, 0.0, False), (2, None, True)):
        command = CollectFiles(job=job, files=(str(file),), held_out_share=share)
        named_files.write_snapshot(command, paths, Tables(), lambda: None, reading, lambda _sample, _identity: False)
        folder = paths.job_snapshot(job)
        train, judged = (len(list(part(folder))) for part in (snapshot.train_examples, snapshot.held_out_examples))
        assert (train + judged, judged > 0) == (60, held_out)
