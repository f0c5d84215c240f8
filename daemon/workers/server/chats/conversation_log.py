"""Opt in: chats with the served model become conversations in the inbox, so that the next cycle learns from them.

    answered ──▶ chats.db ── feedback, or ``feedback_seconds`` without ──▶ inbox/conversations/served/OWNER/TIME.jsonl

OWNER is the SHA-256 of the API key, by which what somebody said is found again; who needs no key has no such folder.

Redaction comes before anything is written (`daemon.workers.server.chats.redaction`); if it fails, nothing is written. A
finished answer is on disk before its client is told so, and no restart loses it. Files appear by rename:
the intake sees a whole file or none. After a crash between file and database the same file is written again, and the
intake recognises what it has read.

An answer that was cut off, or that people marked as bad, is not learned; an edited one is learned as edited. The answer
that was given is in the file beside it, as a preference.
"""

import asyncio
import contextlib
import functools
import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from daemon import log
from daemon.settings.sections import ConversationLogSettings
from daemon.workers.server.chats.database import ChatDatabase
from daemon.workers.server.chats.redaction import Redaction, UnredactedError
from daemon.workers.server.errors import ApiError
from daemon.workers.server.metrics import Metrics
from engine import disk
from engine.data.samples import Message

MOST_IN_A_FILE = 1000
KEPT_SECONDS = 7 * 86400.0
"""So long after it was given an answer can still be edited."""
KEPT_ANSWERS = 10_000
_RETRY_SECONDS = 60.0
_logger = log.get(__name__)


class ConversationLog:
    """The log of one server. `run` is the task that writes to the inbox; it sleeps until something is due."""

    def __init__(
        self, database: ChatDatabase, folder: Path, settings: ConversationLogSettings, metrics: Metrics
    ) -> None:
        self._database = database
        self._folder = folder
        self._metrics = metrics
        self._redaction = Redaction()
        self._changed = asyncio.Event()
        self.apply(settings)

    def apply(self, settings: ConversationLogSettings) -> None:
        """Take over settings. Switched off, it forgets what is not in the inbox yet."""
        self._settings = settings
        self._redaction.apply(settings.redact)
        self._changed.set()

    async def add(self, name: str, owner: str, messages: Sequence[Message], answer: str, *, whole: bool) -> None:
        """Keep an answer, if `conversation_log.enabled` is set.

        Raises:
            ApiError: 503, it cannot be kept.
        """
        if not self._settings.enabled:
            return
        redacted = await self._redacted([*(each.content for each in messages), answer])
        if redacted is None:
            return
        *contents, answer = redacted
        said = [{"role": each.role, "content": text} for each, text in zip(messages, contents, strict=True)]
        now = time.time()
        due = now + self._settings.feedback_seconds if whole and answer.strip() else None
        row = (name, owner, now, due, due is not None, json.dumps(said, ensure_ascii=False), answer)

        def write(database: sqlite3.Connection) -> None:
            database.execute(
                "INSERT INTO answers (id, owner, at, due_at, whole, messages, answer) VALUES (?, ?, ?, ?, ?, ?, ?)", row
            )
            database.execute(
                "DELETE FROM answers WHERE due_at IS NULL AND"
                " (at < ? OR number <= (SELECT max(number) FROM answers) - ?)",
                (now - KEPT_SECONDS, KEPT_ANSWERS),
            )

        await self._database.run(write)
        self._changed.set()

    async def judge(self, name: str, owner: str, rating: Literal["up", "down"] | None, edit: str | None) -> bool:
        """Take in what a person thinks of an answer. True: it will be learned (as edited).

        One whose edit cannot be redacted is not learned at all: the edit must not be written, and without it the answer
        is wrong.

        Raises:
            ApiError: 404, no such answer is kept.
        """
        redacted = [] if edit is None else await self._redacted([edit])
        corrected = redacted[0] if redacted else None
        refused = redacted is None

        def write(database: sqlite3.Connection) -> bool:
            row = database.execute(
                "SELECT whole, due_at IS NOT NULL FROM answers WHERE id = ? AND owner = ?", (name, owner)
            ).fetchone()
            if row is None:
                message = (
                    f"there is no answer {name!r}: answers are kept for {KEPT_SECONDS / 86400:.0f} days, and only "
                    "while conversation_log.enabled is set"
                )
                raise ApiError(404, "answer_not_found", message, param="id")
            whole, waits = row
            learned = not refused and (corrected is not None or (rating != "down" and bool(whole)))
            due = time.time() if learned and (waits or corrected is not None) else None
            database.execute(
                "UPDATE answers SET edit = coalesce(?, edit), due_at = ?, batch = NULL WHERE id = ?",
                (corrected, due, name),
            )
            return learned

        learned = await self._database.run(write)
        self._changed.set()
        return learned

    async def run(self) -> None:
        """Write what is due, for ever."""
        if self._settings.enabled:
            await self._load_redactors()
        while True:
            self._changed.clear()
            wait = None
            try:
                if self._settings.enabled:
                    wait = await self._write_what_is_due()
                else:
                    await self._database.run(_forget_all)
            except (OSError, ApiError) as error:
                _logger.error("conversations cannot be written to the inbox now", reason=str(error))  # noqa: TRY400
                wait = _RETRY_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    async def _write_what_is_due(self) -> float | None:
        """Seconds until something will be due; None: nothing waits to become due."""
        while (batch := await self._database.run(_take_batch)) is not None:
            number, owner, lines = batch
            file = self._folder / owner / f"{number}.jsonl"
            await asyncio.to_thread(_write, file, lines)
            await self._database.run(functools.partial(_settle_batch, number))
            self._metrics.learned_answers.inc(len(lines))
            _logger.info("conversations went to the inbox", file=str(file), conversations=len(lines))
        first = await self._database.run(_first_due)
        return None if first is None else max(first - time.time(), 0.0)

    async def _redacted(self, texts: Sequence[str]) -> list[str] | None:
        """The texts as they may be written; None: they must not be written."""
        try:
            return await self._redaction.of(texts)
        except UnredactedError as error:
            _logger.warning("a conversation is not kept, as it cannot be redacted", reason=str(error))
            self._metrics.unredacted_answers.inc()
            return None

    async def _load_redactors(self) -> None:
        try:
            await self._redaction.load()
        except UnredactedError as error:
            _logger.error("no conversation is kept until every redactor works", reason=str(error))  # noqa: TRY400


def _forget_all(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM answers")


def _first_due(database: sqlite3.Connection) -> float | None:
    (first,) = database.execute("SELECT min(due_at) FROM answers").fetchone()
    return None if first is None else float(first)


def _take_batch(database: sqlite3.Connection) -> tuple[int, str, list[str]] | None:
    """The file to be written now, its owner, and its lines: one that was begun before a crash, else a new one."""
    row = database.execute("SELECT min(batch) FROM answers WHERE due_at IS NOT NULL").fetchone()
    number: int | None = row[0]
    if number is None:
        (last,) = database.execute("SELECT coalesce(max(batch), 0) FROM answers").fetchone()
        number = max(int(time.time() * 1000), last + 1)  # never the name of a file that was written before
        database.execute(
            "UPDATE answers SET batch = ?1 WHERE number IN"
            " (SELECT number FROM answers WHERE due_at <= ?2 AND owner ="
            " (SELECT owner FROM answers WHERE due_at <= ?2 ORDER BY number LIMIT 1) ORDER BY number LIMIT ?3)",
            (number, time.time(), MOST_IN_A_FILE),
        )
    query = "SELECT messages, answer, edit, owner FROM answers WHERE batch = ? AND due_at IS NOT NULL ORDER BY number"
    rows = database.execute(query, (number,)).fetchall()
    lines = [line_of(json.loads(messages), answer, edit, owner) for messages, answer, edit, owner in rows]
    return (number, rows[0][3], lines) if number is not None and rows else None


def _settle_batch(number: int, database: sqlite3.Connection) -> None:
    database.execute("UPDATE answers SET due_at = NULL WHERE batch = ?", (number,))


def line_of(messages: list[JsonValue], answer: str, edit: str | None, owner: str) -> str:
    """The dialogue to learn; of an answer that was edited, that the edit was preferred, and by whom: it is learned."""
    given: JsonValue = {"role": "assistant", "content": answer}
    if edit is None:
        return json.dumps({"messages": [*messages, given]}, ensure_ascii=False)
    pair = {
        "prompt": messages,
        "chosen": [{"role": "assistant", "content": edit}],
        "rejected": [given],
        "provenance": {"origin": "feedback", "owner": owner},
    }
    return json.dumps(pair, ensure_ascii=False)


def _write(file: Path, lines: Sequence[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    for left in file.parent.glob(".tmp-*"):  # of a server that was killed: what it was to say is written again
        left.unlink()
    disk.write(file, "".join(f"{line}\n" for line in lines))
