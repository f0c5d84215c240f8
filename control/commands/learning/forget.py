"""``data forget``: shows what is meant, asks, and says what was done."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from control import engine_process, errors, exit_status
from control.commands.learning import samples
from control.terminal import output

if TYPE_CHECKING:
    from control.client import Thord
    from control.data_answers import Forgettable, Forgotten
    from control.paths import Paths


def forget(
    thord: Thord, ids: list[str], source: str | None, owner: str | None, *, retrain: bool, sure: bool, as_json: bool
) -> int:
    """Forget samples, once somebody is sure.

    Raises:
        NotFoundError: an ID or a file is not known.
        UsageError: nobody can be asked, and ``sure`` is not given.
    """
    if not sure:
        if as_json or not sys.stdin.isatty():
            raise errors.UsageError("forgetting cannot be undone: give --yes where nobody can be asked")
        _explain(_meant(thord.paths, ids, source, owner), retrain=retrain)
        if input("forget them for good? [y/N] ").strip().lower() not in ("y", "yes"):
            output.say("nothing was forgotten")
            return exit_status.FAILED
    done = thord.forget(ids, source, owner, retrain=retrain)
    if as_json:
        output.emit(done)
    else:
        _show(done)
    return exit_status.FAILED if done["failed"] else exit_status.DONE


def _meant(paths: Paths, ids: list[str], source: str | None, owner: str | None) -> Forgettable:
    answer = engine_process.ask(samples.MODULE, paths, action="meant", ids=[*ids], owner=owner, source=source)
    found: list[Forgettable] = json.loads(answer)
    return found[0]


def _explain(meant: Forgettable, *, retrain: bool) -> None:
    samples.show_list(meant["first"], len(meant["first"]) + 1)
    output.say(f"\n{meant['samples']:,} samples will be erased, with all their forms and everything read from the same")
    output.say("records: from the ledger, segments, snapshots, runs, sessions, backups, and from files in the inbox.")
    output.say("A file in the inbox that they cannot be cut out of is removed. With an owner, so are the owner's")
    output.say("sessions and answers.")
    if meant["versions"]:
        output.say(f"learned by versions {', '.join(meant['versions'])}{_later(meant['made_from_these'])}")
        if not retrain:
            output.say("these versions stay; --retrain goes back to the last version that did not learn them")


def _later(versions: list[str]) -> str:
    return f"; versions made from these: {', '.join(versions)}" if versions else ""


def _show(done: Forgotten) -> None:
    output.say(f"{done['samples']:,} samples are forgotten")
    if done["versions"]:
        output.say(f"versions that learned them: {', '.join(done['versions'])}{_later(done['made_from_these'])}")
    else:
        output.say("no version learned them")
    for what, files in (
        ("cut out of", done["files_cut"]),
        ("removed from the inbox", done["files_removed"]),
        ("still in this file, which is not in the inbox: thord will not learn it again", done["files_left"]),
    ):
        for file in files:
            output.say(f"{what}: {output.clean(file)}")
    if done["files_unnamed"]:
        output.say(f"and {done['files_unnamed']:,} more files that are not named here")
    if done["sessions"] or done["answers"]:
        output.say(f"{done['sessions']} sessions and {done['answers']} kept answers erased")
    if done["went_back"]:
        back = done["went_back_to"]
        output.say(f"version {back} serves" if back else "no version serves until the next cycle is promoted")
        output.say("the remaining samples are learned again: thorctl cycles")
    for complaint in done["failed"]:
        output.say_error(f"could not be done: {output.clean(complaint)}")
