"""Event files for TensorBoard, without torch and tensorflow.

The boundary to tensorboard, which has no types. Its import costs 16 MB, so this module is imported with the first run.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.record_writer import RecordWriter

from daemon.workers.monitor.metrics_lines import Histogram


def opening(at: float) -> bytes:
    """The first record of a file. Version 2 has readers obey `restart`."""
    return bytes(Event(wall_time=at, file_version="brain.Event:2").SerializeToString())


def scalars(at: float, step: int, values: Mapping[str, float]) -> bytes:
    """The values of one step, each under its tag."""
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
    return bytes(Event(wall_time=at, step=step, summary=summary).SerializeToString())


def histograms(at: float, step: int, values: Mapping[str, Histogram]) -> bytes:
    """How the values of one step are spread, each under its tag."""
    summary = Summary(value=[Summary.Value(tag=tag, histo=_histo(value)) for tag, value in values.items()])
    return bytes(Event(wall_time=at, step=step, summary=summary).SerializeToString())


def text(at: float, step: int, tag: str, markdown: str) -> bytes:
    """A text, shown as Markdown."""
    plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    tensor = TensorProto(dtype=DT_STRING, string_val=[markdown.encode()])
    summary = Summary(value=[Summary.Value(tag=tag, metadata=plugin, tensor=tensor)])
    return bytes(Event(wall_time=at, step=step, summary=summary).SerializeToString())


def _histo(value: Histogram) -> HistogramProto:
    """Each bin by its upper end, behind an empty one that says where the first begins."""
    number, width = sum(value.counts), (value.high - value.low) / len(value.counts)
    return HistogramProto(
        min=value.low,
        max=value.high,
        num=number,
        sum=number * value.mean,
        sum_squares=number * (value.deviation**2 + value.mean**2),
        bucket_limit=[value.low + width * edge for edge in range(len(value.counts) + 1)],
        bucket=[0, *value.counts],
    )


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
