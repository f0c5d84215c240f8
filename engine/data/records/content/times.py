"""When something was said: times in all the ways in which people and programs write them."""

import datetime
import re

from pydantic import JsonValue

from engine.data.records.values import Record

_DATE = re.compile(
    r"(\d{1,2})([/.])(\d{1,2})[/.](\d{4}),?[ T](\d{1,2}):(\d\d)(?::(\d\d))?(?:[ \u202f]?([AaPp])\.?[Mm]\.?)?$"
)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d(?:\.\d{1,6})?))?(?:[ \u202f]?([AaPp])\.?[Mm]\.?)?$")
_SPELLED = re.compile(
    r"(?:[A-Z][a-z]{2,8}, )?([A-Z][a-z]{2})[a-z]{0,6} (\d{1,2}), (\d{4}),?(?: at)?"
    r" (\d{1,2}:\d\d(?::\d\d)?(?:[ \u202f]?[AaPp][Mm])?)"
)
_DIGITS = re.compile(r"\d{1,20}(?:\.\d{1,9})?")
_MAILED = re.compile(r"(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d")
_MILLISECONDS = 1e11
"""Numbers from here on count milliseconds, microseconds or nanoseconds since 1970: in seconds it is the year 5138."""


def seconds_of(value: JsonValue) -> float | None:
    """A time in seconds since 1970: from a number, also as a string, from ISO 8601, or as people and mail write it."""
    if isinstance(value, dict):
        return _of_database(value)
    if isinstance(value, str):
        if _DIGITS.fullmatch(value):
            return seconds_of(float(value))
        if clock := _CLOCK.match(value):
            return _of_day(clock)
        return _iso_seconds(value) if value[:4].isdigit() else _dated(value) or _mailed(value) or _spelled(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    while abs(seconds) >= _MILLISECONDS and seconds != float("inf"):
        seconds /= 1000
    return seconds if seconds == seconds else None


def _of_database(value: Record) -> float | None:
    """A time as MongoDB (``{"$date": ...}``) and Firestore (``{"_seconds": ...}``) export it."""
    held = next((value[key] for key in ("$date", "$numberLong", "_seconds", "seconds") if key in value), None)
    return None if held is value else seconds_of(held)


def is_clock(value: JsonValue) -> bool:
    """Whether this is a time of day, without the day."""
    return isinstance(value, str) and _CLOCK.match(value) is not None


def _of_day(clock: re.Match[str]) -> float:
    """A time of day, in seconds since midnight."""
    hour, minute, second, half = clock.groups()
    hours = int(hour) % 12 + 12 * (half in "Pp") if half else int(hour)
    return hours * 3600.0 + int(minute) * 60 + float(second or 0)


def _dated(text: str) -> float | None:
    """A date of the day or the month first; in the order of messages of one day it does not matter which."""
    if not (match := _DATE.match(text)):
        return None
    first, mark, second, year, hour, minute, second_of_minute, half = match.groups()
    day, month = (first, second) if mark == "." or int(first) > 12 else (second, first)
    hours = int(hour) % 12 + 12 * (half in "Pp") if half else int(hour)
    try:
        moment = datetime.datetime(
            int(year), int(month), int(day), hours, int(minute), int(second_of_minute or 0), tzinfo=datetime.UTC
        )
        return moment.timestamp()
    except ValueError:
        return None


def _spelled(text: str) -> float | None:
    """A date as people write it in English: ``Jan 5, 2025, 10:01:00 AM``."""
    if not (match := _SPELLED.match(text)):
        return None
    month, day, year, clock = match.groups()
    found = _CLOCK.match(clock)
    try:
        moment = datetime.datetime.strptime(f"{month} {day} {year}", "%b %d %Y").replace(tzinfo=datetime.UTC)
        return moment.timestamp() + (_of_day(found) if found else 0)
    except ValueError:
        return None


def _mailed(text: str) -> float | None:
    """A date as mail and HTTP write it: ``Mon, 17 Mar 2025 10:00:00 GMT``."""
    if not _MAILED.match(text):
        return None
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _iso_seconds(text: str) -> float | None:
    try:
        moment = datetime.datetime.fromisoformat(text.replace("/", "-").removesuffix(" UTC"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
