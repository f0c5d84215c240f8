"""``inspect``: look inside a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from control import engine_process, exit_status
from control.cli.arguments import TextOptions, add_text, text_of, version_folder
from control.cli.parser import Commands, connect
from control.terminal import output

if TYPE_CHECKING:
    from control.answers import Thinking


class InspectOptions(TextOptions):
    """What ``inspect`` is given."""

    subject: str
    version: str | None


def add(commands: Commands) -> None:
    """Declare the command."""
    inspect = commands.add(
        "inspect",
        "look inside a model: what each thinking step of an agiformer changes",
        _inspect,
        """
        thorctl inspect thinking "The capital of France is Paris."
        thorctl inspect thinking --version 12 < article.txt
        thorctl inspect thinking "Hello" --json | jq '.steps[].loss'
        """,
        "For every step: how far it moves the states that predict, on average and in proportion to their length; the "
        "share of bytes for which another one becomes the likeliest; the entropy of the prediction; and the loss had "
        "thinking stopped there. thord need not run.",
    )
    inspect.add_argument("subject", choices=("thinking",))
    add_text(inspect)
    inspect.add_argument("--version", metavar="V", help="this version instead of the one in service")


def _inspect(options: InspectOptions) -> int:
    folder = version_folder(connect(options), options.version)
    found: Thinking = json.loads(engine_process.run("engine.evaluation.thinking", [str(folder)], text=text_of(options)))
    if options.json:
        output.emit(found)
        return exit_status.DONE
    output.columns(
        ("STEP", "CHANGE", "RELATIVE", "OTHER BYTE", "ENTROPY", "LOSS", "BITS/BYTE"),
        (
            (
                str(step["step"]),
                output.figure(step["change"]),
                "-" if step["relative_change"] is None else f"{step['relative_change']:.1%}",
                "-" if step["other_byte"] is None else f"{step['other_byte']:.1%}",
                f"{step['entropy']:.4f}",
                f"{step['loss']:.4f}",
                f"{step['bits_per_byte']:.4f}",
            )
            for step in found["steps"]
        ),
    )
    cut = ", the rest of the text is beyond its context" if found["left_out"] else ""
    output.say(f"version {found['version']}, {output.figure(found['bytes'])} bytes{cut}; entropy and loss in nats")
    return exit_status.DONE
