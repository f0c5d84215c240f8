"""The time of day, and the ways it is written: always in UTC, as ISO 8601 has it."""

import datetime
from typing import Literal


def time_of_day() -> datetime.datetime:
    """This moment, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def utc_now() -> str:
    """This moment to the millisecond, ending in ``Z``: in ``thord.db``, the control API and the log."""
    return time_of_day().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_now_with_offset(timespec: Literal["seconds", "milliseconds"]) -> str:
    """This moment ending in ``+00:00``: in the ledger, in verdicts and in the monitor's figures."""
    return time_of_day().isoformat(timespec=timespec)


def moment(at: datetime.datetime | None) -> str | None:
    """A time to the second, ending in ``Z``, as clients of the control API read it."""
    return None if at is None else at.astimezone(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def epoch(written: str) -> int:
    """Seconds since 1970 of a time that was written in one of these ways.

    Raises:
        ValueError: it was not.
    """
    return int(datetime.datetime.fromisoformat(written).timestamp())
