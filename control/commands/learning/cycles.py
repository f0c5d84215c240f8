"""``train cycles cycle cancel pause resume``: run and inspect cycles."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from control import errors, exit_status
from control.cli.parser import Commands, Options, connect, positive
from control.commands.learning import cycle_text
from control.terminal import output

if TYPE_CHECKING:
    from collections.abc import Callable

    from control.answers import Cycle, Json
    from control.client import Thord

OVERRIDES: dict[str, tuple[Callable[[str], float | str], str]] = {
    "epochs": (float, "passes over the data"),
    "steps": (positive, "optimizer steps, in place of --epochs"),
    "batch_size": (positive, "sequences in a batch"),
    "gradient_accumulation": (positive, "batches in an optimizer step"),
    "learning_rate": (float, "peak learning rate"),
    "warmup_share": (float, "share of the steps spent warming up"),
    "weight_decay": (float, "on matrices"),
    "sequence_length": (positive, "tokens in a sequence"),
    "checkpoint_folder": (str, "where checkpoints lie, a folder a cycle"),
    "seed": (int, "of every random choice"),
}
"""Options of ``train`` that stand for keys of ``[training]``."""

_RESULTS = frozenset({"promoted", "rejected", "skipped"})
"""How a cycle ends that did what it should."""
_BROKEN_OFF = frozenset({"failed", "cancelled"})
"""How a cycle ends whose version may never have been published."""

_KEY_OF_OPTION = {"steps": "max_steps"}

OLD_OPTIONS = {"accumulation": "gradient_accumulation", "length": "sequence_length"}
"""Options of ``train`` that were renamed with the settings they stand for: old name to new name."""


class TrainOptions(Options):
    """What ``train`` is given, besides a value for each of `OVERRIDES`."""

    corpus: list[str]
    train_data: list[str]
    val_data: list[str]
    split: bool
    base: str | None
    method: str | None
    checkpoint_folder: str
    wait: bool


class CyclesOptions(Options):
    """What ``cycles`` is given."""

    limit: int


class CycleNumber(Options):
    """What commands on one cycle are given."""

    number: int


class CancelOptions(CycleNumber):
    """What ``cancel`` is given."""

    what: str


class PauseOptions(Options):
    """What ``pause`` is given."""

    now: bool


class CycleOptions(CycleNumber):
    """What ``cycle`` is given."""

    wait: bool


def add(commands: Commands) -> None:
    """Declare the commands."""
    train = commands.add(
        "train",
        "start a cycle now: collect, train, evaluate, and serve the result if it is better",
        _train,
        """
        thorctl train --wait
        thorctl train --corpus books/ notes.txt --epochs 2 --wait
        thorctl train --corpus enwik8 --steps 5000 --wait
        thorctl train --corpus notes.txt --split
        thorctl train --from 12 --learning-rate 1e-4
        thorctl train --method lora --wait
        thorctl train --train-data train.jsonl --val-data val.jsonl --batch-size 16 --learning-rate 1e-4
        thorctl train --wait --json | jq .state
        """,
        "Without files it learns from the conversations that came in. With --wait it returns when the cycle has ended: "
        "0 also where the gate rejected what was learned or there was too little to learn, 1 where the cycle failed. "
        "The corpus enwik8 is fetched from data.enwik8_address when it is first asked for, and split.",
    )
    train.add_argument(
        "--corpus", nargs="+", default=[], metavar="FILE", help="files or folders of text to learn from, or enwik8"
    )
    train.add_argument("--train-data", nargs="+", default=[], metavar="FILE", help="conversations to learn from")
    train.add_argument("--val-data", nargs="+", default=[], metavar="FILE", help="conversations to evaluate on")
    train.add_argument(
        "--split",
        action="store_true",
        help="learn the first 90%% of the bytes of each file, judge on the next 5%%, leave the rest alone",
    )
    train.add_argument(
        "--from", dest="base", metavar="V", help="continue from this version instead of the one in service"
    )
    train.add_argument(
        "--method",
        choices=("full", "lora"),
        help="change all weights, or learn an adapter beside them; unset: an adapter on an imported model",
    )
    for name, (kind, meaning) in OVERRIDES.items():
        train.add_argument(
            f"--{name.replace('_', '-')}", type=kind, metavar="DIR" if kind is str else "N", help=meaning
        )
    for old, new in OLD_OPTIONS.items():
        train.add_argument(f"--{old}", type=OVERRIDES[new][0], help=argparse.SUPPRESS)
    train.add_argument("-w", "--wait", action="store_true", help="show progress and return when the cycle has ended")

    cycles = commands.add(
        "cycles", "list cycles, newest first", _cycles, "thorctl cycles\nthorctl cycles -n 3 --json | jq '.[].state'"
    )
    cycles.add_argument("-n", "--limit", type=positive, default=20, help="how many at most (20)")

    cycle = commands.add(
        "cycle",
        "show one cycle, with the figures its gate decided on",
        _cycle,
        "thorctl cycle 3\nthorctl cycle 3 --wait\nthorctl cycle 3 --json | jq .gate",
    )
    cycle.add_argument("number", type=positive, metavar="N")
    cycle.add_argument("-w", "--wait", action="store_true", help="show progress until it has ended, then the cycle")

    cancel = commands.add(
        "cancel",
        "cancel a cycle, whose conversations are learned later, or a job",
        _cancel,
        "thorctl cancel 3\nthorctl cancel job 12",
    )
    cancel.add_argument("what", nargs="?", choices=("cycle", "job"), default="cycle", help="a cycle unless it says job")
    cancel.add_argument("number", type=positive, metavar="N")
    _add_pauses(commands)


def _add_pauses(commands: Commands) -> None:
    pause = commands.add(
        "pause",
        "keep cycles from starting by themselves until 'thorctl resume', even after a restart",
        _pause,
        "thorctl pause\nthorctl pause --now",
        "A cycle under way goes on, and 'thorctl train' still starts one by hand.",
    )
    pause.add_argument("--now", action="store_true", help="also cancel the cycle under way")
    commands.add(
        "resume",
        "let cycles start by themselves again; one that came due meanwhile starts at once",
        _resume,
        "thorctl resume",
    )


def _train(options: TrainOptions) -> int:
    _take_old_options(options)
    overrides: dict[str, Json] = {
        _KEY_OF_OPTION.get(name, name): value
        for name in OVERRIDES
        if (value := getattr(options, name, None)) is not None
    }
    if options.split and not (options.corpus or options.train_data):
        raise errors.UsageError("--split goes with files: name some after --corpus or --train-data")
    if options.method is not None:
        overrides["method"] = options.method
    if "checkpoint_folder" in overrides:
        overrides["checkpoint_folder"] = str(Path(options.checkpoint_folder).expanduser().absolute())
    thord = connect(options)
    files = (options.train_data, options.val_data, options.corpus)
    cycle = thord.train(*files, overrides, split=options.split, base=options.base)
    if not options.wait:
        if options.json:
            output.emit(cycle)
        else:
            output.say(f"cycle {cycle['id']} is {cycle['state']}; watch it: thorctl cycle {cycle['id']} --wait")
        return exit_status.DONE
    cycle = _follow(thord, cycle["id"], options)
    waiting = 0 if options.corpus or options.train_data else thord.data()["new"]
    if options.json:
        output.emit({**cycle, "waiting": waiting})
    else:
        cycle_text.say_outcome(cycle, waiting)
    return _status_of(cycle)


def _take_old_options(options: TrainOptions) -> None:
    """Take a value given by an old name for one by the new name, and say so."""
    for old, new in OLD_OPTIONS.items():
        if (value := getattr(options, old, None)) is not None:
            names = f"--{old}", f"--{new.replace('_', '-')}"
            if getattr(options, new) is not None:
                raise errors.UsageError(
                    f"{names[0]} is the old name of {names[1]}, and both are given: remove {names[0]}"
                )
            output.say_error(f"warning: {names[0]} was renamed to {names[1]}")
            setattr(options, new, value)


def _follow(thord: Thord, number: int, options: Options) -> Cycle:
    """Wait for the end of a cycle, showing its progress to people. Who stops waiting does not stop the cycle."""
    from control.terminal.progress import follow

    try:
        return thord.wait(number) if options.json else follow(thord, number)
    except KeyboardInterrupt:
        output.say_error(
            f"cycle {number} goes on; to watch it: thorctl cycle {number} --wait; to end it: thorctl cancel {number}"
        )
        raise


def _status_of(cycle: Cycle) -> int:
    return exit_status.DONE if cycle["state"] in _RESULTS else exit_status.FAILED


def _cycles(options: CyclesOptions) -> int:
    thord = connect(options)
    cycles = thord.cycles(options.limit)
    if options.json:
        output.emit(cycles)
    elif not cycles:
        output.say("no cycle yet; start one: thorctl train --wait")
    else:
        output.columns(
            ("CYCLE", "STATE", "CONVERSATIONS", "FROM", "VERSION", "STARTED", "WHY", "OUTCOME"),
            (
                (
                    str(cycle["id"]),
                    cycle["state"],
                    output.figure(cycle["conversations"]),
                    output.figure(cycle["base_version"]),
                    output.figure(cycle["version"]),
                    output.moment(cycle["started_at"]),
                    output.clean(cycle["reason"]),
                    cycle.get("outcome") or "",
                )
                for cycle in _with_published_versions(thord, cycles)
            ),
            states=(1,),
        )
    return exit_status.DONE


def _cycle(options: CycleOptions) -> int:
    thord = connect(options)
    followed = _follow(thord, options.number, options) if options.wait else None
    cycle = thord.cycle(options.number)
    if followed is not None:
        cycle = {**cycle, **followed}  # what was answered is told with the one, how it ended with the other
    if options.json:
        output.emit(cycle)
    else:
        cycle_text.show(*_with_published_versions(thord, [cycle]))
    return _status_of(cycle) if options.wait else exit_status.DONE


def _with_published_versions(thord: Thord, cycles: list[Cycle]) -> list[Cycle]:
    """Cycles for people: one that was broken off names its version only if it was published before."""
    if not any(cycle["state"] in _BROKEN_OFF and cycle["version"] for cycle in cycles):
        return cycles
    published = {version["version"] for version in thord.versions()}
    return [
        {**cycle, "version": None} if cycle["state"] in _BROKEN_OFF and cycle["version"] not in published else cycle
        for cycle in cycles
    ]


def _cancel(options: CancelOptions) -> int:
    if options.what == "job":
        from control.commands.jobs import jobs

        return jobs.cancel(connect(options), options.number, as_json=options.json)
    cycle = connect(options).cancel(options.number)
    if options.json:
        output.emit(cycle)
    else:
        output.say(f"cycle {cycle['id']} is {cycle['state']}; {_next(cycle.get('next_cycle_at'))}")
    return exit_status.DONE


def _pause(options: PauseOptions) -> int:
    thord = connect(options)
    schedule = thord.pause()
    cycle = thord.status()["cycle"]
    if cycle and options.now:
        cycle = thord.cancel(cycle["id"])
    if options.json:
        output.emit({**schedule, "cycle": cycle})
        return exit_status.DONE
    output.say("no cycle starts by itself until you run: thorctl resume")
    if cycle:
        goes_on = f"cycle {cycle['id']} goes on; to end it: thorctl cancel {cycle['id']}"
        output.say(f"cycle {cycle['id']} is {cycle['state']}" if options.now else goes_on)
    return exit_status.DONE


def _resume(options: Options) -> int:
    schedule = connect(options).resume()
    if options.json:
        output.emit(schedule)
    else:
        output.say(f"cycles start by themselves again; {_next(schedule['next_cycle_at'])}")
    return exit_status.DONE


def _next(at: str | None) -> str:
    return f"the next one is due at {output.moment(at)}" if at else "none is planned"
