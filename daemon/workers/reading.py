"""How files are read, as the settings say it."""

from collections.abc import Mapping
from typing import TypeVar

from daemon.settings.data import DataSettings
from engine.data.records.limits import Limits
from engine.data.records.names.settings import Field, Names, Part, key
from engine.data.samples import Role
from engine.data.tasks.task import Task

_Meaning = TypeVar("_Meaning", bound=str)


def limits_of(settings: DataSettings, tasks: Mapping[str, Task] | None = None) -> Limits:
    """The limits of records, what the names in them mean, and the tasks that labelled rows can be of."""
    people, columns, words = settings.speakers, settings.columns, settings.roles
    speakers: dict[Part, tuple[str, ...]] = {
        "assistant": people.assistant,
        "user": people.user,
        "ignored": people.ignored,
    }
    fields: dict[Field, tuple[str, ...]] = {
        "user": columns.user,
        "assistant": columns.assistant,
        "system": columns.system,
        "role": columns.role,
        "content": columns.content,
        "conversation": columns.conversation,
        "time": columns.time,
    }
    roles: dict[Role, tuple[str, ...]] = {
        "system": words.system,
        "user": words.user,
        "assistant": words.assistant,
        "tool": words.tool,
    }
    names = Names(_by_key(speakers), _by_key(fields), _by_key(roles), people.pause_hours * 3600)
    return Limits(record_bytes=settings.max_record_megabytes << 20, names=names, tasks=dict(tasks or {}))


def _by_key(lists: Mapping[_Meaning, tuple[str, ...]]) -> dict[str, _Meaning]:
    return {key(name): meaning for meaning, names in lists.items() for name in names}
