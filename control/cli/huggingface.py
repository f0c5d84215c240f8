"""``export push``: versions as others read them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from control import exit_status, heavy, output
from control.cli.arguments import version_folder
from control.cli.parser import Commands, Options, connect


class ExportOptions(Options):
    """What ``export`` is given."""

    layout: str
    folder: str
    version: str | None


class PushOptions(Options):
    """What ``push`` is given."""

    repository: str
    version: str | None
    private: bool


def add(commands: Commands) -> None:
    """Declare the commands."""
    written = commands.add(
        "export",
        "write a version as a Hugging Face model",
        _export,
        "thorctl export hf ./out\nthorctl export hf ./out --version 12\nthorctl export hf ./out --json",
        "transformers, vLLM and SGLang read it. Without --version it is the one in service.",
    )
    written.add_argument("layout", choices=("hf",), help="hf: the layout of Hugging Face")
    written.add_argument("folder", metavar="DIR", help="a folder that does not exist yet")
    written.add_argument("--version", metavar="V", help="this version, and not the one in service")
    pushed = commands.add(
        "push",
        "upload a version to the Hugging Face hub",
        _push,
        "thorctl push me/my-model\nthorctl push me/my-model --version 12 --private",
        "The key is read from HF_TOKEN, or is the one that 'hf auth login' has kept; HF_ENDPOINT names another hub.",
    )
    pushed.add_argument("repository", metavar="OWNER/NAME", help="made if it is not there")
    pushed.add_argument("--version", metavar="V", help="this version, and not the one in service")
    pushed.add_argument("--private", action="store_true", help="where it is made, only its owner can see it")


def _export(options: ExportOptions) -> int:
    folder = Path(options.folder).expanduser().absolute()
    source = version_folder(connect(options), options.version)
    heavy.run("engine.huggingface.exporting", [str(source), str(folder)])
    if options.json:
        output.emit({"version": source.name, "folder": str(folder)})
    else:
        output.say(f"version {source.name} is written to {folder}")
    return exit_status.DONE


def _push(options: PushOptions) -> int:
    source = version_folder(connect(options), options.version)
    with tempfile.TemporaryDirectory(prefix="thord-push-") as scratch:
        folder = Path(scratch) / "model"
        heavy.run("engine.huggingface.exporting", [str(source), str(folder)])
        arguments = [
            str(folder),
            options.repository,
            f"thord {source.name}",
            *(["--private"] if options.private else []),
        ]
        address = heavy.run("engine.huggingface.pushing", arguments).strip()
    if options.json:
        output.emit({"version": source.name, "repository": options.repository, "url": address})
    else:
        output.say(f"version {source.name} is at {address}")
    return exit_status.DONE
