"""Telegram Desktop's ``result.json``: one chat, or all of an account.

Source: "Export chat history" and "Export Telegram data" of Telegram Desktop, in the machine-readable form. A text is a
string, or a list of strings and entities. What the program notes (``service``) and forwards nobody of the talk said.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from pydantic import JsonValue

from engine.data.readers.head import Head
from engine.data.readers.messengers.export import any_of, beginning, document, in_order, names_of, number, seconds
from engine.data.readers.messengers.said import Said
from engine.data.readers.messengers.talks import format_of
from engine.data.records.limits import Limits
from engine.data.records.values import Record, child, is_record, items, records, string

_CHAT = re.compile(
    rb'"type"\s*:\s*"(?:saved_messages|personal_chat|bot_chat|private_group|private_supergroup|public_supergroup'
    rb'|private_channel|public_channel|replies)"'
)
_ACCOUNT = re.compile(rb'\{\s*"about"\s*:\s*"[^"]{0,400}Telegram')
_MEDIA = ("photo", "file", "media_type", "location_information", "contact_information", "poll", "game_title")


def _fits(head: Head) -> bool:
    start = beginning(head)
    return _ACCOUNT.match(start) is not None or (b'"messages"' in start and _CHAT.search(start[:4096]) is not None)


def _said_in(stream: BinaryIO, limits: Limits) -> list[Said]:
    export = document(stream, limits)
    if not is_record(export):
        return []
    chats = [export, *(chat for key in ("chats", "left_chats") for chat in records(child(export, key).get("list")))]
    return [
        said for number_of_chat, chat in enumerate(chats) for said in in_order(_messages(chat, str(number_of_chat)))
    ]


def _messages(chat: Record, talk: str) -> Iterator[Said]:
    return (_said(message, talk) for message in records(chat.get("messages")) if _is_said(message))


def _is_said(message: Record) -> bool:
    return message.get("type") == "message" and "forwarded_from" not in message


def _said(message: Record, talk: str) -> Said:
    time = number(message.get("date_unixtime"))
    return Said(
        names_of((message.get("from"), message.get("from_id")), "?"),
        "".join(_text(part) for part in _parts(message.get("text"))),
        seconds(message.get("date")) if time is None else time,
        talk,
        has_media=any_of(message, _MEDIA),
    )


def _parts(text: JsonValue) -> list[JsonValue]:
    return [text] if isinstance(text, str) else items(text)


def _text(part: JsonValue) -> str:
    return part if isinstance(part, str) else string(part.get("text")) if is_record(part) else ""


FORMAT = format_of("Telegram", "Telegram's export {messages: [{from, text}]}", _fits, _said_in)
