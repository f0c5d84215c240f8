"""Event files are read back with TensorBoard's own reader."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from daemon.workers.monitor import runs

AT = "2026-01-02T03:04:05.678+00:00"
Scalars = dict[str, list[tuple[int, float]]]


def scalars(folder: Path) -> Scalars:
    """What TensorBoard shows: for each tag, steps and values."""
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


def line(step: int, **values: object) -> str:
    return json.dumps({"at": AT, "step": step, **values}) + "\n"


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    file = tmp_path / "runs" / "000007" / "metrics.jsonl"
    file.parent.mkdir(parents=True)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tensorboard" / "000007"


def test_tensorboard_reads_what_the_trainer_wrote(metrics: Path, folder: Path) -> None:
    metrics.write_text(
        line(0, validation_loss=4.5)
        + line(1, loss=4.25, learning_rate=0.5, gradient_norm=2.0, tokens=512, tokens_per_second=100.0)
        + line(10, loss=3.5, learning_rate=0.25, gradient_norm=1.0, tokens=5120, tokens_per_second=125.0)
        + line(10, validation_loss=3.75)
    )
    summary = runs.follow(metrics, folder)
    assert scalars(folder) == {
        "train/loss": [(1, 4.25), (10, 3.5)],
        "train/learning_rate": [(1, 0.5), (10, 0.25)],
        "train/gradient_norm": [(1, 2.0), (10, 1.0)],
        "train/tokens": [(1, 512.0), (10, 5120.0)],
        "train/tokens_per_second": [(1, 100.0), (10, 125.0)],
        "validation/loss": [(0, 4.5), (10, 3.75)],
    }
    assert summary.step == 10
    assert summary.best_validation_loss == 3.75
    assert summary.latest == {
        "loss": 3.5,
        "learning_rate": 0.25,
        "gradient_norm": 1.0,
        "tokens": 5120,
        "tokens_per_second": 125.0,
        "validation_loss": 3.75,
    }


def test_events_carry_the_time_of_their_line(metrics: Path, folder: Path) -> None:
    metrics.write_text(line(1, loss=1.0))
    runs.follow(metrics, folder)
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    assert accumulator.Scalars("train/loss")[0].wall_time == pytest.approx(1767323045.678)


def test_the_best_validation_loss_is_not_the_last(metrics: Path, folder: Path) -> None:
    metrics.write_text(line(1, validation_loss=2.0) + line(2, validation_loss=1.5) + line(3, validation_loss=1.75))
    assert runs.follow(metrics, folder).best_validation_loss == 1.5


def test_a_line_that_is_being_written_waits_for_its_end(metrics: Path, folder: Path) -> None:
    whole = line(1, loss=1.0) + line(2, loss=2.0)
    metrics.write_text(whole[:-5])
    assert runs.follow(metrics, folder).step == 1
    metrics.write_text(whole)
    assert runs.follow(metrics, folder).step == 2
    assert scalars(folder)["train/loss"] == [(1, 1.0), (2, 2.0)]


def test_what_is_no_figure_is_left_out(metrics: Path, folder: Path) -> None:
    metrics.write_text(
        "not json\n[1]\n{}\n\n"
        + line(3, loss=math.nan, spike=math.inf, text="x", flag=True, good=0.5)
        + '{"step": "4"}\n'
        + "[" * 100_000
        + "\n"
        + line(5, good=0.25)
    )
    assert runs.follow(metrics, folder).step == 5
    assert scalars(folder) == {"train/good": [(3, 0.5), (5, 0.25)]}


def test_nothing_new_writes_nothing(metrics: Path, folder: Path) -> None:
    metrics.write_text(line(1, loss=1.0))
    runs.follow(metrics, folder)
    before = {file.name: (file.stat().st_size, file.stat().st_mtime_ns) for file in folder.iterdir()}
    runs.follow(metrics, folder)
    assert {file.name: (file.stat().st_size, file.stat().st_mtime_ns) for file in folder.iterdir()} == before


@pytest.mark.parametrize("lost", [".position.json", "events*"])
def test_whichever_file_is_lost_everything_is_there_again(metrics: Path, folder: Path, lost: str) -> None:
    metrics.write_text(line(1, loss=1.0) + line(2, loss=2.0))
    first = runs.follow(metrics, folder)
    for file in folder.glob(lost):
        file.unlink()
    assert runs.follow(metrics, folder) == first
    assert scalars(folder) == {"train/loss": [(1, 1.0), (2, 2.0)]}


def test_a_resumed_run_shows_each_step_as_it_was_in_the_end(metrics: Path, folder: Path) -> None:
    metrics.write_text("".join(line(step, loss=float(step)) for step in range(10)))
    runs.follow(metrics, folder)
    metrics.write_text(
        "".join(line(step, loss=float(step)) for step in range(6))
        + "".join(line(step, loss=step + 0.5) for step in range(6, 9))
    )
    summary = runs.follow(metrics, folder)
    assert scalars(folder)["train/loss"] == [(s, float(s)) for s in range(6)] + [(6, 6.5), (7, 7.5), (8, 8.5)]
    assert (summary.step, summary.latest["loss"]) == (8, 8.5)


def test_a_run_that_grew_past_the_cut_unseen_is_noticed(metrics: Path, folder: Path) -> None:
    metrics.write_text("".join(line(step, loss=1.0) for step in range(10)))
    runs.follow(metrics, folder)
    metrics.write_text("".join(line(step, loss=1.0 if step < 5 else 2.0) for step in range(30)))
    runs.follow(metrics, folder)
    assert scalars(folder)["train/loss"] == [(step, 1.0 if step < 5 else 2.0) for step in range(30)]


def test_histograms_and_examples_are_shown_as_they_were(metrics: Path, folder: Path) -> None:
    """The spread that the trainer wrote is the one that numpy finds, and the text is a table of its cells."""
    values = np.random.default_rng(3).normal(0.5, 2.0, 5000)
    counts, edges = np.histogram(values, bins=30)
    spread = {
        "low": edges[0], "high": edges[-1], "counts": counts.tolist(), "mean": values.mean(), "deviation": values.std()
    }  # fmt: skip
    example = {"before": "a | b", "expected": "<b>yes</b>\n", "predicted": "no"}
    metrics.write_text(line(3, histograms={"weights/layer": spread}, examples=[example]) + line(3, loss=1.0))
    assert runs.follow(metrics, folder).latest == {"loss": 1.0}
    accumulator = EventAccumulator(str(folder), size_guidance={"histograms": 0, "tensors": 0})
    accumulator.Reload()
    [event] = accumulator.Histograms("weights/layer")
    shown = event.histogram_value
    assert (event.step, shown.num) == (3, 5000)
    assert list(shown.bucket) == [0, *counts]
    assert list(shown.bucket_limit) == pytest.approx(edges)
    assert (shown.sum, shown.sum_squares) == pytest.approx((values.sum(), np.square(values).sum()))
    [event] = accumulator.Tensors("examples")
    [table] = make_ndarray(event.tensor_proto).reshape(-1)
    assert table.decode().splitlines()[2] == "| a &#124; b | &lt;b&gt;yes&lt;/b&gt; | no |"
    assert accumulator.summary_metadata["examples"].plugin_data.plugin_name == "text"


def test_a_histogram_that_is_none_is_left_out(metrics: Path, folder: Path) -> None:
    metrics.write_text(line(1, histograms={"weights/layer": {"low": 0.0}}) + line(2, loss=1.0))
    assert runs.follow(metrics, folder).step == 2


def test_what_a_killed_monitor_wrote_is_gone_when_the_run_goes_on_from_before_it(metrics: Path, folder: Path) -> None:
    metrics.write_text(line(1, loss=1.0))
    runs.follow(metrics, folder)
    position = (folder / runs.POSITION).read_bytes()
    metrics.write_text(line(1, loss=1.0) + line(2, loss=2.0))
    runs.follow(metrics, folder)
    (folder / runs.POSITION).write_bytes(position)  # killed before it was kept
    metrics.write_text(line(1, loss=1.0))  # and the trainer resumed from a checkpoint after step 1
    runs.follow(metrics, folder)
    assert scalars(folder)["train/loss"] == [(1, 1.0)]


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("train"), st.integers(1, 8)),
        st.tuples(st.just("resume"), st.integers(0, 20)),
        st.tuples(st.just("follow"), st.just(0)),
        st.tuples(st.just("follow, killed before the position was kept"), st.just(0)),
        st.tuples(st.just("half a line"), st.integers(1, 10)),
    ),
    max_size=12,
)


@given(OPERATIONS)
@settings(max_examples=25, deadline=None)
def test_whatever_is_killed_and_resumed_every_line_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]]
) -> None:
    home = tmp_path_factory.mktemp("run")
    metrics, folder = home / "metrics.jsonl", home / "events"
    position = folder / runs.POSITION
    metrics.touch()
    lines: list[tuple[int, float]] = []
    value = 0.0

    def write(tail: str = "") -> None:
        metrics.write_text("".join(line(step, loss=loss) for step, loss in lines) + tail)

    for operation, amount in operations:
        match operation:
            case "train":
                for _ in range(amount):
                    value += 1.0
                    lines.append((lines[-1][0] + 1 if lines else 1, value))
                write()
            case "resume":
                lines = [entry for entry in lines if entry[0] <= amount]
                write()
            case "half a line":
                write(line(99, loss=-1.0)[:amount])
            case "follow":
                runs.follow(metrics, folder)
            case _:
                before = position.read_bytes() if position.exists() else None
                runs.follow(metrics, folder)
                if before is not None:
                    position.write_bytes(before)
    write()
    runs.follow(metrics, folder)
    assert scalars(folder).get("train/loss", []) == lines
    shutil.rmtree(home)
