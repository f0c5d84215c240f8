"""Writes the JSON Schema of every event: ``python -m daemon.supervisor.integrations.schemas docs/events``.

``make docs`` runs it.
"""

import json
import sys
from pathlib import Path

from pydantic import JsonValue

from daemon.supervisor.integrations.trainer_events import EVENTS, TrainerEvent, type_of


def schemas() -> dict[str, str]:
    """The text of each file by its name."""
    return {f"{type_of(event)}.json": json.dumps(_schema(event), indent=2) + "\n" for event in EVENTS}


def _schema(event: type[TrainerEvent]) -> dict[str, JsonValue]:
    """Only what may be unknown is left out of an event; a default is always written out."""
    always = [name for name, field in event.model_fields.items() if field.is_required() or field.default is not None]
    schema = event.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "required": [*always]}


def main() -> None:
    """Write them into the folder that is named."""
    for name, text in schemas().items():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
