"""``thorctl``: reads the command line, runs one command, turns errors into words and an exit status.

Only the module of the command that was asked for is imported, so that thorctl feels instant.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

from control import errors, exit_status
from control.cli.parser import Commands
from control.cli.table import COMMANDS
from control.terminal import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from control.cli.parser import Parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return exit_status.INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return exit_status.PIPE_CLOSED
    except OSError as error:  # most often the output itself: a full disk
        _drop_output()
        output.say_error(f"thorctl: {error}")
        return exit_status.FAILED


def build(arguments: Sequence[str] = ()) -> Parser:
    """The parser, with the commands named in ``arguments``, or with all where it names none."""
    named = [module for module, names in COMMANDS.items() if set(names) & set(arguments)]
    helped = not arguments or arguments[0] in {"-h", "--help"}
    commands = Commands(arguments)
    for module in COMMANDS if helped or not named else named:
        importlib.import_module(module).add(commands)
    return commands.parser


def _drop_output() -> None:
    """What is still in the buffer would raise again when the interpreter flushes it on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: Sequence[str]) -> int:
    if sys.stdout is None:  # closed by whoever started this
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parser = build(arguments)
    options = parser.parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
    except errors.ThordError as error:
        if parser.asked_for_json:
            output.emit({"error": {"code": error.code, "message": str(error)}})
        else:
            output.say_error(f"thorctl: {error}")
        return error.status
    return status


if __name__ == "__main__":
    sys.exit(main())
