"""``generate chat score``: use the model that serves."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from control import exit_status
from control.cli.arguments import TextOptions, add_text, text_of
from control.cli.parser import Commands, Options, connect, positive
from control.paths import version_name
from control.terminal import output

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from control.answers import Answer, Json
    from control.client import Message, Sampling, Thord


_GREETING = "Each line is one turn. /exit or Ctrl-D ends the chat, /help shows this again."


class AnswerOptions(TextOptions):
    """What ``generate`` and ``chat`` are given."""

    version: str | None
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    seed: int | None
    stop: list[str] | None
    system: str | None


class ChatOptions(AnswerOptions):
    """What ``chat`` is given."""

    session: str | None


class ScoreOptions(TextOptions):
    """What ``score`` is given."""

    top_k: int | None


def add(commands: Commands) -> None:
    """Declare the commands."""
    generate = commands.add(
        "generate",
        "continue a text",
        _generate,
        """
        thorctl generate "Once upon a time"
        thorctl generate "The capital" --max-tokens 20 --temperature 0 --version 12
        cat prompt.txt | thorctl generate -
        thorctl generate "Hello" --json | jq .version
        """,
    )
    add_text(generate)
    add_sampling(generate)
    chat = commands.add(
        "chat",
        "talk to the model; without a message, turn by turn",
        _chat,
        """
        thorctl chat
        thorctl chat "What is thord?"
        thorctl chat --system "Answer in one word." "Is water wet?"
        thorctl chat --session ann "And now?"
        thorctl chat "Hello" --json | jq -r .text
        """,
        "Without a message each line of standard input is one turn, until its end (Ctrl-D). On a terminal /exit ends "
        "it too.",
    )
    add_text(chat)
    chat.add_argument("--system", metavar="TEXT", help="the system message")
    chat.add_argument("--session", metavar="NAME", help="continue this session, which the server remembers")
    add_sampling(chat)
    score = commands.add(
        "score",
        "show how well the model predicts a text: loss, perplexity, surprisal",
        _score,
        'thorctl score "The quick brown fox"\nthorctl score - --top-k 3 --json < text.txt',
    )
    add_text(score)
    score.add_argument(
        "--top-k", type=positive, metavar="N", help="also show the N most likely tokens at each position"
    )


def add_sampling(command: argparse.ArgumentParser) -> None:
    """Declare how an answer is sampled, and by which version."""
    command.add_argument("--version", metavar="V", help="use this version")
    longest = "maximum tokens in the answer; by default 256 for a text, and what the context holds for a chat"
    command.add_argument("--max-tokens", type=positive, metavar="N", help=longest)
    command.add_argument("--temperature", type=float, metavar="T", help="0 always takes the most likely token")
    command.add_argument(
        "--top-p", type=float, metavar="P", help="sample among the most likely tokens that together have probability P"
    )
    command.add_argument("--top-k", type=int, metavar="K", help="sample among the K most likely tokens")
    command.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same answer")
    command.add_argument("--stop", action="append", metavar="TEXT", help="stop before this text; may be repeated")


def _generate(options: AnswerOptions) -> int:
    prompt = text_of(options)
    thord = connect(options)
    sampling, model = sampling_of(options), model_of(options)
    if options.json:
        output.emit(thord.generate(prompt, model=model, **sampling))
    else:
        _close(thord.generate(prompt, model=model, on_text=_print_piece, **sampling))
    return exit_status.DONE


def _chat(options: ChatOptions) -> int:
    thord = connect(options)
    messages: list[Message] = [{"role": "system", "content": options.system}] if options.system else []
    for turn in _turns(options):
        messages.append({"role": "user", "content": turn})
        answer = _answer(thord, messages, options)
        if options.session is None:
            messages.append({"role": "assistant", "content": answer["text"]})
        else:
            messages.clear()  # the server remembers
    return exit_status.DONE


def _answer(thord: Thord, messages: list[Message], options: ChatOptions) -> Answer:
    sampling, model = sampling_of(options), model_of(options)
    if options.json:
        answer = thord.chat(messages, model=model, session=options.session, **sampling)
        output.emit(answer, line=options.text is None)
    else:
        answer = thord.chat(messages, model=model, session=options.session, on_text=_print_piece, **sampling)
        _close(answer)
    return answer


def _turns(options: ChatOptions) -> Iterator[str]:
    """The one message given, else a line of standard input after the other, asked for on a terminal."""
    if options.text not in {None, "-"}:
        yield text_of(options)
        return
    if not sys.stdin.isatty():
        lines = (line.decode(errors="replace") for line in sys.stdin.buffer)
        yield from filter(None, map(str.strip, lines))
        return
    import readline  # noqa: F401  (line editing and history for input())

    output.say(output.paint(_GREETING, "dim"))
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            output.say()
            return
        if line == "/exit":
            return
        if line == "/help":
            output.say(output.paint(_GREETING, "dim"))
        elif line:
            yield line


def _score(options: ScoreOptions) -> int:
    return _show(connect(options).score(text_of(options), top_k=options.top_k), options)


def _show(result: dict[str, Json], options: Options) -> int:
    if options.json:
        output.emit(result)
    else:
        output.tree(result)
    return exit_status.DONE


def model_of(options: AnswerOptions) -> str:
    """The model asked for, as the API names it."""
    if options.version is None:
        return "thor"
    from control.client import version_number

    return f"thor@{version_name(version_number(options.version))}"


def sampling_of(options: AnswerOptions) -> Sampling:
    """The options that were given; the service's defaults stand for the rest."""
    sampling: Sampling = {}
    if options.max_tokens is not None:
        sampling["max_tokens"] = options.max_tokens
    if options.temperature is not None:
        sampling["temperature"] = options.temperature
    if options.top_p is not None:
        sampling["top_p"] = options.top_p
    if options.top_k is not None:
        sampling["top_k"] = options.top_k
    if options.seed is not None:
        sampling["seed"] = options.seed
    if options.stop is not None:
        sampling["stop"] = options.stop
    return sampling


def _print_piece(piece: str) -> None:
    print(_harmless(piece), end="", flush=True)


def _harmless(text: str) -> str:
    """Text of a model, without characters that could steer a terminal."""
    if not output.on_terminal():
        return text
    return "".join(character for character in text if character.isprintable() or character in "\n\t")


def _close(answer: Answer) -> None:
    """End the line, and say on a terminal which version answered."""
    output.say()
    if output.on_terminal():
        output.say(output.paint(f"[{answer['version']}]", "dim"))
