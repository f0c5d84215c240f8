"""What a reload can change while thord runs, and what needs a restart. The table is in view."""

from dataclasses import dataclass

from pydantic import JsonValue

from daemon.settings.sections import Tables
from engine.config.tasks import what_changes

NEEDS_RESTART: dict[str, str] = {
    "profile": "thorctl restart",
    "paths.artifacts": "thorctl restart",
    "paths.runs": "thorctl restart",
    "paths.logs": "thorctl restart",
    "model": "a new home: a trained model keeps its shape",
    "tokenizer": "a new home: the tokenizer is fixed with the first version",
    "api.host": "thorctl restart",
    "api.port": "thorctl restart",
    "api.allow_origins": "thorctl restart server",
    "inference.device": "thorctl restart server",
    "inference.precision": "thorctl restart server",
    "inference.quantization": "thorctl restart server",
    "inference.max_batch": "thorctl restart server",
    "inference.memory_megabytes": "thorctl restart server",
    "inference.threads": "thorctl restart server",
    "integrations.redis": "thorctl restart",
    "integrations.webhooks": "thorctl restart",
    "supervision.heartbeat_timeout_seconds": "thorctl restart",
    "supervision.log_level": "thorctl restart",
    "supervision.log_megabytes": "thorctl restart",
    "supervision.log_copies": "thorctl restart",
}
"""Key, or table, to what applies a change of it. Everything else applies at once, or with the next cycle."""


@dataclass(frozen=True)
class Changes:
    """Dotted keys that differ between two sets of settings.

    Attributes:
        needs_restart: for each that does not apply at once, what applies it.
        warnings: what is wrong with files that the settings name.
        notes: what becomes of the rows and labels of tasks.
    """

    applied: tuple[str, ...]
    needs_restart: dict[str, str]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def changes(old: Tables, new: Tables) -> Changes:
    """Compare two sets of settings."""
    before, after = flatten(old), flatten(new)
    differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    restart = {key: remedy for key in differing if (remedy := _remedy(key))}
    applied = tuple(key for key in differing if key not in restart)
    return Changes(applied, restart, notes=what_changes(old.all_tasks, new.all_tasks))


def flatten(tables: Tables) -> dict[str, JsonValue]:
    """Every setting by its dotted key."""
    flat: dict[str, JsonValue] = {}

    def descend(table: dict[str, JsonValue], at: str) -> None:
        for key, value in table.items():
            if isinstance(value, dict):
                descend(value, f"{at}{key}.")
            else:
                flat[at + key] = value

    descend(tables.model_dump(mode="json"), "")
    return flat


def _remedy(key: str) -> str | None:
    parts = key.split(".")
    for end in range(len(parts), 0, -1):
        if remedy := NEEDS_RESTART.get(".".join(parts[:end])):
            return remedy
    return None
