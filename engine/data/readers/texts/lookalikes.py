"""Files that are text, and yet neither conversations nor prose: told by how they look, and refused by name.

What is left is taken for prose and learned as plain text: books, articles, notes, Markdown. The rules look at the first
lines only; each names one kind of file. A corpus (`inbox/corpus`, ``--corpus``) is learned whatever it looks like.
"""

import io
import json
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import BYTES as HEAD_BYTES
from engine.data.readers.head import Head, share
from engine.data.readers.items import Item, Refused, Resume
from engine.data.readers.tables.heading import columns_of, is_headless_table, is_table
from engine.data.readers.texts import fragments, program_files
from engine.data.readers.texts.talk_of_people import is_talk_of_people
from engine.data.records.content.pictures import has_picture
from engine.data.records.limits import Limits
from engine.data.records.renaming import columns_hint
from engine.data.records.written.templates import has_unknown_template

_NAME = "refused"
_FROM_START = Resume(_NAME, 0, 1)

_TAG = re.compile(r"</?[A-Za-z][\w:-]*(?:\s[^<>]*)?/?>")
_PAGE = re.compile(r"<!doctype html|<html\b|<head\b|<body\b|<meta\b", re.IGNORECASE)
_BLOCK = re.compile(r"<(?:div|p|h\d|table|ul|ol|span|article|section|a|br)\b", re.IGNORECASE)
_XML = re.compile(r"<\?xml\b|<([A-Za-z][\w:-]*)(?:\s[^<>]*)?>.*</?[A-Za-z]", re.DOTALL)
_CUE = re.compile(r"\d+:?\d\d:\d\d[.,]\d{3} --> \d+:?\d\d:\d\d[.,]\d{3}", re.MULTILINE)
_OTHER_CUES = re.compile(
    r"\d:\d\d:\d\d\.\d{3},\d:\d\d:\d\d|\[Script Info\]|\[\d\d:\d\d\.\d\d\]|\[(?:\d\d:)?\d\d:\d\d\.\d{3} -->"
)
_HTTP = re.compile(r"(?:GET|POST|PUT|PATCH|DELETE|HEAD) \S+ HTTP/|HTTP/\d|\$? ?curl (?:-|https?:)")
_LATEX = re.compile(r"\s*\\(?:part|chapter|section|begin|usepackage|title)\*?\{")
_LOG = re.compile(
    r"(?:\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\[?\d\d:\d\d:\d\d\b|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d\s"
    r"|\d+\.\d+\.\d+\.\d+ - |\[?(?:DEBUG|INFO|WARN|WARNING|ERROR|FATAL|TRACE)\b)"
)
_PYTHON_LITERAL = re.compile(
    r"[\[(]?\s*\{\s*(?:'[^'\n]*'|u'[^'\n]*')\s*:|\[\s*\(?\s*'[^'\n]*'\s*,"
    r"|\[?[A-Z]\w+\((?:role|content|text|type|sender)=['\"]"
)
_JSON5 = re.compile(
    r"(?:\s*(?://[^\n]*|/\*.*?\*/))*\s*\[?\s*\{\s*(?:(?:[A-Za-z_$][\w$]{0,40}|'[^'\n]{0,40}')\s*:\s*[\[{'\"\w]"
    r"|\u201c|&quot;|\\\")",
    re.DOTALL,
)
_TRAINING_TEXT = re.compile(
    r"(?i:@relation\s)|# (?:text|sent_id|newdoc) = |[+-]?\d+(?: \d+:[\d.e+-]+)+\n"
    r"|__label__\S|#(?:separator|html|notetype|deck):|1 (?:your|partner's) persona:|text:.*\t(?:labels|episode_done):"
)
_YAML_LINE = re.compile(r"\s*(?:- )?[\w.\"'-]+:(?:\s*[|>][+-]?)?(?: .*|\s*)$|\s*- \S")
_YAML_ITEM = re.compile(r"\s*- [\w.-]+:(?: .*)?\n\s+(?:[\w.-]+:(?:\s|$)|- \S)|(?:.*\n)?\s*- (?:role|from|intent): ")
_YAML_NESTED = re.compile(r"(?m)^[\w.-]+:[^\S\n]*+(?:\s*+[|>][+-]?[^\S\n]*+)?\n\s*+(?:- |(?<= )[\w.-]+:)")
_SETTING = re.compile(r"(?:export )?[\w.-]+\s*=\s*\S")
_SECTION = re.compile(r"\[{1,2}[\w.\" -]+\]{1,2}\s*$")
_PAIR = re.compile(r"[\w][\w .()/-]{0,30}[:=]\s*\S")
_SHORT_PAIR = re.compile(r"[\w-]{2,20}(?: \d{1,3})?(?: ?\([^()\n]{1,30}\))? ?[:=]\s*\S")
_ASSIGNED = re.compile(
    r"\s*(?:(?:export )?(?:const |let |var )[\w.]+|module\.exports|window\.[\w.]+|export default)\s*=?\s*[\[{(]"
    r"|[\w.$]+\(\s*[\[{].*\)?;?\s*$"
)
_JSON_INSIDE = re.compile(r'[^{]{0,200}\{\s*".*[}\]],?\s*$|\s*"[\w-]+"\s*:')
_ENDS_IN_JSON = re.compile(r"[^{]*\{.*\}$")
_EVENT = re.compile(r"(?:data|event|id): ?\S")
_LABELLED_WORD = re.compile(r"\S+(?:[ \t]\S+){0,4}[ \t](?:O|[BIES]-[\w-]{1,16})$")
_RASA = re.compile(r"(?m)^[ \t]+- (?:utter|action)_\w+|^## (?:intent|synonym|regex|lookup):")
_GETTEXT = re.compile(r'(?m)^msgid "')
_BIBTEX = re.compile(r"@\w+\{")
_DUMP = re.compile(r"[0-9a-f]{6,8}:?\s+(?:[0-9a-f]{2,4}\s){4}", re.IGNORECASE)
_UUENCODED = re.compile(r"begin \d{3} \S+\n")
_PROMPTED = re.compile(r"(?:[$%]|>>>|[\w.-]+@[\w.-]+:\S*[$#]|PS [A-Z]:\\[^>\n]*>|[A-Z]:\\[^>\n]*>) ?\S")
_TAGGED_GAME = re.compile(r'\[\w+ "[^"\n]*"\]\n\[\w+ "')
_SERIALIZED = re.compile(r"[aO]:\d+:[{\"]|\(?[ld]p\d+\n|\((?:lp|dp)\d+\n|\[?%\{\w+: |\[?\{:\w+ ")
"""What PHP, the oldest pickles of Python, Elixir and Clojure write."""
_SIGN = re.compile(
    "(?:<<|>>)(?=[ \\t])|[\U0001f464\U0001f466-\U0001f469\U0001f4ac\U0001f5e8\U0001f916\U0001f9d1\U0001f9e0]"
)
_ROLE_NOTED = re.compile(r"(?m)^#{0,6} ?role::[ \t]*(?:user|assistant|system)\b", re.IGNORECASE)
_SEPARATED = re.compile(r"(?m)<\|endoftext\|>[ \t]*$")
_ARROW = re.compile(r"\S.{0,200}?[ \t](?:->|=>|[\u2192\u21d2])[ \t]\S")
_DEFINITION = re.compile(r"(?m)^\w[^\n]{0,60}\n:[ \t]+\S")
_DRAWN_ROW = re.compile(r"\|.*\|\s*$|\+[-=+]{3,}\+\s*$")
_DRAWN_RULE = re.compile(r"-{2,}(?:\+-{2,})+\s*$")
_ANSWERERS = ("assistant", "ai", "bot", "chatgpt", "a", "answer", "response", "model")
_SPEAKS = re.compile(
    rf"(?:<!--|[\W_]){{0,6}}(user|human|you|q|question|prompt|{'|'.join(_ANSWERERS)})(?: ?\d{{1,3}})?"
    r"[\W_]{0,4}?(?:[:.](?:\W|$)|-->|$)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r">[ \t]?\S")
_CODE = re.compile(
    r"\s*+(?:#include\b|import [\w.{*]|from [\w.]+ import |def \w+\(|class \w+[(:{]|func \w+\(|fn \w+[(<]|package \w+"
    r"|(?:public|private|static|const|let|var|function|return|if|for|while|else)\b.*[{;]\s*$"
    r"|[}\])]+[;,]?\s*$|.*[;{]\s*$|@\w+(?:\(|$)|//|/\*|\*/)"
)
_SQL = re.compile(
    r"(?:--[^\n]*\n|\s)*(?:CREATE TABLE|INSERT INTO|DROP TABLE|BEGIN TRANSACTION|SET \w+)\b", re.IGNORECASE
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{60,}={0,2}$")
_TABLE = "a table (CSV or TSV) with columns that thord does not know"


def seems(head: Head) -> str | None:
    """What a text file seems to be, in words for a person; none where it may be prose."""
    return next((name for name, is_like in _RULES if is_like(head)), None)


def _is_json(head: Head) -> bool:
    """A text, a number or a list of those, as JSON: nothing that was said; also records as strings, one a line."""
    text = head.visible.strip()
    if text.startswith((b'"{', b'"[{')):
        return True
    if text[:1] not in b'"[-0123456789' or text[-1:] not in b'"]0123456789':
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_page(head: Head) -> bool:
    start = head.text[:4096]
    if _PAGE.search(start[:1024]):
        return True
    return _BLOCK.match(start) is not None and len(_TAG.findall(start)) >= 4


def _is_xml(head: Head) -> bool:
    return head.text.startswith("<") and _XML.match(head.text[:4096]) is not None


def _is_talk(head: Head) -> bool:
    return is_talk_of_people(head.lines_as_text, [line for line in head.text.split("\n")[:64] if line.strip()])


def _is_log(head: Head) -> bool:
    return share(head.lines_as_text, _LOG.match) >= 0.5


def _is_json_log(head: Head) -> bool:
    return _is_log(head) and share(head.lines_as_text, _ENDS_IN_JSON.match) >= 0.5


def _is_json_inside(head: Head) -> bool:
    return share(head.lines_as_text, _JSON_INSIDE.match) >= 0.5


def _is_stream(head: Head) -> bool:
    return b"data:" in head.visible[:4096] and share(head.lines_as_text, _EVENT.match) >= 0.6


def _is_yaml(head: Head) -> bool:
    lines = [line for line in head.lines_as_text if not line.startswith("#")]
    starts = head.text.startswith("---\n") or head.text.startswith("%YAML")
    nested = _YAML_NESTED.search(head.text[:4096]) is not None or _YAML_ITEM.match(head.text[:4096]) is not None
    of_keys = starts and bool(lines) and _YAML_LINE.match(lines[-1]) is not None  # else prose behind a front matter
    return (nested or of_keys) and share(lines[1:] if starts else lines, _YAML_LINE.match) >= 0.6


def _is_latex(head: Head) -> bool:
    is_document = "\\documentclass" in head.text[:2048] or "\\begin{document}" in head.text[:8192]
    return is_document or _LATEX.match(head.text[:4096]) is not None


def _is_settings(head: Head) -> bool:
    lines = [line for line in head.lines_as_text if not line.startswith(("#", ";"))]
    return share(lines, lambda line: _SETTING.match(line) or _SECTION.match(line)) >= 0.7


def _is_pairs(head: Head) -> bool:
    lines = head.lines_as_text
    if 2 <= len(lines) < 4:
        return all(map(_SHORT_PAIR.match, lines))
    return len(lines) >= 4 and share(lines, _PAIR.match) >= 0.8


def _is_code(head: Head) -> bool:
    lines = head.lines_as_text
    if lines and (lines[0].startswith("#!") or _ASSIGNED.match(lines[0])):
        return True
    return len(lines) >= 3 and share(lines, _CODE.match) >= 0.4


def _is_unlike_transcript(head: Head) -> bool:
    """Speakers who are known, and written in different ways: a transcript has them all alike."""
    found = [match[1].lower() for line in head.lines_as_text if (match := _SPEAKS.match(line))]
    answers = sum(name in _ANSWERERS for name in found)
    return 0 < answers < len(found) and len(found) >= 0.3 * len(head.lines)


def _is_quotes_with_replies(head: Head) -> bool:
    """Quotes in Markdown or mail and text by turns, a quote first: somebody answers somebody."""
    blocks = [block for block in head.text[:8192].split("\n\n") if block.strip()]
    are_quotes = [_QUOTED.match(block) is not None for block in blocks]
    return sum(are_quotes) >= 2 and are_quotes[0] and sum(are_quotes) >= 0.3 * len(blocks) and not all(are_quotes)


def _is_terminal(head: Head) -> bool:
    prompted = sum(_PROMPTED.match(line) is not None for line in head.lines_as_text)
    return prompted >= 2 and prompted >= 0.3 * len(head.lines)


def _is_marked_talk(head: Head) -> bool:
    """Lines by turns behind signs, such as a face and a robot."""
    if _ROLE_NOTED.search(head.text[:8192]):  # ChatGPT MD, in Obsidian
        return True
    signs = [match[0] for line in head.lines_as_text if (match := _SIGN.match(line))]
    return len(signs) >= 2 and len(set(signs)) > 1 and len(signs) >= 0.4 * len(head.lines)


def _is_arrows(head: Head) -> bool:
    return len(head.lines_as_text) >= 2 and share(head.lines_as_text, _ARROW.match) >= 0.8


def _is_glossary(head: Head) -> bool:
    """A list of definitions in Markdown."""
    definitions = len(_DEFINITION.findall(head.text[:8192]))
    return definitions >= 2 and 4 * definitions >= len(head.lines)


def _is_drawn_table(head: Head) -> bool:
    """A table in Markdown, or as SQL shells print it."""
    return share(head.lines_as_text, _DRAWN_ROW.match) >= 0.6 or any(map(_DRAWN_RULE.match, head.lines_as_text[:3]))


def _is_base64(head: Head) -> bool:
    return share(head.lines_as_text[:-1] or head.lines_as_text, _BASE64.match) >= 0.9


_RULES: tuple[tuple[str, Callable[[Head], bool]], ...] = (
    (
        "subtitles (WebVTT or SubRip)",
        lambda head: (
            head.text.startswith("WEBVTT") or bool(_CUE.search(head.text[:2048])) or bool(_OTHER_CUES.match(head.text))
        ),
    ),
    (
        "a dialogue with marks of turns, in a template that thord does not know or cannot read",
        lambda head: has_unknown_template(head.text),
    ),
    ("objects serialized by PHP, Python, Elixir or Clojure", lambda head: _SERIALIZED.match(head.text) is not None),
    ("RTF: save it as plain text", lambda head: head.visible.startswith(b"{\\rtf")),
    (
        "Telegram's HTML export: export the chat again as JSON, the machine-readable form",
        lambda head: "<title>Exported Data</title>" in head.text[:2048],
    ),
    ("an HTML page", _is_page),
    ("XML", _is_xml),
    ("JSON without conversations", _is_json),
    ("labelled words (CoNLL)", lambda head: share(head.lines_as_text, _LABELLED_WORD.match) >= 0.8),
    ("training data of Rasa", lambda head: _RASA.search(head.text[:8192]) is not None),
    ("a key or a message in PEM or PGP", lambda head: head.text.startswith("-----BEGIN ")),
    ("translations (gettext)", lambda head: _GETTEXT.search(head.text[:8192]) is not None),
    ("a bibliography (BibTeX)", lambda head: _BIBTEX.match(head.text) is not None),
    ("a history of commits", lambda head: re.match(r"commit [0-9a-f]{4,40}\b", head.text) is not None),
    ("a traceback", lambda head: head.text.startswith("Traceback (most recent call last)")),
    (
        "encoded binary data",
        lambda head: share(head.lines_as_text, _DUMP.match) >= 0.5 or bool(_UUENCODED.match(head.text)),
    ),
    ("a chat of people: thord cannot tell which of them is the assistant", _is_talk),
    ("a stream of events with JSON in it ('data: {...}')", _is_stream),
    ("a log with JSON in its lines: leave only the JSON, a record a line", _is_json_log),
    ("lines with JSON in them: leave only the JSON, a record a line", _is_json_inside),
    ("a log", _is_log),
    (
        "Python literals, with single quotes instead of JSON's double quotes",
        lambda head: bool(_PYTHON_LITERAL.match(head.text)),
    ),
    (
        "JSON5, JavaScript or JSON in other quotes: write JSON, with every key in double quotes and no comments",
        lambda head: bool(_JSON5.match(head.text[:8192])),
    ),
    (
        "data of fastText, ParlAI, Anki, Weka, LIBSVM or CoNLL-U",
        lambda head: bool(_TRAINING_TEXT.match(head.text[:8192])),
    ),
    ("a diff", lambda head: head.text.startswith(("diff --git ", "--- a/")) or "\n@@ -" in head.text[:4096]),
    ("an SQL dump", lambda head: _SQL.match(head.text) is not None),
    ("an HTTP request or answer", lambda head: _HTTP.match(head.text) is not None),
    ("LaTeX source", _is_latex),
    ("YAML", _is_yaml),
    (
        "a transcript whose speakers are not written alike: write 'User:' and 'Assistant:' before what was said",
        _is_unlike_transcript,
    ),
    (
        "quotes with replies: thord cannot tell who asks; write 'User:' and 'Assistant:' before what was said",
        _is_quotes_with_replies,
    ),
    ("a text with pictures in it (data:...;base64,...)", lambda head: has_picture(head.text)),
    ("the RECORD of a Python package", program_files.is_list_of_sums),
    (_TABLE, is_table),
    ("a table (CSV or TSV) without a header: name the columns in a first line", is_headless_table),
    ("a game of chess (PGN)", lambda head: _TAGGED_GAME.match(head.text) is not None),
    ("a terminal session", _is_terminal),
    ("a Dockerfile, a list of packages or a crontab", program_files.is_installation),
    ("a list of hosts", program_files.is_list_of_hosts),
    ("a journal of accounts", program_files.is_journal_of_accounts),
    ("a glossary: terms with definitions behind ':'", _is_glossary),
    ("a table in Markdown, or of an SQL shell", _is_drawn_table),
    ("a dialogue behind signs: write 'User:' and 'Assistant:' in their place", _is_marked_talk),
    (
        "texts with '<|endoftext|>' between them: write a file, or a line of JSON with 'text', for each",
        lambda head: _SEPARATED.search(head.text[:8192]) is not None,
    ),
    ("a piece of JSON, or JSON between other lines: leave only whole JSON", fragments.is_of_json),
    ("a piece of an HTML page, or XML", fragments.is_of_page),
    ("a piece of a table (CSV or TSV) without its header", fragments.is_of_table),
    ("a piece of a chat of people", fragments.is_of_messenger),
    (
        "a transcript without a question or without its beginning, or with speakers that are not written alike",
        fragments.is_of_transcript,
    ),
    (
        "prompts behind '>' with answers: write 'User:' and 'Assistant:' before what was said",
        fragments.is_of_prompts,
    ),
    ("settings (INI or TOML)", _is_settings),
    ("source code (a Makefile)", program_files.is_makefile),
    ("source code", _is_code),
    ("pairs with arrows between them: a table or JSON can say which are questions and answers", _is_arrows),
    ("encoded binary data (base64)", _is_base64),
    ("key-value text", _is_pairs),
)
"""In the order in which they are asked; what is none of these may be prose."""


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """One refusal of the whole file."""
    del resume
    stream.seek(0)
    head = Head(stream.read(HEAD_BYTES), limits)
    found = seems(head) or "not prose"
    if found == _TABLE:
        found = f"{found}; {columns_hint(columns_of(head))}"
    reason = (
        f"neither a conversation nor prose: it seems to be {found}; text to be learned as it stands goes to the corpus "
        "(thorctl ingest --corpus FILE)"
    )
    yield Refused(reason, 0, 0, stream.seek(0, io.SEEK_END), _FROM_START)


FORMAT = Format(_NAME, lambda head: seems(head) is not None, _read, may_grow=False)
