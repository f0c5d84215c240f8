"""Jan's threads: the settings of one, which hold nothing that was said.

Source: ``thread.json`` beside ``messages.jsonl`` in Jan's folder of threads. The messages are rows
(`engine.data.records.rows`).
"""

from typing import NoReturn

from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record


def _fits(record: Record) -> bool:
    return record.get("object") == "thread" and "messages" not in record


def _refuse(record: Record, limits: Limits) -> NoReturn:
    del record, limits
    raise FormatError("the settings of a thread (Jan's thread.json): what was said is in messages.jsonl beside it")


SHAPE = RecordShape("Jan's threads", _fits, _refuse, ("object",))
