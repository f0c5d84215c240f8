"""A command of thorctl as somebody would add one: this file, and one line in `control.cli.table`."""

from __future__ import annotations

from control import exit_status
from control.cli.parser import Commands, Options, connect, positive
from control.terminal import output


class CountOptions(Options):
    """What ``count`` is given."""

    times: int


def add(commands: Commands) -> None:
    """Declare the command."""
    count = commands.add("count", "count versions", _count, "thorctl count\nthorctl count --times 3 --json")
    count.add_argument("--times", type=positive, default=1, metavar="N", help="count each so often (1)")


def _count(options: CountOptions) -> int:
    found = {"versions": options.times * len(connect(options).versions())}
    if options.json:
        output.emit(found)
    else:
        output.fields({"versions": output.figure(found["versions"])})
    return exit_status.DONE
