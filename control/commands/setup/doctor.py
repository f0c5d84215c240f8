"""``doctor``: find what is wrong, or measure what a model needs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import errors, exit_status
from control.cli.parser import Commands, Options, connect
from control.terminal import output

if TYPE_CHECKING:
    from control.doctor.context import Finding


class DoctorOptions(Options):
    """What ``doctor`` is given."""

    plan: bool
    preset: str | None


ALL_SIZES = "all"


def add(commands: Commands) -> None:
    """Declare the command."""
    doctor = commands.add(
        "doctor",
        "find what is wrong and say how to fix it",
        _doctor,
        """
        thorctl doctor
        thorctl doctor --json | jq '.checks[] | select(.level != "ok")'
        thorctl doctor --plan --preset 800m
        thorctl doctor --plan --preset all
        """,
        "Exit status 1 if something is broken; warnings alone give 0.",
    )
    doctor.add_argument("--plan", action="store_true", help="train for a moment, and say what a model needs and gives")
    doctor.add_argument(
        "--preset",
        metavar="NAME",
        help="with --plan: another size than that of the settings, or 'all' of them in a table",
    )


def _doctor(options: DoctorOptions) -> int:
    from control.doctor.examine import examine

    if options.plan:
        return _plan(options)
    if options.preset:
        raise errors.UsageError("--preset goes with --plan")
    findings: list[Finding] = []
    for finding in examine(connect(options), options.home):
        findings.append(finding)
        if not options.json:
            mark = output.paint_state(finding.level) + " " * (4 - len(finding.level))
            output.say(f"{mark}  {finding.check:<12}  {output.clean(finding.message)}")
            if finding.remedy:
                output.say(f"{'':4}  {'':<12}  -> {finding.remedy}")
    ok = all(finding.level != "fail" for finding in findings)
    if options.json:
        output.emit({"ok": ok, "checks": [finding._asdict() for finding in findings]})
    return exit_status.DONE if ok else exit_status.FAILED


def _plan(options: DoctorOptions) -> int:
    from control.doctor import sizing

    if options.preset == ALL_SIZES:
        return _plan_sizes(options)
    found = sizing.plan(options.home, options.preset, connect(options).paths)
    if options.json:
        output.emit(found)
    else:
        output.fields(sizing.lines(found))
    return exit_status.DONE


def _plan_sizes(options: DoctorOptions) -> int:
    from control.doctor import sizing

    def begin(name: str) -> None:
        if output.on_terminal() and not options.json:
            output.say_error(f"measuring {name} ...")

    found = sizing.sizes(options.home, begin)
    largest = sizing.largest(found)
    if options.json:
        output.emit({"sizes": found, "largest": largest})
        return exit_status.DONE
    output.columns(sizing.HEAD, map(sizing.row, found))
    if largest is None:
        output.say("none can be trained here while it answers: lower training.sequence_length or inference.max_batch")
    else:
        output.say(f"the largest that can be trained here while it answers: {largest} (model.preset)")
    return exit_status.DONE
