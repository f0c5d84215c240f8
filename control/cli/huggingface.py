"""``import export push``: models in the layout of Hugging Face, from there and to there; checkpoints."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

from control import exit_status, heavy, output
from control.cli.arguments import version_folder
from control.cli.parser import Commands, Options, connect


class ImportOptions(Options):
    """What ``import`` is given."""

    layout: Literal["hf", "checkpoint"]
    folder: str
    promote: bool


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
    taken = commands.add(
        "import",
        "make a Hugging Face model, or a checkpoint of a run, a version of thord",
        _import,
        """
        thorctl import hf ~/models/Qwen3-0.6B
        thorctl import hf ./llama --promote
        thorctl import hf ./gpt2 --json
        thorctl import checkpoint /var/lib/thord/runs/000012/checkpoints/004000
        """,
        "Llama, Mistral, Qwen2, Qwen3 and GPT-2, with safetensors and tokenizer.json. The version is not in service "
        "before it is promoted; since the tokenizer is fixed for the life of a thord, it must be the first one, or "
        "have the tokenizer of the one that serves.",
    )
    taken.add_argument("layout", choices=("hf", "checkpoint"), help="hf: the layout of Hugging Face")
    taken.add_argument("folder", metavar="DIR", help="the folder with config.json, or the checkpoint's")
    taken.add_argument("--promote", action="store_true", help="put it into service at once")
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


def _import(options: ImportOptions) -> int:
    thord = connect(options)
    version = thord.import_model(options.folder, options.layout)
    if options.promote:
        version = thord.promote(version["version"])
    if options.json:
        output.emit(version)
    else:
        parameters = output.figure(version["parameters"])
        output.say(f"{options.folder} is version {version['version']}, {parameters} parameters, {version['state']}")
        if not options.promote:
            output.say(f"put it into service with: thorctl promote {int(version['version'])}")
    return exit_status.DONE


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
