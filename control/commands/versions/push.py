"""``push``: versions on the Hugging Face hub."""

from __future__ import annotations

import tempfile
from pathlib import Path

from control import engine_process, exit_status
from control.cli.arguments import version_folder
from control.cli.parser import Commands, Options, connect
from control.terminal import output


class PushOptions(Options):
    """What ``push`` is given."""

    repository: str
    version: str | None
    private: bool


def add(commands: Commands) -> None:
    """Declare the command."""
    pushed = commands.add(
        "push",
        "upload a version to the Hugging Face hub",
        _push,
        "thorctl push me/my-model\nthorctl push me/my-model --version 12 --private",
        "The key comes from HF_TOKEN or 'hf auth login'; HF_ENDPOINT names another hub.",
    )
    pushed.add_argument("repository", metavar="OWNER/NAME", help="created if it does not exist")
    pushed.add_argument("--version", metavar="V", help="this version instead of the one in service")
    pushed.add_argument("--private", action="store_true", help="if it is created, only its owner can see it")


def _push(options: PushOptions) -> int:
    source = version_folder(connect(options), options.version)
    with tempfile.TemporaryDirectory(prefix="thord-push-") as scratch:
        folder = Path(scratch) / "model"
        engine_process.run("engine.huggingface.exporting", [str(source), str(folder)])
        arguments = [
            str(folder),
            options.repository,
            f"thord {source.name}",
            *(["--private"] if options.private else []),
        ]
        address = engine_process.run("engine.huggingface.pushing", arguments).strip()
    if options.json:
        output.emit({"version": source.name, "repository": options.repository, "url": address})
    else:
        output.say(f"version {source.name} is at {address}")
    return exit_status.DONE
