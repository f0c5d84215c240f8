"""``completion``: a shell's completion script, and the names that such a script asks for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from control import errors, exit_status
from control.cli.parser import WORKERS, Commands, Options, connect
from control.paths import is_there
from control.terminal import output

if TYPE_CHECKING:
    import argparse

    from control.client import Thord

SHELLS = ("bash", "zsh", "tcsh", "fish")
KINDS = ("versions", "cycles")
"""What a script asks for when it is needed, because it changes; all other names stand in the script."""
_VERSION_METAVARS = frozenset({"V", "VERSION", "OTHER"})
_MOST_CYCLES = 50

_BASH = """
_thorctl_names() {  # what kind of names, the word so far; of the thord that the command line names
  local home=() i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in -H | --home) home=(-H "${COMP_WORDS[i + 1]}") ;; esac
  done
  compgen -W "$(thorctl ${home[@]+"${home[@]}"} completion --names "$1" 2>/dev/null)" -- "$2"
}
"""
_ZSH = """
_thorctl_names() {
  local -a home
  local at=${words[(I)(-H|--home)]}
  ((at)) && home=(-H "${words[at + 1]}")
  compadd -- $(thorctl $home completion --names "$1" 2>/dev/null)
}
"""


class CompletionOptions(Options):
    """What ``completion`` is given."""

    shell: str | None
    names: str | None


def add(commands: Commands) -> None:
    """Declare the command."""
    import argparse

    completion = commands.add(
        "completion",
        "print a shell's completion script",
        _completion,
        """
        source <(thorctl completion bash)
        thorctl completion bash > ~/.local/share/bash-completion/completions/thorctl
        thorctl completion zsh > ~/.zfunc/_thorctl
        thorctl completion fish > ~/.config/fish/completions/thorctl.fish
        """,
    )
    completion.add_argument("shell", choices=SHELLS, nargs="?")
    completion.add_argument("--names", choices=KINDS, help=argparse.SUPPRESS)  # for the scripts alone


def _completion(options: CompletionOptions) -> int:
    if options.names is not None:
        names = _names(connect(options), options.names)
        if options.json:
            output.emit(names)
        else:
            output.say("\n".join(names))
        return exit_status.DONE
    if options.shell is None:
        raise errors.UsageError(f"name a shell: {', '.join(SHELLS)}")
    import shtab

    from control.cli.main import build

    parser = build()
    _describe_arguments(parser)
    script = shtab.complete(parser, shell=options.shell, preamble={"bash": _BASH, "zsh": _ZSH}.get(options.shell, ""))
    if options.json:
        output.emit({"shell": options.shell, "script": script})
    else:
        output.say(script)
    return exit_status.DONE


def _names(thord: Thord, kind: str) -> list[str]:
    """The numbers of versions or cycles, newest first; of a thord that is down, the versions that have a folder."""
    with contextlib.suppress(errors.ThordError):
        if kind == "cycles":
            return [str(cycle["id"]) for cycle in thord.cycles(_MOST_CYCLES)]
        return [str(int(version["version"])) for version in thord.versions()]
    if kind == "cycles" or not is_there(thord.paths.versions):
        return []
    numbers = [int(folder.name) for folder in thord.paths.versions.iterdir() if folder.name.isdecimal()]
    return [str(number) for number in sorted(numbers, reverse=True)]


def _asks_for(kind: str) -> dict[str, str | dict[str, str]]:
    """How each shell asks for names of a kind, in shtab's terms."""
    command = f"thorctl completion --names {kind}"
    function = f'\n_thorctl_{kind}() {{ _thorctl_names {kind} "$1"; }}'
    return {
        "bash": f"_thorctl_{kind}",
        "zsh": f"_thorctl_{kind}",
        "tcsh": f"`{command}`",
        "fish": f"({command})",
        "preamble": {"bash": function, "zsh": function},
    }


def _describe_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell shtab what each argument takes: files, names that are fixed, and names that are to be asked for."""
    import argparse

    import shtab

    from control.setup.settings_file import preset_names, profile_names, setting_names
    from control.task_names import READY_MADE

    kinds = {"FILE": shtab.FILE, "PATH": shtab.FILE, "DIR": shtab.DIRECTORY}
    names = {
        "workers": WORKERS,
        "worker": WORKERS,
        "profile": profile_names(),
        "preset": [*preset_names(), "all"],
        "set": [f"{name}=" for name in setting_names()],
        "task": READY_MADE,
    }
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _describe_arguments(command)
        elif action.metavar in kinds:
            vars(action)["complete"] = kinds[action.metavar]
        elif action.metavar in _VERSION_METAVARS:
            vars(action)["complete"] = _asks_for("versions")
        elif action.dest == "number":
            vars(action)["complete"] = _asks_for("cycles")
        elif action.dest in names:
            action.choices = names[action.dest]
