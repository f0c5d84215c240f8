"""What was uploaded where, and whether it was read back: one file for each run, which the supervisor writes."""

import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from control.paths import Paths
from daemon.settings.retention import UploadSettings
from engine import disk


class Upload(BaseModel):
    """One place that a run was uploaded to.

    Attributes:
        at: when it was complete.
        verified: the sums were read back from there.
        address: where a person finds it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: str
    verified: bool
    address: str


class UploadRecord(BaseModel):
    """The places of a run.

    Attributes:
        sums: SHA-256 of every file, by its path inside the artifacts.
        places: by their names in ``uploads.to``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    run: str
    sums: dict[str, str]
    places: dict[str, Upload]


def file_of(paths: Paths, run: str) -> Path:
    """Where the record of a run is."""
    return paths.state / "uploads" / f"{run}.json"


def read(paths: Paths, run: str) -> UploadRecord | None:
    """The record of a run; null if there is none that can be read, and it is then uploaded again."""
    try:
        return UploadRecord.model_validate_json(file_of(paths, run).read_bytes())
    except (OSError, ValidationError):
        return None


def write(paths: Paths, record: UploadRecord) -> None:
    """Write the record of a run.

    Raises:
        OSError: the disk refused.
    """
    file_of(paths, record.run).parent.mkdir(mode=0o750, exist_ok=True)
    disk.write(file_of(paths, record.run), record.model_dump_json(indent=2))


def uploaded(paths: Paths, settings: UploadSettings) -> dict[str, tuple[str, float]]:
    """Runs that are in all places of the settings, verified where these want that: where, and since when. Blocking."""
    found: dict[str, tuple[str, float]] = {}
    folder = paths.state / "uploads"
    for file in folder.glob("*.json") if settings.to else ():
        record = read(paths, file.stem)
        if record is not None and not missing(record, settings):
            times = [datetime.datetime.fromisoformat(record.places[place].at).timestamp() for place in settings.to]
            found[record.run] = ", ".join(record.places[place].address for place in settings.to), max(times)
    return found


def missing(record: UploadRecord | None, settings: UploadSettings) -> list[str]:
    """The places of the settings that a run is not in yet, or not verified."""
    places = record.places if record else {}
    return [place for place in settings.to if place not in places or (settings.verify and not places[place].verified)]
