"""Checkpoints are written beside the loop, hold what was at the moment of the call, and are kept by policy."""

import errno
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.training import checkpoint
from engine.training.checkpoint import Checkpoints, Progress, needed


def tensors(value):
    return {"w": torch.full((3,), float(value))}


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch):
    """An event without which no file of tensors is written; set at the end."""
    release, write = threading.Event(), checkpoint.save_file

    def held(*arguments):
        assert release.wait(20)
        write(*arguments)

    monkeypatch.setattr(checkpoint, "save_file", held)
    yield release
    release.set()


def test_the_loop_goes_on_while_one_is_written(tmp_path: Path, hold) -> None:
    weights, progress = tensors(1), Progress(step=1)
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(weights, tensors(2), progress)
        checkpoints.await_copies()
        weights["w"] += 5  # as the next steps would
        progress.step = 9
        assert checkpoints.latest() is None
        hold.set()
    found = Checkpoints(tmp_path, keep=2).latest()
    assert torch.equal(found.weights["w"], torch.ones(3))
    assert torch.equal(found.optimizer["w"], torch.full((3,), 2.0))
    assert found.progress == Progress(step=1)


def test_tensors_that_another_thread_cannot_read_are_copied_before(tmp_path: Path, hold) -> None:
    """Those that are no plain ones: on a GPU or sharded."""
    weights = {"w": torch.ones(3).as_subclass(torch.nn.Buffer)}
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(weights, {}, Progress(step=1))
        weights["w"] += 5
        hold.set()
    assert torch.equal(Checkpoints(tmp_path, keep=2).latest().weights["w"], torch.ones(3))


def test_without_memory_after_all_the_loop_is_told_before_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_):
        raise MemoryError

    monkeypatch.setattr(checkpoint, "_copy", short)
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(tensors(1), {}, Progress(step=1))
    with pytest.raises(MemoryError):
        checkpoints.await_copies()


def test_one_is_written_at_a_time(tmp_path: Path, hold) -> None:
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(tensors(1), {}, Progress(step=1))
        second = threading.Thread(target=lambda: checkpoints.save(tensors(2), {}, Progress(step=2)))
        second.start()
        second.join(0.05)
        assert second.is_alive()
        hold.set()
        second.join(20)
    assert Checkpoints(tmp_path, keep=2).latest().progress.step == 2


def test_without_memory_for_copies_it_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        total = available = 20

    monkeypatch.setattr("psutil.virtual_memory", lambda: Memory)
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(tensors(1), {}, Progress(step=1))
    assert checkpoints.latest().progress.step == 1


def test_a_failed_write_is_told_by_the_next_and_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(tensors(1), {}, Progress(step=1))
    checkpoints.wait()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        checkpoints.save(tensors(2), {}, Progress(step=2))
        with pytest.raises(OSError, match="No space left"):
            checkpoints.save(tensors(3), {}, Progress(step=3))
    assert [folder.name for folder in tmp_path.iterdir()] == ["000001"]
    checkpoints.save(tensors(3), {}, Progress(step=3))
    checkpoints.wait()
    assert Checkpoints(tmp_path, keep=2).latest().progress.step == 3


def test_an_error_of_the_run_is_not_hidden_by_one_of_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(checkpoint, "save_file", broken)

    def run():
        with Checkpoints(tmp_path, keep=2) as checkpoints:
            checkpoints.save(tensors(1), {}, Progress(step=1))
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        run()


@given(st.sets(st.integers(0, 60), min_size=1).map(sorted), st.integers(2, 4), st.integers(0, 9), st.randoms())
def test_what_may_be_continued_stays_and_little_else(steps, keep, keep_every, random) -> None:
    newest = [
        Progress(step=step, best_step=random.choice([None, *steps]), fallback_step=random.choice(steps))
        for step in steps[-keep:]
    ]
    kept = needed(steps, newest, keep, lambda step: keep_every > 0 and step % keep_every == 0)
    assert kept >= set(steps[-keep:])
    for progress in newest:
        assert progress.fallback_step in kept
        assert progress.best_step is None or progress.best_step in kept
    marked = {step for step in steps if keep_every and step % keep_every == 0}
    assert marked <= kept
    assert len(kept - marked) <= 3 * keep


def test_each_epoch_and_the_newest_and_the_best(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2, marked=lambda step: step % 10 == 0)
    for step in range(0, 35, 5):
        checkpoints.save(tensors(step), {}, Progress(step=step, best_step=min(step, 15), fallback_step=step))
    checkpoints.wait()
    assert sorted(int(folder.name) for folder in tmp_path.iterdir()) == [0, 10, 15, 20, 25, 30]


def test_a_run_goes_on_from_what_has_its_optimizer_or_is_at_its_end(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step, weights_only in ((10, False), (20, False), (25, True), (30, False), (35, True)):
        checkpoints.save(tensors(step), {}, Progress(step, best_step=min(step, 30), weights_only=weights_only))
    checkpoints.wait()
    assert sorted(int(folder.name) for folder in tmp_path.iterdir()) == [20, 30, 35]
    assert checkpoints.latest().progress.step == 30
    checkpoints.save(tensors(40), {}, Progress(40, weights_only=True, finished=True))
    checkpoints.wait()
    assert checkpoints.latest().progress.step == 40
