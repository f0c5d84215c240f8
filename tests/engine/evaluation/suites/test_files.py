"""What is in the files of a suite: a broken line is said, and nothing is measured that nobody meant."""

import json
from pathlib import Path

import pytest

from engine.data.records.limits import Limits
from engine.evaluation.suites import files
from engine.evaluation.suites.files import BadFilesError

TURNS = json.dumps({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]})


def test_a_broken_line_is_left_out_and_counted(tmp_path: Path) -> None:
    suite = tmp_path / "exam.jsonl"
    suite.write_text(f'{TURNS}\n{{"messages": [\n')
    found = files.read([suite], Limits())
    assert (len(found.examples), found.refused) == (1, 1)


@pytest.mark.parametrize(("before", "line"), [("not JSON\n", 1), ("\n\n// a comment\n", 3)])
def test_what_begins_otherwise_than_its_name_says_is_no_text_to_measure(tmp_path: Path, before: str, line: int) -> None:
    suite = tmp_path / "exam.jsonl"
    suite.write_text(f"{before}{TURNS}\n")
    with pytest.raises(BadFilesError, match=rf"exam\.jsonl, line {line}: not valid JSON"):
        files.read([suite], Limits())
    suite.write_text(f"\ufeff\n{TURNS}\n")
    assert len(files.read([suite], Limits()).examples) == 1


def test_a_text_is_still_a_text(tmp_path: Path) -> None:
    suite = tmp_path / "exam.txt"
    suite.write_text("Once upon a time.\n")
    assert len(files.read([suite], Limits()).examples) == 1
