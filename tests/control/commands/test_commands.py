"""Every command: its JSON, its words for people, what it asks of thord."""

import json
import re
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


def test_a_cycle_that_was_broken_off_names_no_version_that_never_was(stand_in: StandIn, ctl: Ctl) -> None:
    broken = thord.CYCLE | {"state": "cancelled", "version": "000013"}
    stand_in.answers["GET", "/v1/cycles"] = (200, [broken, broken | {"version": "000012"}])
    stand_in.answers["GET", "/v1/cycles/7"] = (200, broken)
    listed = ctl("cycles").stdout
    assert "000013" not in listed
    assert "000012" in listed
    assert "000013" not in ctl("cycle", "7").stdout
    assert ctl.json("cycle", "7") == broken


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


def test_train_sends_absolute_paths_and_only_the_settings_that_were_given(
    stand_in: StandIn, ctl: Ctl, tmp_path: Path
) -> None:
    files = "--train-data a.jsonl b.jsonl --val-data /v.jsonl"
    ctl.json(
        "train",
        *files.split(),
        *"--epochs 2 --batch-size 4 --steps 9 --learning-rate 1e-4 --from thor@000012".split(),
        "--checkpoint-folder",
        "kept",
    )
    (body,) = stand_in.bodies("/v1/cycles")
    assert body == {
        "train_files": [str(thord.REPOSITORY / "a.jsonl"), str(thord.REPOSITORY / "b.jsonl")],
        "validation_files": ["/v.jsonl"],
        "corpus": [],
        "split": False,
        "base": 12,
        "overrides": {"epochs": 2.0, "batch_size": 4, "max_steps": 9, "learning_rate": 1e-4}
        | {"checkpoint_folder": str(thord.REPOSITORY / "kept")},
    }


def test_options_that_were_renamed_still_work_and_say_so(stand_in: StandIn, ctl: Ctl) -> None:
    done = ctl("train", "--accumulation", "2", "--length", "64")
    (body,) = stand_in.bodies("/v1/cycles")
    assert isinstance(body, dict)
    assert body["overrides"] == {"gradient_accumulation": 2, "sequence_length": 64}
    assert "warning: --accumulation was renamed to --gradient-accumulation" in done.stderr
    assert ctl("train", "--length", "64", "--sequence-length", "32").returncode == 2
    assert "--accumulation " not in ctl("train", "--help").stdout


def test_a_corpus_known_by_name_is_no_path_and_is_split(stand_in: StandIn, ctl: Ctl) -> None:
    ctl.json("train", "--corpus", "enwik8", "./enwik8")
    (body,) = stand_in.bodies("/v1/cycles")
    assert body["corpus"] == ["enwik8", str(thord.REPOSITORY / "enwik8")]
    assert body["split"] is True


def test_train_does_not_split_where_there_is_no_file(stand_in: StandIn, ctl: Ctl) -> None:
    done = ctl("train", "--split")
    assert (done.returncode, "--corpus or --train-data" in done.stderr) == (2, True)
    assert not stand_in.bodies("/v1/cycles")


def test_train_wait_shows_progress_and_the_outcome(stand_in: StandIn, ctl: Ctl) -> None:
    lines = ctl("train", "--wait").stdout.splitlines()
    assert lines == [
        "collecting",
        "training: tokenising 300/1,200, 4 s left",
        "training: step 5/10, loss 3.250, 8,123 tokens/s, 12 s left",
        "evaluating: fitting the baseline",
        "cycle 7 is done: version 000012 serves now: better by 0.31 bits",
        "3 conversations wait for the next cycle: thorctl train --wait",
        "its figures, and what it answers: thorctl cycle 7",
    ]


def test_what_is_noise_is_not_announced_as_a_success(stand_in: StandIn, ctl: Ctl) -> None:
    noise = {"quality": {"level": "noise", "words": "this is noise; 17 KB of text is too little"}}
    cycle = thord.CYCLE | noise | {"differs": "another seed"}
    stand_in.answers["GET", "/v1/cycles/7/follow"] = (200, [{"cycle": cycle}])
    lines = ctl("train", "--wait").stdout.splitlines()
    assert lines[0].startswith("cycle 7 is done: version 000012 serves now, but it is of no use yet: ")
    assert lines[1] == "how good it is: this is noise; 17 KB of text is too little"
    assert lines[2] == "differs from the previous attempt: another seed"
    assert ctl.json("train", "--wait")["waiting"] == 3


def test_a_cycle_shows_what_was_answered_before_and_after(stand_in: StandIn, ctl: Ctl) -> None:
    sample = {"prompt": "Who\nare you?", "expected": "A model.", "candidate": "I am\ta model.", "incumbent": ",,,,"}
    stand_in.answers["GET", "/v1/cycles/7"] = (200, thord.CYCLE | {"samples": [sample]})
    shown = ctl("cycle", "7").stdout
    for name, text in (("prompt", "Who are you?"), ("before", ",,,,"), ("after", "I am a model.")):
        assert any(line.split() == [name, *text.split()] for line in shown.splitlines()), shown
    assert ctl.json("cycle", "7")["samples"] == [sample]


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


@pytest.mark.parametrize(
    ("state", "status"),
    [("promoted", 0), ("rejected", 0), ("skipped", 0), ("failed", 1), ("cancelled", 1), ("training", 1)],
)
def test_train_wait_says_by_its_status_how_the_cycle_ended(
    stand_in: StandIn, ctl: Ctl, state: str, status: int
) -> None:
    stand_in.answers["GET", "/v1/cycles/7/follow"] = (200, [{"cycle": thord.CYCLE | {"state": state}}])
    assert ctl("train", "--wait").returncode == status
    done = ctl("train", "--wait", "--json")
    assert (done.returncode, json.loads(done.stdout)["state"]) == (status, state)


def test_a_version_shows_its_settings_only_when_asked(stand_in: StandIn, ctl: Ctl) -> None:
    assert "training.learning_rate" not in ctl("version", "12").stdout
    assert "training.learning_rate" in ctl("version", "12", "--settings").stdout


def test_a_version_says_why_its_weights_are_kept_and_until_when(stand_in: StandIn, ctl: Ctl) -> None:
    shown = stand_in.answers["GET", "/v1/versions/12"][1]
    kept = {"kept_because": "among the newest 4 (retention.keep_versions)", "kept_until": "2027-01-01T00:00:00Z"}
    stand_in.answers["GET", "/v1/versions/12"] = (200, {**shown, **kept})
    [line] = [line for line in ctl("version", "12").stdout.splitlines() if line.startswith("weights")]
    assert "among the newest 4 (retention.keep_versions), until 2027-01-01" in line
    stand_in.answers["GET", "/v1/versions/12"] = (200, {**shown, "kept_because": "it serves", "kept_until": None})
    [line] = [line for line in ctl("version", "12").stdout.splitlines() if line.startswith("weights")]
    assert line.endswith("kept: it serves")


def test_status_names_the_folders_that_are_not_watched(stand_in: StandIn, ctl: Ctl) -> None:
    stand_in.answers["GET", "/v1/status"] = (200, thord.STATUS | {"unwatched": {"/srv/chatz": "no such folder"}})
    [line] = [line for line in ctl("status").stdout.splitlines() if line.startswith("not watched")]
    assert line.endswith("/srv/chatz: no such folder")


def test_difference_of_two_versions(stand_in: StandIn, ctl: Ctl) -> None:
    assert ctl.json("version", "12", "--diff", "11") == {
        "from": "000011",
        "to": "000012",
        "metrics": {"loss": {"from": 3.0, "to": 2.5}},
        "settings": {"training.learning_rate": {"from": 0.002, "to": 0.001}},
    }
    assert "metrics.loss" in ctl("version", "12", "--diff", "11").stdout


def test_promote_forces_only_when_told(stand_in: StandIn, ctl: Ctl) -> None:
    ctl.json("promote", "12")
    ctl.json("promote", "12", "--force")
    assert stand_in.bodies("/v1/versions/12/promote") == [{"force": False}, {"force": True}]


def test_generate_streams_text_and_takes_sampling(stand_in: StandIn, ctl: Ctl) -> None:
    done = ctl("generate", "Hi", "--max-tokens", "5", "--temperature", "0", "--stop", "\n", "--version", "12")
    assert done.stdout == "Hello world\n"
    (body,) = stand_in.bodies("/v1/completions")
    assert isinstance(body, dict)
    assert {name: body[name] for name in ("model", "prompt", "max_tokens", "temperature", "stop")} == {
        "model": "thor@000012", "prompt": "Hi", "max_tokens": 5, "temperature": 0.0, "stop": ["\n"]
    }  # fmt: skip
    assert ctl.json("generate", "-", stdin="Hi") == {
        "text": "Hello world",
        "version": "000012",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def test_predict_takes_sampling_too(stand_in: StandIn, ctl: Ctl) -> None:
    ctl.json("predict", "Hi", "--task", "chat", "--temperature", "0.5", "--seed", "7", "--version", "12")
    assert stand_in.bodies("/predict") == [
        {"task": "chat", "input": "Hi", "model": "thor@000012", "temperature": 0.5, "seed": 7}
    ]
    wrong = ctl("generate", "Hi", "--version", "abc")
    assert (wrong.returncode, "'abc' is not a version" in wrong.stderr) == (2, True)


def test_chat_keeps_the_turns_of_standard_input(stand_in: StandIn, ctl: Ctl) -> None:
    done = ctl("chat", "--system", "Be kind.", stdin="one\n\ntwo\n")
    assert done.stdout == "Hello world\nHello world\n"
    last = stand_in.bodies("/v1/chat/completions")[-1]
    assert isinstance(last, dict)
    assert [turn["role"] for turn in last["messages"]] == ["system", "user", "assistant", "user"]
    lines = ctl("chat", "--json", stdin="one\ntwo\n").stdout.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["Hello world", "Hello world"]
    assert ctl("chat", stdin="caf\udce9\n").returncode == 0
    last = stand_in.bodies("/v1/chat/completions")[-1]
    assert isinstance(last, dict)
    assert last["messages"][-1]["content"] == "caf\ufffd", "what is no UTF-8"


def test_events_are_one_object_a_line_also_when_followed(stand_in: StandIn, ctl: Ctl) -> None:
    for words in (("events", "--json"), ("events", "-f", "--json")):
        assert [json.loads(line) for line in ctl(*words).stdout.splitlines()] == thord.EVENTS
    assert stand_in.asked[-1][2] == {"limit": "50", "follow": "true"}


def test_top_looks_as_often_as_told(stand_in: StandIn, ctl: Ctl) -> None:
    lines = ctl("top", "-c", "2", "-d", "0", "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [thord.STATUS, thord.STATUS]


def test_status_of_a_worker_that_is_down(stand_in: StandIn, ctl: Ctl) -> None:
    assert ctl("status", "trainer").returncode == 3
    assert ctl("status", "nobody").returncode == 5


def test_quarantine_is_grouped_by_file_and_reason_with_a_total(stand_in: StandIn, ctl: Ctl) -> None:
    lines = [thord.REFUSAL | {"line": number, "reason": f"not JSON at column {number}"} for number in range(9, 0, -1)]
    stand_in.answers["GET", "/v1/quarantine"] = (200, [*lines, thord.REFUSAL | {"file": "b.json", "line": None}])
    shown = ctl("quarantine", "-n", "1").stdout
    assert "9        1, 2, 3 …  not JSON at column 9" in shown
    assert "1 in quarantine; 1 more lines like these: -n 2" in shown
    assert "b.json" in ctl("quarantine").stdout


def test_the_commands_of_retention_md(stand_in: StandIn, ctl: Ctl) -> None:
    stand_in.answers["POST", "/v1/clean"] = (200, thord.CLEANING)
    [block] = re.findall(r"```sh\n(.*?)```", (thord.REPOSITORY / "docs/retention.md").read_text(), re.DOTALL)
    for command in block.splitlines():
        assert ctl(*command.split()[1:]).returncode == 0, command
    assert ("POST", "/v1/versions/12/unpin", {}) in stand_in.asked


def test_clean_says_what_goes_and_why_and_by_its_status_what_could_not(stand_in: StandIn, ctl: Ctl) -> None:
    planned = ctl("clean", "--dry-run")
    assert planned.returncode == 0
    assert "version  000003  517 MB  older than the newest 4" in planned.stdout
    assert "517 MB would be removed, 3.1 GB kept" in planned.stdout
    done = ctl("clean")
    assert done.returncode == 1
    assert "517 MB removed" in done.stdout
    assert "could not be removed: /a/file: Permission denied" in done.stderr
