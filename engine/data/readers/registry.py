"""The formats of files, in the order in which they are asked whether a file is theirs; the last one takes the rest.

A new format is a module with a `FORMAT`, and a line here.
"""

from engine.data.readers import document, json_lines
from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.messengers import discord, imessage, imessage_page, mail, meta, slack, telegram, whatsapp
from engine.data.readers.tables import columnar, databases, delimited
from engine.data.readers.texts import aider, lookalikes, plain_text, templated, transcript, utterances, yaml_text

_WRITTEN: tuple[Format, ...] = (
    discord.CSV,
    discord.TEXT,
    whatsapp.FORMAT,
    imessage.TEXT,
    imessage_page.FORMAT,
    mail.FORMAT,
)
"""Messengers whose files are texts or tables, not JSON."""

FORMATS: tuple[Format, ...] = (
    meta.FORMAT,
    telegram.FORMAT,
    discord.JSON,
    slack.FORMAT,
    slack.LISTS,
    json_lines.FORMAT,
    document.FORMAT,
    *_WRITTEN,
    utterances.FORMAT,
    aider.FORMAT,
    templated.FORMAT,
    yaml_text.FORMAT,
    transcript.FORMAT,
    delimited.FORMAT,
    lookalikes.FORMAT,
    plain_text.FORMAT,
)

BINARY: tuple[Format, ...] = (
    columnar.PARQUET,
    columnar.ARROW,
    columnar.ARROW_STREAM,
    imessage.DATABASE,
    databases.FORMAT,
)
"""The formats that are not text: each is told by its first bytes."""

_BY_NAME = {each.name: each for each in (*FORMATS, *BINARY)}


def recognise(head: Head, *, is_corpus: bool = False) -> Format:
    """The format of a file that begins with ``head``; in a corpus what is not of a known format is plain text.

    So is a messenger's text there, unless the settings say who is the assistant.
    """
    left_out: tuple[Format, ...] = ()
    if is_corpus:
        is_named = "assistant" in head.limits.names.speakers.values()
        left_out = (lookalikes.FORMAT,) if is_named else (lookalikes.FORMAT, *_WRITTEN)
    return next(each for each in FORMATS if each not in left_out and each.fits(head))


def recognise_binary(head: Head) -> Format | None:
    """The format of a file that is not text and begins with ``head``; none where it is none of those."""
    return next((each for each in BINARY if each.fits(head)), None)


def find(name: str) -> Format | None:
    """The format with this name; none where this thord knows no such format."""
    return _BY_NAME.get(name)
