"""Every command: its JSON, its words for people, what it asks of thord."""

import json
from pathlib import Path

import pytest

from control import exit_status
from control.cli.table import COMMANDS
from tests.control import stand_in as thord
from tests.control.stand_in import Ctl, StandIn

NAMES = [name for names in COMMANDS.values() for name in names]


@pytest.mark.parametrize("command", NAMES)
def test_every_command_has_help_with_examples_and_json(ctl: Ctl, command: str) -> None:
    done = ctl(command, "--help")
    assert done.returncode == 0
    assert "--json" in done.stdout
    assert f"thorctl {command}" in done.stdout.split("examples:")[1] or "sudo thorctl" in done.stdout


def test_no_command_is_left_out(ctl: Ctl) -> None:
    listed = ctl("--help").stdout
    assert {name for names in COMMANDS.values() for name in names} == set(NAMES)
    assert all(f"    {command}" in listed for command in NAMES)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["status"], thord.STATUS),
        (["status", "server"], {"server": thord.STATUS["workers"]["server"]}),
        (["reload"], {"applied": ["schedule.interval_minutes"], "needs_restart": ["api.port"]}),
        (["restart", "server"], {"server": thord.STATUS["workers"]["server"]}),
        (["cycles"], [thord.CYCLE, thord.CYCLE | {"id": 6, "state": "rejected"}]),
        (["cycle", "7"], thord.CYCLE),
        (["cycle", "7", "--wait"], thord.CYCLE),
        (["cancel", "7"], thord.CYCLE | {"state": "cancelled"}),
        (["resume"], {"paused": None, "next_cycle_at": "2026-01-02T03:30:00Z"}),
        (["train"], thord.CYCLE | {"state": "queued", "outcome": None}),
        (["train", "--wait"], thord.CYCLE | {"waiting": 3}),
        (["evaluate", "12"], {"version": "000012", "passed": True, "metrics": {"loss": 2.5}}),
        (["versions"], [thord.VERSION, thord.OLDER]),
        (["version", "12"], thord.VERSION),
        (["promote", "thor@000012"], thord.VERSION),
        (["fold"], thord.VERSION | {"state": "available"}),
        (["fold", "12", "--promote"], thord.VERSION),
        (["pin", "12"], thord.VERSION | {"pinned": True}),
        (["clean", "--dry-run"], thord.CLEANING),
        (["rollback"], thord.OLDER | {"state": "serving"}),
        (["data"], thord.COUNTS | thord.SOURCES | {"set_aside_because": []}),
        (["quarantine"], [thord.REFUSAL]),
        (["quarantine", "retry"], {"added": 1, "duplicates": 0, "quarantined": 0}),
        (["predict", "Who are you?", "--task", "chat"], thord.PREDICTION),
        (["score", "abc"], {"loss": 1.5, "perplexity": 4.5}),
        (["config"], thord.CONFIGURATION),
    ],
)  # fmt: skip
def test_json_is_what_thord_answers(stand_in: StandIn, ctl: Ctl, words: list[str], expected: object) -> None:
    assert ctl.json(*words) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["status"],
            [
                "ready",
                "disk is almost full",
                "7 is training: step 3/9, loss 2.000",
                "pid 1",
                "000012",
                "3 min 20 s",
                "40 learned",
                "server",
                "http://127.0.0.1:8000",
            ],
        ),
        (["reload"], ["applied: schedule.interval_minutes", "thorctl restart", "api.port"]),
        (["cycles"], ["CYCLE", "promoted", "rejected", "000011", "version 000012 serves"]),
        (
            ["cycle", "7"],
            ["promoted", "gate", "candidate: 2.5", "draws: 1, 2", "-0.0312 bits per byte on what was held out before"],
        ),
        (["train"], ["cycle 7 is queued", "thorctl cycle 7"]),
        (["versions"], ["000012", "serving", "1,234,567", "abababababab"]),
        (["version", "12", "--settings"], ["perplexity", "12.2", "training.learning_rate", "thorctl cycle 7"]),
        (["promote", "12"], ["version 000012 is serving"]),
        (["fold"], ["version 000012 has the adapter in its weights, and is available", "thorctl promote 12"]),
        (["data"], ["held out", "learned", "4 (3 preference, 1 labelled)", "JSON Lines", "/srv/talk.jsonl"]),
        (["quarantine"], ["chats/ [31mbad.json", "not JSON"]),
        (["events"], ["cycle.collecting", "cycle=7", "version.promoted"]),
        (["config"], ['profile = "tiny"', "[training]", "epochs = 3.0  # profile tiny"]),
        (["evaluate", "current"], ["passed: yes", "loss: 2.5", "thorctl cycle 7"]),
    ],
)
def test_words_for_people(stand_in: StandIn, ctl: Ctl, words: list[str], expected: list[str]) -> None:
    done = ctl(*words)
    assert done.returncode == 0, done.stderr
    for part in expected:
        assert part in done.stdout
    assert "\x1b" not in done.stdout, "no colours, and nothing a file name smuggles in, where no terminal reads"


def test_the_version_is_said_and_a_mistyped_command_guessed(ctl: Ctl) -> None:
    assert ctl("--version").stdout.startswith("thorctl of thord ")
    mistyped = ctl("stat")
    assert mistyped.returncode == exit_status.USAGE
    assert "there is no command 'stat'; did you mean " in mistyped.stderr
    assert "status" in mistyped.stderr
    assert "quarantine" not in mistyped.stderr


def test_options_are_taken_before_and_after_the_command(stand_in: StandIn, ctl: Ctl) -> None:
    socket = str(stand_in.home / "run/control.sock")
    for words in (("--json", "-s", socket, "status"), ("status", "-s", socket, "--json")):
        done = Ctl(stand_in.home / "elsewhere")(*words)
        assert json.loads(done.stdout) == thord.STATUS


def test_arguments_that_may_be_left_out_stand_before_and_after_options(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("Some words to learn from.")
    for number, words in enumerate(
        (
            ("train", "words.txt", "--kind", "bytes", "--out", "out0"),
            ("train", "--kind", "bytes", "--out", "out1", "words.txt"),
            ("--out", "out2", "train", "--kind", "bytes", "words.txt"),
        )
    ):
        placed = [str(tmp_path / word) if word.startswith(("words", "out")) else word for word in words]
        done = ctl("tokenizer", *placed)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"out{number}" / "tokenizer.json").exists()
    unknown = ctl("tokenizer", "train", "--nonsense", "words.txt")
    assert (unknown.returncode, "--nonsense" in unknown.stderr) == (2, True)


def test_what_was_set_aside_is_shown_and_taken_up_again(stand_in: StandIn, ctl: Ctl) -> None:
    entry = {"source": "/srv/chats.jsonl", "conversations": 86, "reason": "3 cycles came to nothing, the last: worse"}
    stand_in.answers["GET", "/v1/data"] = (200, thord.COUNTS | {"set_aside": 86})
    stand_in.answers["GET", "/v1/data/set-aside"] = (200, [entry])
    stand_in.answers["POST", "/v1/data/retry"] = (200, {"conversations": 86})
    assert "3 cycles came to nothing" in ctl("data").stdout
    assert ctl.json("data")["set_aside_because"] == [entry]
    assert "86 conversations are new again" in ctl("data", "retry", "/srv/chats.jsonl").stdout
    assert ctl.json("data", "retry") == {"conversations": 86}
    assert [body["source"] for body in stand_in.bodies("/v1/data/retry")] == ["/srv/chats.jsonl", None]


def test_events_are_one_object_a_line_also_when_followed(stand_in: StandIn, ctl: Ctl) -> None:
    for words in (("events", "--json"), ("events", "-f", "--json")):
        assert [json.loads(line) for line in ctl(*words).stdout.splitlines()] == thord.EVENTS
    assert stand_in.asked[-1][2] == {"limit": "50", "follow": "true"}


def test_top_looks_as_often_as_told(stand_in: StandIn, ctl: Ctl) -> None:
    lines = ctl("top", "-c", "2", "-d", "0", "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [thord.STATUS, thord.STATUS]


def test_quarantine_is_grouped_by_file_and_reason_with_a_total(stand_in: StandIn, ctl: Ctl) -> None:
    lines = [thord.REFUSAL | {"line": number, "reason": f"not JSON at column {number}"} for number in range(9, 0, -1)]
    stand_in.answers["GET", "/v1/quarantine"] = (200, [*lines, thord.REFUSAL | {"file": "b.json", "line": None}])
    shown = ctl("quarantine", "-n", "1").stdout
    assert "9        1, 2, 3 …  not JSON at column 9" in shown
    assert "1 in quarantine; 1 more lines like these: -n 2" in shown
    assert "b.json" in ctl("quarantine").stdout
