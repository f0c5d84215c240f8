"""How commands are declared: common options before or after the command, help with examples, typed handlers."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, NoReturn, TypeVar, overload

from control import exit_status
from control.client import Thord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Options(argparse.Namespace):
    """What every command is given."""

    json: bool
    home: str | None
    socket: str | None


OptionsT = TypeVar("OptionsT", bound=Options)
Space = TypeVar("Space")

WORKERS = ("intake", "server", "monitor", "trainer", "evaluator")


def connect(options: Options) -> Thord:
    """The thord that the options point to."""
    return Thord(options.home, options.socket)


class Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal. Left to itself argparse asks shutil, whose import costs thorctl 3 ms."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ.get("COLUMNS", "")) or 80
        except ValueError:
            columns = os.get_terminal_size(1).columns if os.isatty(1) else 80
        super().__init__(prog, width=max(40, columns - 2))


class Parser(argparse.ArgumentParser):
    """A parser whose errors are JSON too where JSON was asked for, and whose arguments may stand anywhere."""

    asked_for_json: bool = False
    _is_within = False

    @overload
    def parse_known_args(
        self, args: Iterable[str] | None = None, namespace: None = None
    ) -> tuple[argparse.Namespace, list[str]]: ...
    @overload
    def parse_known_args(self, args: Iterable[str] | None, namespace: Space) -> tuple[Space, list[str]]: ...
    @overload
    def parse_known_args(self, *, namespace: Space) -> tuple[Space, list[str]]: ...
    def parse_known_args(self, args: Iterable[str] | None = None, namespace: object = None) -> tuple[object, list[str]]:
        """Arguments that may be left out are looked for behind options too; argparse gives up before the first."""
        may_lack = any(not action.option_strings and action.nargs in ("?", "*") for action in self._actions)
        if self._is_within or not may_lack:
            return super().parse_known_args(args, namespace)
        self._is_within = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_within = False

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line and how to find what is right."""
        message = _with_guess(message)
        if self.asked_for_json:
            from control.terminal import output

            output.emit({"error": {"code": "usage", "message": message}})
        else:
            print(f"{self.prog}: {message}\nTry: {self.prog} --help", file=sys.stderr)
        raise SystemExit(exit_status.USAGE)


def _with_guess(message: str) -> str:
    """The message about an unknown command, with close matches in place of the list of all commands."""
    word, found, choices = message.removeprefix("argument COMMAND: invalid choice: ").partition(" (choose from ")
    if not found or not message.startswith("argument COMMAND"):
        return message
    from difflib import get_close_matches

    names = [name.strip("', )") for name in choices.split(",")]
    guesses = get_close_matches(word.strip("'"), names, n=3)
    return f"there is no command {word}" + (f"; did you mean {' or '.join(guesses)}?" if guesses else "")


class _ShowVersion(argparse.Action):
    """``--version``: which thord this is."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print it and end."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("thord")
        except PackageNotFoundError:  # run from a checkout without installation
            number = "(not installed)"
        print(f"thorctl of thord {number}")
        raise SystemExit(exit_status.DONE)


class Commands:
    """The commands of thorctl, as they are declared."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.parser = Parser(
            prog="thorctl",
            description="Control thord, the service that keeps a language model learning.",
            epilog=_EPILOG,
            formatter_class=Help,
        )
        self.parser.asked_for_json = "--json" in arguments  # asked before parsing: that may be what fails
        _add_common(self.parser, None)
        self.parser.add_argument("--version", action=_ShowVersion, nargs=0, help="print the version of thord")
        self.parser.set_defaults(json=False)
        self._common = Parser(add_help=False, formatter_class=Help)
        _add_common(self._common, argparse.SUPPRESS)
        self._commands = self.parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)

    def add(
        self, name: str, summary: str, run: Callable[[OptionsT], int], examples: str, text: str = ""
    ) -> argparse.ArgumentParser:
        """Declare a command.

        Args:
            name: what the user types.
            summary: one line for the list of commands.
            run: does it and returns the exit status.
            examples: lines for the end of its help.
            text: more than the summary, for its own help.
        """
        command = self._commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}. {text}".strip(),
            epilog="examples:\n" + "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines()),
            parents=[self._common],
            formatter_class=Help,
            allow_abbrev=False,
        )
        command.asked_for_json = self.parser.asked_for_json
        command.set_defaults(run=run)
        return command


def positive(text: str) -> int:
    """A number of at least one, as an option's type."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def seconds(text: str) -> float:
    """A span of time, as an option's type."""
    number = float(text)
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return number


def _add_common(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument("-H", "--home", metavar="DIR", default=default, help="the home of thord, if not the usual one")
    parser.add_argument(
        "-s", "--socket", metavar="FILE", default=default, help="the control socket, where it is not in that home"
    )
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON with stable names, for programs"
    )


_EPILOG = """\
examples:
  thorctl start                     start the service and wait until it is ready
  thorctl status                    what it is doing
  thorctl ingest chats/*.jsonl      give it conversations
  thorctl train --wait              learn now, with a progress bar
  thorctl chat "Hello"              talk to the model that serves
  thorctl logs -f                   watch

exit status:
  0 done · 1 the operation failed · 2 usage or bad configuration · 3 thord is not running
  4 not permitted · 5 no such thing

'thorctl COMMAND --help' tells more, with examples. THORD_HOME stands in for --home."""
