import numpy as np

from engine.data.samples import Dialogue, Labelled, Message, Text
from engine.data.tasks.posed import PosedTask
from engine.evaluation.likelihood import Likelihood
from engine.evaluation.results import Results, slices_of
from engine.evaluation.slice_figures import MOST_SLICES, slice_figures


def test_samples_are_sliced_by_kind_task_and_source() -> None:
    samples = [
        Dialogue(messages=(Message("user", "Who?"), Message("assistant", "A fox."))),
        Text(text="A fox was seen."),
        PosedTask((Message("user", "A fox?"), Message("assistant", "animal")), Labelled("A fox?", "animal", "topic")),
    ]
    sources = {samples[0].identity: "inbox/chats/one.jsonl:7", samples[1].identity: "inbox/corpus/book.txt"}
    found = {by: names_C.tolist() for by, names_C in slices_of(samples, sources).items()}
    assert found == {
        "kind": ["chat", "text", "labelled"],
        "task": ["", "", "topic"],
        "source": ["inbox/chats/one.jsonl", "inbox/corpus/book.txt", ""],
    }


def test_only_the_largest_slices_are_shown() -> None:
    sources = np.array([f"file {number}" for number in range(MOST_SLICES + 5)] + ["file 3"])
    ones = np.ones(len(sources))
    found = slice_figures(Results(Likelihood(ones, ones, ones), {"source": sources}))["source"]
    assert len(found) == MOST_SLICES
    assert found["file 3"].samples == 2
    assert found["file 3"].incumbent == {}
