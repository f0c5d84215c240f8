"""``clean pin unpin``: what is removed, and what is kept from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import exit_status
from control.cli.parser import Commands, Options, connect
from control.paths import version_name
from control.terminal import output

if TYPE_CHECKING:
    from control.answers import Cleaning


class CleanOptions(Options):
    """What ``clean`` is given."""

    dry_run: bool


class PinOptions(Options):
    """What ``pin`` and ``unpin`` are given."""

    version: str


def add(commands: Commands) -> None:
    """Declare the commands."""
    clean = commands.add(
        "clean",
        "remove weights, checkpoints, snapshots and caches that nothing needs, as [retention] says",
        _clean,
        "thorctl clean --dry-run\nthorctl clean\nthorctl clean --dry-run --json | jq .bytes",
        "thord does the same by itself after every cycle and import, and at night. Records stay: what was learned, "
        "when, from what, and how good it was.",
    )
    clean.add_argument("--dry-run", action="store_true", help="print the plan and remove nothing")
    for name, summary in (
        ("pin", "keep the weights of a version whatever its age"),
        ("unpin", "keep the weights of a version for as long as [retention] says"),
    ):
        command = commands.add(name, summary, _pin if name == "pin" else _unpin, f"thorctl {name} 12")
        command.add_argument("version", metavar="V")


def _clean(options: CleanOptions) -> int:
    thord = connect(options)
    done = thord.retention() if options.dry_run else thord.clean()
    if options.json:
        output.emit(done)
    else:
        _show(done, "would be removed" if options.dry_run else "removed")
    return exit_status.FAILED if done["failed"] else exit_status.DONE


def _show(done: Cleaning, verb: str) -> None:
    if done["removed"]:
        output.columns(
            ("KIND", "NAME", "SIZE", "BECAUSE"),
            (
                (
                    thing["kind"],
                    thing.get("name") or version_name(thing["number"]),
                    output.size(thing["bytes"]),
                    thing["why"],
                )
                for thing in done["removed"]
            ),
        )
    output.say(f"{output.size(done['bytes'])} {verb}, {output.size(done['kept_bytes'])} kept")
    for complaint in done["failed"]:
        output.say_error(f"could not be removed: {output.clean(complaint)}")


def _pin(options: PinOptions) -> int:
    return _pinned(options, pinned=True)


def _unpin(options: PinOptions) -> int:
    return _pinned(options, pinned=False)


def _pinned(options: PinOptions, *, pinned: bool) -> int:
    version = connect(options).pin(options.version, pinned=pinned)
    if options.json:
        output.emit(version)
    else:
        output.say(f"version {version['version']} is {'pinned' if pinned else 'no longer pinned'}")
    return exit_status.DONE
