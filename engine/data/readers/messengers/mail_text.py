"""What the writer of a mail says in it: the text without what is quoted, forwarded, signed or attached."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.data.readers.messengers.pages import tokens_of

if TYPE_CHECKING:
    from email.message import Message

_WROTE = re.compile(
    r"(?:On|Am|Le|El|Il|Em|Op|Den|Dnia|W dniu|Vào|Pada|在|于)\b.{4,300}"
    r"(?:wrote|schrieb[^\n]{0,80}|a écrit|escribió|ha scritto|escreveu|schreef[^\n]{0,80}|skrev[^\n]{0,80}"
    r"|napisał(?:\(a\)|a)?|写道)\s?[:\uff1a]\s*$"
    r"|.{4,200}(?:пишет|написала?|wrote|schrieb)\s?:\s*$"
)
_CUT = re.compile(
    r"-{3,}\s*(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original|Messaggio originale"
    r"|Mensagem original|Oorspronkelijk bericht|Forwarded message|Weitergeleitete Nachricht|Message transféré"
    r"|Mensaje reenviado|Исходное сообщение|原始邮件)\s*-{3,}\s*$"
    r"|(?:Begin forwarded message|Anfang der weitergeleiteten Nachricht)\s?:\s*$",
    re.IGNORECASE,
)
_OUTLOOK = re.compile(r"\*?(?:From|Von|De|Da|Van|От|发件人)\s?:\*?\s\S")
_OUTLOOK_NEXT = re.compile(
    r"\*?(?:Sent|Date|Gesendet|Datum|Envoyé|Enviado(?: el)?|Inviato|Verzonden|Отправлено|Дата|To"
    r"|An|À|Para|A|发送时间)\s?:"
)
_SIGNATURE = re.compile(r"-- ?$")
_UNSEEN = ("style", "script", "head", "title", "blockquote")
_BREAKS = frozenset("br p div li tr h1 h2 h3 h4 h5 h6 pre table ul ol hr".split())


def body_of(message: "Message[str, str]") -> str:
    """What is said in a mail."""
    for kind in ("plain", "html"):
        for part in message.walk():
            if part.get_content_type() == f"text/{kind}" and part.get_content_disposition() != "attachment":
                text = _decoded(part)
                return _own(_seen(text) if kind == "html" else text)
    return ""


def _decoded(part: "Message[str, str]") -> str:
    raw = part.get_payload(decode=True)
    raw = raw if isinstance(raw, bytes) else b""
    try:
        return raw.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:  # a name of no charset
        return raw.decode("utf-8", "replace")


def _own(text: str) -> str:
    """The lines that the writer of a mail wrote."""
    lines = text.replace("\r\n", "\n").split("\n")
    own: list[str] = []
    for line, following in zip(lines, _next_words(lines), strict=True):
        if _SIGNATURE.match(line) or _CUT.match(line.strip()):
            break
        if _OUTLOOK.match(line) and _OUTLOOK_NEXT.match(following):
            break
        if line.startswith(">"):
            continue
        own.append(line)
        if following.startswith(">") or not following:
            _drop_attribution(own)
    while own and (not own[-1].strip() or re.fullmatch(r"_{5,}\s*", own[-1])):
        own.pop()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(own)).strip()


def _next_words(lines: Sequence[str]) -> list[str]:
    """For each line, the next one that is not blank; empty where none follows."""
    found: list[str] = []
    following = ""
    for line in reversed(lines):
        found.append(following)
        if line.strip():
            following = line
    return found[::-1]


def _drop_attribution(lines: list[str]) -> None:
    """Take away the line, or two that it was broken into, that says who wrote what is quoted next."""
    while lines and not lines[-1].strip():
        lines.pop()
    for count in (1, 2):
        if len(lines) >= count and _WROTE.match(" ".join(lines[-count:]).strip()):
            del lines[-count:]
            return


def _seen(page: str) -> str:
    """A page as text, without what is quoted in it."""
    words: list[str] = []
    hidden = 0
    for token in tokens_of(page):
        if isinstance(token, str):
            words += [] if hidden else [re.sub(r"\s+", " ", token)]
        elif token.name in _UNSEEN:
            hidden = max(0, hidden - 1) if token.is_end else hidden + 1
            words.append("\n")
        elif token.name in _BREAKS and not token.is_end:
            words.append("\n")
    return "\n".join(line.strip() for line in "".join(words).split("\n"))
