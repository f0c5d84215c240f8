"""Axolotl's ``input_output``: a text in segments, of which those with a label are learned.

Source: https://docs.axolotl.ai/docs/dataset-formats/template_free.html (``{"segments": [{"label", "text"}]}``). It is
read where the text is in the template of a model, or where what is not learned and what is learned take turns.
"""

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, records, string
from engine.data.records.written.templates import is_written_out, turns_in, without_edges
from engine.data.samples import Dialogue


def _fits(record: Record) -> bool:
    segments = records(record.get("segments"))
    return bool(segments) and all("label" in each and "text" in each for each in segments)


def _parse(record: Record, limits: Limits) -> Dialogue:
    segments = [(bool(each["label"]), string(each["text"])) for each in records(record["segments"])]
    labels = [is_learned for is_learned, _ in segments]
    whole = "".join(text for _, text in segments)
    if labels != [bool(number % 2) for number in range(len(labels))]:
        raise FormatError("segments must alternate between context and answer, context first: these do not")
    if is_written_out(whole):
        return dialogue_of(turns_in(whole) or [], limits)
    turns = [Turn("assistant" if is_learned else "user", without_edges(text)) for is_learned, text in segments]
    return dialogue_of(turns, limits)


SHAPE = RecordShape("axolotl's {segments: [{label, text}]}", _fits, _parse, ("segments",))
