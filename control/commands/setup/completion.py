"""``completion``: a shell's completion script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import exit_status
from control.cli.parser import WORKERS, Commands, Options
from control.terminal import output

if TYPE_CHECKING:
    import argparse


class CompletionOptions(Options):
    """What ``completion`` is given."""

    shell: str


SHELLS = ("bash", "zsh", "tcsh", "fish")


def add(commands: Commands) -> None:
    """Declare the command."""
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
    completion.add_argument("shell", choices=SHELLS)


def _completion(options: CompletionOptions) -> int:
    import shtab

    from control.cli.main import build

    parser = build()
    _complete_paths(parser)
    script = shtab.complete(parser, shell=options.shell)
    if options.json:
        output.emit({"shell": options.shell, "script": script})
    else:
        output.say(script)
    return exit_status.DONE


def _complete_paths(parser: argparse.ArgumentParser) -> None:
    """Tell shtab which arguments are files and folders, by what their help calls them; and the names of some others."""
    import argparse

    import shtab

    from control.setup.settings_file import profile_names

    kinds = {"FILE": shtab.FILE, "PATH": shtab.FILE, "DIR": shtab.DIRECTORY}
    names = {"workers": WORKERS, "worker": WORKERS, "profile": profile_names(), "task": ("chat", "text_generation")}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_paths(command)
        elif action.metavar in kinds:
            vars(action)["complete"] = kinds[action.metavar]
        elif action.dest in names:
            action.choices = names[action.dest]
