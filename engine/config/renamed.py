"""Settings that were renamed. Their old names keep working for one version; whoever reads them says so.

The table is the only place that knows old names: the loader, requests, recorded runs and versions all ask it.
"""

from collections.abc import Mapping

from pydantic import JsonValue

RENAMED: dict[str, str] = {
    "training.accumulation": "training.gradient_accumulation",
    "training.average": "training.ema_decay",
    "training.clip": "training.max_grad_norm",
    "training.length": "training.sequence_length",
    "training.look_every": "training.inspect_every",
    "training.recompute": "training.activation_checkpointing",
    "evaluation.length": "evaluation.sequence_length",
    "gate.draws": "gate.bootstrap_resamples",
}
"""Old dotted key to new dotted key; both are in the same table."""


def with_new_names(table: str, values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The keys of one table of settings under their new names; other keys stay as they are.

    Raises:
        ValueError: a setting is given under both its names.
    """
    found: dict[str, JsonValue] = {}
    for key, value in values.items():
        new = RENAMED.get(f"{table}.{key}", f"{table}.{key}").removeprefix(f"{table}.")
        if new != key and new in values:
            raise ValueError(f"{key} is the old name of {new}, and both are set: remove {key}")
        found[new] = value
    return found


def tables_with_new_names(tables: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """All settings as an older version recorded them, under their new names."""
    return {name: with_new_names(name, table) if isinstance(table, dict) else table for name, table in tables.items()}


def warning(old: str) -> str:
    """What to tell whoever uses an old key."""
    return f"{old} was renamed to {RENAMED[old]}; the old name will stop working in the next version"
