"""After a flood of changes the folders are looked through, because the kernel may have dropped some of them."""

import os
import threading
from pathlib import Path

import pytest

from control.paths import at_home
from daemon.workers.intake import inbox as module
from daemon.workers.intake.inbox import Inbox


def test_what_a_flood_hid_is_found_once_the_rest_was_read(
    shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 2)
    paths = at_home(tmp_path)
    inbox = Inbox(paths, shelf.ledger.sources, 0.0, wake=lambda: None)
    chats = paths.inbox / "chats"
    chats.mkdir(parents=True)
    files = {chats / f"{number}.txt" for number in range(5)}
    for file in files:
        file.write_text("hello")
        os.utime(file, (1, 1))
    inbox._roots = [paths.inbox]
    inbox._watcher._changed = set(files)
    inbox.note_changes()
    first = set(inbox.due())
    assert len(first) == 2
    for file in first:
        inbox.forget(file)
    assert inbox.next_due() is not None
    assert set(inbox.due()) == files
    assert inbox.next_due() is None


def test_after_a_flood_the_folders_are_watched_again(shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 2)
    woken = threading.Event()
    inbox = Inbox(at_home(tmp_path), shelf.ledger.sources, 0.0, wake=woken.set)
    inbox.watch((), 0.0)
    files = [at_home(tmp_path).inbox / "chats" / f"{number}.txt" for number in range(3)]
    inbox._watcher._changed = {str(file) for file in files}
    inbox.note_changes()
    for file in files:
        inbox.forget(file)
    files[0].write_text("written while nobody watches")
    os.utime(files[0], (1, 1))
    assert list(inbox.due()) == [files[0]]
    woken.clear()
    files[1].write_text("written after that")
    assert woken.wait(30)
    inbox.stop()
