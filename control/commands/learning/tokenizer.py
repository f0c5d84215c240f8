"""``tokenizer``: train one beforehand, look at one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from control import engine_process, errors, exit_status
from control.cli.parser import Commands, Options, connect, positive
from control.terminal import output

if TYPE_CHECKING:
    from control.answers import Json

KINDS = ("bpe", "unigram", "sentencepiece-bpe", "bytes")


class TokenizerOptions(Options):
    """What ``tokenizer`` is given."""

    action: str
    files: list[str]
    out: str | None
    kind: str | None
    vocabulary: int | None
    sample_megabytes: int | None


def add(commands: Commands) -> None:
    """Declare the command."""
    tokenizer = commands.add(
        "tokenizer",
        "train a tokenizer beforehand, or show one",
        _tokenizer,
        """
        thorctl tokenizer train books/ chats.jsonl --out ./words --kind unigram --vocabulary 16000
        thorctl tokenizer show
        thorctl tokenizer show ./words --json
        """,
        "By default thord trains one on the first data it learns from. To have it use one of these instead, "
        "name its folder in tokenizer.folder before the first training. 'show' without a folder shows the one in "
        "service.",
    )
    tokenizer.add_argument("action", choices=("train", "show"))
    tokenizer.add_argument("files", nargs="*", metavar="FILE", help="files or folders to learn from; the one to show")
    tokenizer.add_argument("--out", metavar="DIR", help="where to put it: a folder that does not exist yet")
    tokenizer.add_argument("--kind", choices=KINDS, help="bpe unless given")
    tokenizer.add_argument("--vocabulary", type=positive, metavar="N", help="its size")
    tokenizer.add_argument("--sample-megabytes", type=positive, metavar="N", help="read at most this much text")


def _tokenizer(options: TokenizerOptions) -> int:
    return _train(options) if options.action == "train" else _show(options)


def _train(options: TokenizerOptions) -> int:
    if not options.files or options.out is None:
        raise errors.UsageError("name files to learn from, and with --out the folder to put the tokenizer into")
    given = {
        "kind": options.kind,
        "vocabulary": options.vocabulary,
        "sample_megabytes": options.sample_megabytes,
    }
    target = _absolute(options.out)
    settings = json.dumps({name: value for name, value in given.items() if value is not None})
    arguments = ["train", target, *map(_absolute, options.files), "--settings", settings]
    made: dict[str, Json] = json.loads(engine_process.run("engine.tokenizers", arguments))
    if options.json:
        output.emit({**made, "folder": target})
    else:
        output.say(f"{made['kind']} with {made['vocabulary']} tokens is in {target}")
    return exit_status.DONE


def _show(options: TokenizerOptions) -> int:
    if len(options.files) > 1:
        raise errors.UsageError("name one folder to show")
    folder = _absolute(options.files[0]) if options.files else str(connect(options).paths.current)
    if not Path(folder).is_dir():
        raise errors.NotFoundError(f"{folder} is not a folder" if options.files else "no version is in service yet")
    found: dict[str, Json] = json.loads(engine_process.run("engine.tokenizers", ["show", folder]))
    if options.json:
        output.emit(found)
    else:
        output.tree(found)
    return exit_status.DONE


def _absolute(file: str) -> str:
    return str(Path(file).expanduser().absolute())
