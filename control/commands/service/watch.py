"""``logs events top``: watch thord."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from control import errors, exit_status
from control.cli.parser import WORKERS, Commands, Options, connect, positive, seconds
from control.paths import is_there
from control.terminal import output

if TYPE_CHECKING:
    from control.answers import Event
    from control.service.logs import Line


class LogsOptions(Options):
    """What ``logs`` is given."""

    follow: bool
    lines: int
    workers: list[str]


class EventsOptions(Options):
    """What ``events`` is given."""

    follow: bool
    lines: int
    after: int | None


class TopOptions(Options):
    """What ``top`` is given."""

    delay: float
    count: int | None


def add(commands: Commands) -> None:
    """Declare the commands."""
    logs = commands.add(
        "logs",
        "show the logs of thord and its workers, merged by time",
        _logs,
        """
        thorctl logs -f
        thorctl logs -n 100 trainer evaluator
        thorctl logs --json -n 1000 | jq 'select(.level == "error")'
        """,
        "The files are read directly, so this works while thord is down.",
    )
    logs.add_argument("workers", nargs="*", metavar="WORKER", help=f"of thord, {', '.join(WORKERS)}; else all")
    logs.add_argument("-f", "--follow", action="store_true", help="keep printing what is added")
    logs.add_argument("-n", "--lines", type=int, default=20, metavar="N", help="show the last N lines (20)")
    events = commands.add(
        "events",
        "show what happened: cycles, versions, workers",
        _events,
        """
        thorctl events
        thorctl events -f
        thorctl events --after 120 --json | jq .type
        """,
        "With --json one object a line.",
    )
    events.add_argument("-f", "--follow", action="store_true", help="keep printing what happens")
    events.add_argument("-n", "--lines", type=positive, default=50, metavar="N", help="at most N events (50)")
    events.add_argument("--after", type=int, metavar="ID", help="only what came after this event")
    top = commands.add(
        "top",
        "show the status and keep it up to date",
        _top,
        "thorctl top\nthorctl top -d 1\nthorctl top -c 3 --json",
        "With --json one status a line.",
    )
    top.add_argument("-d", "--delay", type=seconds, default=2.0, metavar="SECONDS", help="seconds between updates (2)")
    top.add_argument(
        "-c", "--count", type=positive, metavar="N", help="stop after N updates; without it, run until Ctrl-C"
    )


def _logs(options: LogsOptions) -> int:
    from control.service import logs

    processes = ("thord", *WORKERS)
    for name in options.workers:
        if name not in processes:
            raise errors.UsageError(f"there is no log of {name}; there are {', '.join(processes)}")
    paths = connect(options).paths
    files = [paths.log(name) for name in dict.fromkeys(options.workers) or processes]
    if not options.follow and not any(map(is_there, files)):
        raise errors.NotFoundError(f"no log in {paths.logs} yet; has thord been started? is --home right?")
    reader = logs.Logs(files)
    for line in reader.last(max(0, options.lines)):
        _print_line(line, options)
    for line in reader.follow() if options.follow else ():
        _print_line(line, options)
    return exit_status.DONE


def _print_line(line: Line, options: LogsOptions) -> None:
    from control.service.logs import for_people

    output.say(line.text if options.json else for_people(line))


def _events(options: EventsOptions) -> int:
    for event in connect(options).events(options.after, options.lines, follow=options.follow):
        if options.json:
            output.emit(event, line=True)
        else:
            output.say(_describe(event))
    return exit_status.DONE


def _describe(event: Event) -> str:
    figures = "  ".join(
        f"{name}={output.figure(value)}" for name, value in event.items() if name not in {"id", "at", "type"}
    )
    return f"{output.moment(event['at'])}  {event['id']:>6}  {event['type']:<20}  {figures}".rstrip()


def _top(options: TopOptions) -> int:
    from control.commands.service.status import show, show_workers

    thord = connect(options)
    looks = 0
    while True:
        status = thord.status()
        if options.json:
            output.emit(status, line=True)
        else:
            if output.on_terminal():
                output.say("\x1b[H\x1b[2J")
            show(status)
            output.say()
            show_workers(status["workers"])
            output.say()
        looks += 1
        if looks == options.count:
            return exit_status.DONE
        time.sleep(options.delay)
