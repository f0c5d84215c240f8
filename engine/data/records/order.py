"""In which order messages were said, and which of them count: times, branches, and what was deleted or hidden.

Messages that name their parents are a tree where all children of one speak in the same role: whoever regenerates an
answer or rewrites a question begins another branch. The conversation is the branch with the best ranks, or else the one
that holds the newest message. Where times run backwards, they decide the order.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from engine.data.records.content.marks import is_left, is_set
from engine.data.records.content.times import is_clock, seconds_of
from engine.data.records.dialogue import Turn
from engine.data.records.values import Record

_TIMES = (
    *("created_at", "createdAt", "create_time", "createdOn", "created_date", "timestamp", "timestamp_ms"),
    *("datetime_utc", "datetime", "date", "time", "ts", "sent_at", "send_date", "sentAt", "created", "createTime"),
    *("inserted_at", "message_time", "message_date", "posted_at", "date_created", "event_time", "logged_at"),
)
_NAMES = ("message_id", "messageId", "id", "uuid", "request_id", "requestId")
_PARENTS = ("parent_id", "parentId", "parent_message_id", "parentMessageId", "parent_message_uuid", "parent")
_PLACES = (
    *("turn", "turn_id", "turn_index", "turn_idx", "turn_number", "message_index", "position", "sequence", "seq"),
    *("order", "index", "step"),
)
"""Where messages count themselves, for those that have no time."""
_REGENERATED = ("regenerated", "is_regenerated", "isRegenerated", "is_regeneration", "regeneration", "retried")
_HAS_TIME, _HAS_PLACE = frozenset(_TIMES), frozenset(_PLACES)
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Row:
    """A message with what tells its place.

    Attributes:
        turns: none where it is a header, or the program's own.
        time: when it was said, in seconds; none where it does not say.
        name: its id; empty where it has none.
        parent: the id of the message that it answers; empty where it does not say.
        rank: how good people found it beside its siblings, from 0 on; none where nobody judged.
        begins: whether a conversation begins with it.
        is_counted: whether the time is the number of the message in its conversation.
        is_regenerated: whether this answer was given anew, or another one was given in its place.
        is_of_day: whether the time is one of a day that is not named.
        follows: the name of the line of a session that it was written behind; empty where it does not say.
        sums_up: whether it sums up for the model what was said before, in its stead.
    """

    turns: tuple[Turn, ...]
    time: float | None = None
    name: str = ""
    parent: str = ""
    rank: int | None = None
    begins: bool = False
    is_counted: bool = False
    is_regenerated: bool = False
    is_of_day: bool = False
    follows: str = ""
    sums_up: bool = False


def without_weight(row: Row) -> Row:
    """The same, of which no answer is learned."""
    turns = (turn._replace(weight=0) if turn.role == "assistant" else turn for turn in row.turns)
    return replace(row, turns=tuple(turns))


def placed(record: Record, turns: Sequence[Turn]) -> Row:
    """A message that says these turns, with what its record tells of its place; without turns where it was deleted."""
    if len(record) <= 2:  # no more than who and what
        return Row(tuple(turns))
    rank = record.get("rank")
    return Row(
        () if is_left(record) else tuple(turns),
        _time_of(record),
        next((name for key in _NAMES if (name := _id(record.get(key)))), ""),
        _parent_of(record),
        rank if isinstance(rank, int) and not isinstance(rank, bool) else None,
        is_counted=_HAS_TIME.isdisjoint(record) and not _HAS_PLACE.isdisjoint(record),
        is_regenerated=any(is_set(record[mark]) for mark in _REGENERATED if mark in record),
        is_of_day=not _HAS_TIME.isdisjoint(record) and any(is_clock(record[key]) for key in _TIMES if key in record),
    )


def _id(value: JsonValue) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _parent_of(record: Record) -> str:
    ancestors = record.get("ancestors")  # of HuggingChat, from the root on
    if isinstance(ancestors, list) and ancestors:
        return _id(ancestors[-1])
    return next((name for key in _PARENTS if (name := _id(record.get(key)))), "")


def _time_of(record: Record) -> float | None:
    for key in _TIMES if not _HAS_TIME.isdisjoint(record) else ():
        if (time := seconds_of(record.get(key))) is not None:
            return time
    if _HAS_PLACE.isdisjoint(record):
        return None
    places = (_counted(record.get(key)) for key in _PLACES)
    return next((place for place in places if place is not None), None)


def _counted(value: JsonValue) -> float | None:
    if isinstance(value, str):
        return float(value) if value.isdecimal() and len(value) < 10 else None
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else None


def in_order(rows: Sequence[Row]) -> list[Row]:
    """The rows that make the conversation, as they were said."""
    return _newest_answers(branch(_by_time(without_copies([row for row in rows if row.turns]))))


def without_copies(rows: Sequence[Row]) -> list[Row]:
    """The rows without those that say the same under the same id, at the same time: exports overlap."""
    names = [row.name for row in rows if row.name]
    if len(set(names)) == len(names):
        return [*rows]
    seen: set[str] = set()
    found: list[Row] = []
    for row in rows:
        mark = repr((row.name, row.parent, row.time, row.turns)) if row.name and not row.is_counted else ""
        if not mark or mark not in seen:
            found.append(row)
        seen.add(mark)
    return found


def _newest_answers(rows: list[Row]) -> list[Row]:
    """The rows without an answer behind which stands another one, where either is marked as regenerated."""
    replaced = [
        (one.is_regenerated or other.is_regenerated) and all(row.turns[-1].role == "assistant" for row in (one, other))
        for one, other in itertools.pairwise(rows)
    ]
    return [row for row, is_replaced in zip(rows, [*replaced, False], strict=False) if not is_replaced]


def _by_time(rows: list[Row]) -> list[Row]:
    """By time, where all rows have one and it runs backwards anywhere.

    Times of day without a date may run past midnight, and into other days: they tell only that a list is turned round.
    Of a list that is newest first the end may be cut off: the answers before its oldest question are context only.
    """
    times = [row.time for row in rows if row.time is not None]
    if not times and _begins_with_answer(rows) and _count_down([row.name for row in rows]):
        return _turned(rows)
    if len(times) < len(rows) or all(one <= other for one, other in itertools.pairwise(times)):
        return rows
    is_newest_first = all(one >= other for one, other in itertools.pairwise(times))
    if any(row.is_of_day for row in rows):
        is_turned = is_newest_first and times[0] - times[-1] < _DAY / 2 and _begins_with_answer(rows)
        return _turned(rows) if is_turned else rows
    if is_newest_first:
        return _turned(rows)
    return sorted(rows, key=lambda row: row.time or 0.0)


def _begins_with_answer(rows: Sequence[Row]) -> bool:
    """Whether an answer comes first and a question stands behind it, as in a list that is newest first."""
    return bool(rows) and rows[0].turns[0].role == "assistant" and any(row.turns[-1].role == "user" for row in rows)


def _turned(rows: list[Row]) -> list[Row]:
    """A list that is newest first, turned round."""
    said = rows[::-1]
    asked = next((at for at, row in enumerate(said) if any(turn.role == "user" for turn in row.turns)), 0)
    return [*map(without_weight, said[:asked]), *said[asked:]]


def _count_down(names: Sequence[str]) -> bool:
    """Whether ids are numbers, each smaller than the one before."""
    if not all(name.isdecimal() and len(name) < 20 for name in names):
        return False
    return all(int(one) > int(other) for one, other in itertools.pairwise(names))


def forks(rows: Sequence[Row]) -> list[list[int]]:
    """Which rows, by their number, are alternatives to each other; none where the rows are not a tree."""
    children: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        if row.parent and row.name:
            children.setdefault(row.parent, []).append(number)
    found = [siblings for siblings in children.values() if len(siblings) > 1]
    is_tree = all(len({rows[number].turns[0].role for number in siblings}) == 1 for siblings in found)
    return found if is_tree else []


def branch(rows: list[Row]) -> list[Row]:
    """The rows without the branches that were left."""
    if not (found := forks(rows)):
        return rows
    newest = _newest_below(rows)
    left = {
        rows[number].name
        for siblings in found
        for number in siblings
        if number != min(siblings, key=lambda each: (_rank(rows[each]), -newest[each]))
    }
    children: dict[str, list[str]] = {}
    for row in rows:
        children.setdefault(row.parent, []).append(row.name)
    waiting = list(left)
    while waiting:
        below = [name for name in children.get(waiting.pop(), ()) if name and name not in left]
        left.update(below)
        waiting += below
    return [row for row in rows if not row.name or row.name not in left]


def _rank(row: Row) -> float:
    return float("inf") if row.rank is None else row.rank


def _newest_below(rows: Sequence[Row]) -> list[int]:
    """For each row the last one that descends from it, or itself."""
    numbers = {row.name: number for number, row in enumerate(rows) if row.name}
    newest = [-1] * len(rows)
    for last in reversed(range(len(rows))):
        number: int | None = last
        while number is not None and newest[number] < 0:
            newest[number] = last
            number = numbers.get(rows[number].parent) if rows[number].parent else None
    return newest
