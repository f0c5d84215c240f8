"""``train``, ``cycle`` and ``cycles``: what they ask of thord, and how they tell the outcome."""

import json
from pathlib import Path

import pytest

from control.commands.learning import cycles
from engine.config.renamed import RENAMED
from tests.control import stand_in as thord
from tests.control.stand_in import Ctl, StandIn


def test_a_cycle_that_was_broken_off_names_no_version_that_never_was(stand_in: StandIn, ctl: Ctl) -> None:
    broken = thord.CYCLE | {"state": "cancelled", "version": "000013"}
    stand_in.answers["GET", "/v1/cycles"] = (200, [broken, broken | {"version": "000012"}])
    stand_in.answers["GET", "/v1/cycles/7"] = (200, broken)
    listed = ctl("cycles").stdout
    assert "000013" not in listed
    assert "000012" in listed
    assert "000013" not in ctl("cycle", "7").stdout
    assert ctl.json("cycle", "7") == broken


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


def test_old_options_are_the_old_names_of_the_settings_they_stand_for() -> None:
    """`control` knows no table of the engine's: this keeps its own equal to it."""
    renamed = {old: new for old, new in RENAMED.items() if new.removeprefix("training.") in cycles.OVERRIDES}
    assert {
        old.removeprefix("training."): new.removeprefix("training.") for old, new in renamed.items()
    } == cycles.OLD_OPTIONS


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


def test_a_cycle_shows_its_epochs(stand_in: StandIn, ctl: Ctl) -> None:
    rows = [
        {
            "epoch": number,
            "global_step": 10 * number,
            "train_loss": 3.0 - number,
            "val_loss": None if number == 1 else 1.25,
            "best_val_loss": 1.25,
            "epochs_no_improve": 0,
            "samples_per_sec": 8.04,
        }
        for number in (1, 2)
    ]
    epochs = {"finished": True, "early_stopped": True, "test_loss": 1.5, "epoch_summary": rows}
    stand_in.answers["GET", "/v1/cycles/7"] = (200, thord.CYCLE | {"epochs": epochs})
    said = ctl("cycle", "7").stdout
    table = [line.split() for line in said.splitlines()]
    assert ["1", "10", "2.0000", "-", "1.2500", "0", "8.0"] in table
    assert ["2", "20", "1.0000", "1.2500", "1.2500", "0", "8.0"] in table
    assert "test loss: 1.5000" in said
    assert "stopped early" in said


def test_a_cycle_shows_how_it_was_trained(stand_in: StandIn, ctl: Ctl) -> None:
    decided = {"method": "lora", "epochs": 4.0, "max_steps": None, "rows_per_step": 1, "learning_rate": 1e-3}
    for more, words in (
        ({"kl_weight": 0.3}, "an adapter (lora), 4 passes, 1 row a step, learning rate 0.001, KL weight 0.3"),
        (
            {"kl_weight": 0.0, "method": "full", "max_steps": 60, "rows_per_step": 8},
            "all weights (full), 60 steps, 8 rows a step, learning rate 0.001",
        ),
    ):
        stand_in.answers["GET", "/v1/cycles/7"] = (200, thord.CYCLE | {"training": decided | more})
        assert ["trained", *words.split()] in [line.split() for line in ctl("cycle", "7").stdout.splitlines()]


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
