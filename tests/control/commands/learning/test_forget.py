"""Forgetting with thorctl: nothing without a yes, and whatever was done is said."""

import pytest

from tests.control.stand_in import Ctl, StandIn

DONE = {
    "samples": 2, "cycles": [7], "versions": ["000011"], "made_from_these": ["000012"], "files_cut": ["/in/a.jsonl"],
    "files_removed": ["/in/b.zip"], "files_left": ["/mine.jsonl"], "files_unnamed": 1300, "sessions": 1,
    "answers": 0, "failed": [], "went_back": False, "went_back_to": None,
}  # fmt: skip


def test_what_was_done_is_said(stand_in: StandIn, ctl: Ctl) -> None:
    stand_in.answers["POST", "/v1/data/forget"] = (200, DONE)
    told = ctl("data", "forget", "3f9a0c41d2e7", "--yes").stdout
    for word in (
        "2 samples",
        "000011; versions made from these: 000012",
        "/in/a.jsonl",
        "/in/b.zip",
        "/mine.jsonl",
        "and 1,300 more files",
    ):
        assert word in told
    assert ctl.json("data", "forget", "--source", "talk.jsonl", "--yes", "--retrain") == DONE
    assert ctl.json("data", "forget", "--owner", "ab12", "--yes") == DONE
    assert stand_in.bodies("/v1/data/forget") == [
        {"ids": ["3f9a0c41d2e7"], "source": None, "owner": None, "retrain": False},
        {"ids": [], "source": "talk.jsonl", "owner": None, "retrain": True},
        {"ids": [], "source": None, "owner": "ab12", "retrain": False},
    ]


def test_what_could_not_be_done_and_where_it_went_back_to_is_said(stand_in: StandIn, ctl: Ctl) -> None:
    failed = DONE | {"failed": ["/in/c: it cannot be read"], "went_back": True, "went_back_to": "000010"}
    stand_in.answers["POST", "/v1/data/forget"] = (200, failed)
    done = ctl("data", "forget", "3f9a0c41d2e7", "--yes", "--retrain")
    assert (done.returncode, "/in/c: it cannot be read" in done.stderr) == (1, True)
    assert "version 000010 serves" in done.stdout
    stand_in.answers["POST", "/v1/data/forget"] = (200, DONE | {"went_back": True})
    told = ctl("data", "forget", "3f9a0c41d2e7", "--yes", "--retrain").stdout
    assert "no version serves until the next cycle is promoted\n" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data", "forget", "3f9a0c41d2e7"], "cannot be undone"),
        (["data", "forget", "--yes"], "say what to forget"),
        (["data", "--retrain"], "'data count' has no --retrain"),
        (["data", "list", "--owner", "ab"], "'data list' has no --owner"),
        (["data", "count", "talk.jsonl"], "'data count' takes no names"),
        (["data", "retry", "a.jsonl", "b.jsonl"], "'data retry' takes one file"),
        (["data", "retry", "a.jsonl", "--source", "b.jsonl"], "'data retry' takes one file"),
    ],
)
def test_nothing_is_forgotten_unasked_and_no_option_or_name_is_ignored(
    stand_in: StandIn, ctl: Ctl, words: list[str], said: str
) -> None:
    done = ctl(*words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert stand_in.bodies("/v1/data/forget") == []
