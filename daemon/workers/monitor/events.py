"""Event files for TensorBoard, without torch and tensorflow.

The boundary to tensorboard, which has no types. Its import costs 16 MB, so this module is imported with the first run.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


def opening(at: float) -> bytes:
    """The first record of a file. Version 2 has readers obey `restart`."""
    return bytes(Event(wall_time=at, file_version="brain.Event:2").SerializeToString())


def scalars(at: float, step: int, values: Mapping[str, float]) -> bytes:
    """The values of one step, each under its tag."""
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
    return bytes(Event(wall_time=at, step=step, summary=summary).SerializeToString())


def restart(at: float) -> bytes:
    """Has readers forget every step before this record."""
    return bytes(Event(wall_time=at, step=0, session_log=SessionLog(status=SessionLog.START)).SerializeToString())


def append(file: Path, written: int, records: Sequence[bytes]) -> int:
    """Cut ``file`` to the ``written`` bytes known to be good, add ``records`` and return the new size."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as stream:
        stream.truncate(written)
        writer = RecordWriter(stream)
        for record in records:
            writer.write(record)
        writer.flush()
        return stream.tell()
