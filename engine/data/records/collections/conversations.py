"""Rows that belong together become a conversation; rows of several conversations are told apart by their ids."""

from collections.abc import Sequence

from engine.data.records import order, rows
from engine.data.records.collections.askers import Askers
from engine.data.records.dialogue import Turn, dialogue_of, messages_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.order import Row
from engine.data.records.sessions import branches, silly_tavern
from engine.data.records.shape import Parsed
from engine.data.records.values import Record
from engine.data.samples import Answer, Preference, Sample


def samples_of(gathered: Sequence[Row], limits: Limits, opening: Sequence[Turn] = ()) -> list[Sample]:
    """The dialogue that these rows are behind its ``opening``, and what people preferred where they ranked answers.

    Raises:
        FormatError: nobody answers in it.
    """
    said = order.in_order(branches.without_left(gathered))
    preferences = _preferences(gathered, limits) if any(row.rank is not None for row in said) else []
    turns = [*opening, *(turn for row in said for turn in _without_repeated(row, said[0]))]
    while preferences and turns and turns[-1].role != "assistant":
        turns.pop()  # of a tree with ranks the last prompt waits for answers
    return [dialogue_of(turns, limits), *preferences]


def parts_of(conversation: str, gathered: list[Row]) -> list[tuple[str, list[Row]]]:
    """The rows with what names them: without a name, their ids where several share one."""
    gathered = order.without_copies(gathered)
    if conversation:
        return [(conversation, gathered)]
    names = [row.name for row in gathered if row.name and row.turns]
    if len(set(names)) == len(names):
        return [("", gathered)]
    found: dict[str, list[Row]] = {}
    for row in gathered:
        found.setdefault(row.name, []).append(row)
    return list(found.items())


def _without_repeated(row: Row, first: Row) -> Sequence[Turn]:
    """The turns of a row without the instructions of the first row, which logs repeat with each exchange."""
    is_repeated = row is not first and len(row.turns) > 1 and row.turns[0].role == "system"
    return row.turns[1:] if is_repeated and row.turns[0] == first.turns[0] else row.turns


def _preferences(gathered: Sequence[Row], limits: Limits) -> list[Preference]:
    """The ranked answers to each question of the best branch."""
    listed = [row for row in gathered if row.turns]
    best = order.in_order(listed)
    found = []
    for siblings in order.forks(listed):
        ranked = sorted((listed[at] for at in siblings if listed[at].rank is not None), key=lambda row: row.rank or 0)
        chosen = next((number for number, row in enumerate(best) if row in ranked), None)
        if chosen is None or len(ranked) < 2 or ranked[0].turns[0].role != "assistant":
            continue
        prompt = messages_of([turn for row in best[:chosen] for turn in row.turns], limits)
        answers = (Answer(messages_of(row.turns, limits), rank=(row.rank or 0) + 1) for row in ranked)
        found.append(Preference(prompt, tuple(answers)))
    return found


def conversations_in(records: Sequence[Record], limits: Limits, opening: Sequence[Turn] = ()) -> list[Parsed]:
    """The conversations of a list of rows, each behind the same ``opening``.

    A row that cannot be read costs its conversation the rest of its turns.
    """
    gathered: dict[tuple[str, int], list[Row]] = {}
    problems: dict[tuple[str, int], FormatError] = {}
    begun = 0
    askers = Askers()
    for number, record in enumerate(records, 1):
        begun += silly_tavern.is_header(record)
        named = rows.conversation_of(record)
        try:
            row = rows.row_of(record, 1 + len(gathered.get((named, begun), ())))
            name = askers.conversation_of(named, row.turns), begun
            so_far = gathered.setdefault(name, [])
            if name not in problems:
                so_far.append(row)
        except FormatError as error:
            name = named, begun
            gathered.setdefault(name, [])
            problems.setdefault(
                name, FormatError(f"row {number}: {error}; from here on the turns of this conversation are left out")
            )
    found: list[Parsed] = []
    for name, each in gathered.items():
        if any(row.turns for row in each) or name not in problems:
            found += [one for part in parts_of(name[0], each) for one in _samples(*part, limits, opening)]
        found += [problems[name]] if name in problems else []
    return found


def _samples(name: str, gathered: list[Row], limits: Limits, opening: Sequence[Turn]) -> Sequence[Parsed]:
    try:
        rows.check_is_asked(name, gathered)
        return samples_of(gathered, limits, opening)
    except FormatError as error:
        return [error]
