"""``export``: a version in a format that other programs read."""

from __future__ import annotations

from pathlib import Path

from control import engine_process, errors, exit_status
from control.cli.arguments import version_folder
from control.cli.parser import Commands, Options, connect
from control.terminal import output

TYPES = ("f32", "bf16", "f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")


class ExportOptions(Options):
    """What ``export`` is given."""

    layout: str
    what: str | None
    version: str | None
    out: str | None
    type: str | None


def add(commands: Commands) -> None:
    """Declare the command."""
    written = commands.add(
        "export",
        "write a version in a format that other programs read",
        _export,
        """
        thorctl export hf ./out
        thorctl export hf ./out --version 12
        thorctl export gguf --out model.gguf
        thorctl export gguf 12 --out model-q8_0.gguf --type q8_0
        thorctl export peft 12 --out ./adapter
        """,
        "hf: a folder for transformers, vLLM and SGLang. gguf: a file for llama.cpp, Ollama and LM Studio. peft: "
        "the adapter of a version that is one, for PEFT and vLLM; the other two write it merged into its base. Without "
        "a version it is the one in service.",
    )
    written.add_argument("layout", choices=("hf", "gguf", "peft"), help="which format")
    written.add_argument("what", metavar="DIR|V", nargs="?", help="hf: the folder to write; gguf and peft: the version")
    written.add_argument("--version", metavar="V", help="this version instead of the one in service")
    written.add_argument("--out", metavar="PATH", help="the file or folder to write; it must not exist yet")
    written.add_argument("--type", choices=TYPES, help="gguf: the type of the matrices; by default the version's own")


def _export(options: ExportOptions) -> int:
    version, out = _asked(options)
    target = Path(out).expanduser().absolute()
    source = version_folder(connect(options), version)
    if options.layout == "gguf":
        chosen = ["--type", options.type] if options.type else []
        kind = engine_process.run("engine.gguf.exporting", [str(source), str(target), *chosen]).strip()
        answer, form = {"version": source.name, "file": str(target), "type": kind}, f" in {kind}"
    else:
        module = "peft_exporting" if options.layout == "peft" else "exporting"
        engine_process.run(f"engine.huggingface.{module}", [str(source), str(target)])
        answer, form = {"version": source.name, "folder": str(target)}, ""
    if options.json:
        output.emit(answer)
    else:
        output.say(f"version {source.name} is written to {target}{form}")
    return exit_status.DONE


def _asked(options: ExportOptions) -> tuple[str | None, str]:
    """The version, and what to write.

    Raises:
        UsageError: one of them was given twice, or there is no target.
    """
    version, out = options.version, options.out
    if options.layout != "gguf" and options.type is not None:
        raise errors.UsageError(f"--type goes with 'export gguf'; 'export {options.layout}' writes weights as they are")
    if options.layout != "hf":
        if options.what is not None and version is not None:
            raise errors.UsageError(f"the version is given twice: {options.what} and --version {version}")
        version = options.what if options.what is not None else version
    else:
        if options.what is not None and out is not None:
            raise errors.UsageError(f"the folder is given twice: {options.what} and --out {out}")
        out = options.what if options.what is not None else out
    if out is None:
        needed = {"gguf": "--out FILE", "peft": "--out DIR"}.get(options.layout, "the folder to write")
        raise errors.UsageError(f"'export {options.layout}' needs {needed}")
    return version, out
