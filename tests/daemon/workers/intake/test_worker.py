"""The intake as its users see it: files go in, conversations come out, once."""

import json
import os
import shutil
import time
import zipfile
from pathlib import Path

import pytest

from daemon.messages import Collect, Collected, Counts, Failure, Ready, Scan, Unwatched
from daemon.settings.sections import Tables


def as_openai(conversation) -> str:
    return json.dumps({"messages": [{"role": m.role, "content": m.content} for m in conversation.messages]})


def write_shapes(folder: Path) -> int:
    """A file of every shape, and how many conversations they hold together."""
    pair = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    shapes = {
        "openai.json": {"messages": [*pair, {"role": "user", "content": "openai"}]},
        "sharegpt": {"conversations": [{"from": "human", "value": "s"}, {"from": "gpt", "value": "a"}]},
        "alpaca.dat": [{"instruction": f"i{n}", "input": "", "output": "o"} for n in range(3)],
        "completion.txt": {"prompt": "p", "completion": "c"},
        "array.json": [{"role": "user", "content": "array"}, {"role": "assistant", "content": "a"}],
    }
    for name, value in shapes.items():
        (folder / name).write_text(json.dumps(value, indent=2))
    (folder / "lines.jsonl").write_text(
        "".join(json.dumps({"prompt": f"l{n}", "completion": "c"}) + "\n" for n in range(4))
    )
    (folder / "messages.jsonl").write_text(
        "".join(json.dumps(m) + "\n" for m in [{"role": "user", "content": "m"}, pair[1]])
    )
    (folder / "talk.md").write_text("Human: transcript\n\nAssistant: yes\nand more\n")
    (folder / "prose").write_text("Some prose, which is not long.\n")
    return 14


def test_every_shape_is_learned_and_a_second_copy_adds_nothing(intake):
    number = write_shapes(intake.inbox / "chats")
    intake.scan()
    counts = intake.counts()
    assert sum(counts.values()) == number
    assert "quarantined" not in counts
    shutil.copytree(intake.inbox / "chats", intake.inbox / "conversations" / "deep" / "copy")
    assert intake.scan().added == 0
    (intake.inbox / "chats" / "lines.jsonl").rename(intake.inbox / "corpus" / "renamed.jsonl")
    told = intake.scan(files=tuple(str(path) for path in intake.inbox.rglob("*") if path.is_file()))
    counts = intake.counts()
    assert told.added == counts["new"] + counts["held_out"], "whoever read them, and when"
    assert sum(told.read_as.values()) > 1
    again = intake.scan()
    assert (again.added, again.duplicates) == (0, 0), "a renamed file is not even read"
    assert intake.counts() == counts


def test_a_file_is_noticed_without_being_asked_for(intake):
    (intake.inbox / "chats" / "new").mkdir()
    (intake.inbox / "chats" / "new" / "a.txt").write_text("Human: a\nAssistant: b\n")
    moved = intake.home / "b.txt"
    moved.write_text("Human: c\nAssistant: d\n")
    moved.rename(intake.inbox / "corpus" / "b.txt")
    intake.worker.expect(Counts, lambda c: c.new + c.held_out == 2, timeout=20)


def test_hidden_and_unfinished_files_are_left_alone_until_they_are_renamed(intake):
    chats = intake.inbox / "chats"
    (chats / ".git").mkdir()
    for name in (".tmp-x", "x.part", "x~", ".x.swp", ".git/x"):
        (chats / name).write_text(f"Human: {name}\nAssistant: b\n")
    intake.scan()
    assert intake.counts() == {}
    (chats / "x.part").rename(chats / "x")
    intake.worker.expect(Counts, lambda c: c.new + c.held_out == 1, timeout=20)


def test_a_file_still_being_written_is_not_read_half(intake_with, quick_settings):
    """The writer pauses for far less than the wait; no count but the final one is ever reported."""
    patient = quick_settings.data.model_copy(update={"settle_seconds": 2.0})
    intake = intake_with(quick_settings.model_copy(update={"data": patient}))
    text = json.dumps([{"prompt": f"p{n}", "completion": "c"} for n in range(40)], indent=1)
    with (intake.inbox / "chats" / "slow.json").open("w") as file:
        for start in range(0, len(text), len(text) // 8):
            file.write(text[start : start + len(text) // 8])
            file.flush()
            time.sleep(0.05)
    intake.worker.expect(Counts, lambda c: c.new + c.held_out == 40, timeout=20)
    assert [c for c in intake.worker.received(Counts) if c.new or c.quarantined] == []


def test_a_live_jsonl_contributes_only_what_is_new(intake):
    file = intake.inbox / "chats" / "live.jsonl"
    with file.open("a") as live:
        for n in range(5):
            live.write(json.dumps({"prompt": f"p{n}", "completion": "c"}) + "\n" + '{"prompt": "half')
            live.flush()
            intake.scan()
            counts = intake.counts()
            assert (counts.pop("quarantined"), sum(counts.values())) == (1, n + 1)
            [(read_on_at,)] = intake.query("SELECT offset FROM sources")
            assert read_on_at == live.tell() - len('{"prompt": "half'), "what was read is not read again"
            live.seek(live.tell() - len('{"prompt": "half'))
            live.truncate()
    intake.scan()
    assert "quarantined" not in intake.counts()


def test_a_log_that_is_rotated_by_renaming_loses_nothing(intake):
    live = intake.inbox / "chats" / "live.jsonl"
    line = '{{"prompt": "p{}", "completion": "c"}}\n'.format
    live.write_text(line(0))
    intake.scan()
    with live.open("a") as log:
        log.write(line(1))  # and before it is read:
    live.rename(live.with_name("live.jsonl.1"))
    live.write_text(line(2))
    intake.scan()
    assert sum(intake.counts().values()) == 3


def test_a_chat_that_goes_on_is_learned_from_where_it_was(intake, new_side):
    chat = new_side("hello", "hi", "how are you", "well")
    file = intake.inbox / "chats" / "chat.json"
    file.write_text(as_openai(type(chat)(messages=chat.messages[:2])))
    intake.collect(1)
    intake.settle(1, learned=True)
    file.write_text(as_openai(chat))
    intake.collect(2)
    train, _ = intake.snapshot(2)
    new = [example for example in train if example.origin == "new"]
    assert [(example.sample, example.learn_from) for example in new] == [(chat, 2)]
    assert new[0].source.endswith("inbox/chats/chat.json:1")


@pytest.mark.parametrize(
    "line",
    [
        "Human: {}\nAssistant: yes {}\n",
        '{{"role": "user", "content": "{}"}}\n{{"role": "assistant", "content": "{}"}}\n',
    ],
)
def test_a_growing_transcript_is_one_conversation(intake, line):
    file = intake.inbox / "chats" / "talk"
    for n in range(3):
        with file.open("a") as talk:
            talk.write(line.format(n, n))
        intake.scan()
    assert sum(intake.counts().values()) == 1


def test_a_growing_text_is_stored_once(intake):
    file = intake.inbox / "corpus" / "log.txt"
    words = [f"word{n}" for n in range(4000)]
    for part in range(4):
        with file.open("a") as log:
            log.write(" ".join(words[part * 1000 : part * 1000 + 1000]) + " ")
        intake.scan()
        intake.worker.ask(Collect(cycle=part, limit=100, minimum=1), Collected)
        intake.settle(part, learned=True)
    shutil.copy(file, intake.inbox / "corpus" / "copy.txt")
    assert intake.scan().added == 0
    stored = "".join(path.read_text() for path in sorted((intake.home / "segments").iterdir()))
    texts = [json.loads(line)["text"] for line in stored.splitlines()]
    assert sorted(" ".join(texts).split()) == sorted(words)


def test_one_bad_record_is_refused_with_its_line_and_mended_later(intake):
    file = intake.inbox / "chats" / "some.jsonl"
    good = json.dumps({"prompt": "p", "completion": "c"}) + "\n"
    file.write_text(good + '{"prompt": 3, "completion": "c"}\n' + good.replace('"p"', '"q"'))
    intake.scan()
    counts = intake.counts()
    assert counts.pop("quarantined") == 1
    assert sum(counts.values()) == 2
    [(name, line, reason, copy, size)] = intake.query("SELECT file, line, reason, copy, size FROM refusals")
    assert (Path(name), line, size) == (file, 2, 33)
    assert "turn" in reason or "messages" in reason
    assert Path(copy).read_text() == '{"prompt": 3, "completion": "c"}\n'
    assert Path(copy).parent == intake.home / "quarantine"
    file.write_text(good + good.replace('"p"', '"r"') + good.replace('"p"', '"q"'))
    intake.scan()
    assert intake.refusals() == {}
    assert sum(intake.counts().values()) == 3
    assert not Path(copy).exists()


def test_quarantine_is_tried_again_also_from_the_copy(intake):
    chats = intake.inbox / "chats"
    (chats / "alone.txt").write_text("Human: nobody answered\n")
    (chats / "gone.txt").write_text("Human: nobody answered this either\n")
    intake.scan()
    (chats / "gone.txt").unlink()
    assert intake.scan(retry_quarantine=True).quarantined == 2
    assert sorted(intake.refusals()) == ["alone.txt", "gone.txt"]
    assert all(Path(copy).exists() for (copy,) in intake.query("SELECT copy FROM refusals"))


def test_a_packed_file_is_read_and_what_is_refused_in_it_is_copied_once(intake):
    path = intake.inbox / "chats" / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("chat.txt", "Human: a\nAssistant: b\n")
        archive.writestr("page.html", "<html><body>x</body></html>")
        archive.writestr("image.png", b"\x89PNG\0")
    intake.scan()
    assert intake.counts() == {"new": 1, "quarantined": 2}
    reasons = sorted(intake.query("SELECT reason FROM refusals"))
    assert [reason.split(":")[0] for (reason,) in reasons] == ["image.png", "page.html"]
    [(copy,)] = intake.query("SELECT DISTINCT copy FROM refusals")
    assert Path(copy).read_bytes() == path.read_bytes()


def test_a_folder_is_watched_from_a_reload_on(intake, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "before.txt").write_text("Human: a\nAssistant: b\n")
    settings = intake.settings.model_dump(exclude_unset=True) | {"paths": {"watch": (str(other),)}}
    intake.worker.reload(Tables.model_validate(settings))
    intake.worker.expect(Counts, lambda c: c.new + c.held_out == 1, timeout=20)
    (other / "after.txt").write_text("Human: c\nAssistant: d\n")
    intake.worker.expect(Counts, lambda c: c.new + c.held_out == 2, timeout=20)


def test_a_watched_folder_that_is_not_there_is_told_until_it_is(intake_with, tmp_path_factory, quick_settings):
    missing = tmp_path_factory.mktemp("srv") / "chatz"
    settings = quick_settings.model_dump(exclude_unset=True) | {"paths": {"watch": (str(missing),)}}
    intake = intake_with(Tables.model_validate(settings))
    told = intake.worker.expect(Unwatched, lambda found: bool(found.folders), timeout=20)
    assert list(told.folders) == [str(missing)]
    missing.mkdir()
    intake.scan()
    intake.worker.expect(Unwatched, lambda found: not found.folders, timeout=20)


def test_its_own_data_is_never_learned_from(intake_with, tmp_path, quick_settings):
    """Somebody watches the home itself."""
    settings = quick_settings.model_dump(exclude_unset=True) | {"paths": {"watch": (str(tmp_path),)}}
    intake = intake_with(Tables.model_validate(settings))
    (intake.inbox / "chats" / "a.txt").write_text("Human: a\nAssistant: b\n")
    (tmp_path / "beside.txt").write_text("Human: c\nAssistant: d\n")
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "enwik8").write_text("Fetched for those who ask for it.\n")
    intake.collect(1)
    assert intake.scan().added == 0
    assert sum(intake.counts().values()) == 2


def test_it_sleeps_when_nothing_happens(intake):
    intake.scan()

    def wakeups() -> int:
        status = [t.joinpath("status").read_text() for t in Path(f"/proc/{intake.worker.pid}/task").iterdir()]
        return sum(int(s.split("\nvoluntary_ctxt_switches:")[1].split()[0]) for s in status)

    time.sleep(0.5)  # let what the scan set in motion come to rest
    before = wakeups()
    time.sleep(2)
    assert wakeups() - before <= 1


def test_it_stops_at_once(intake):
    started = time.monotonic()
    assert intake.worker.stop() == 0
    assert time.monotonic() - started < 2


def test_a_cycle_from_named_files(intake, tmp_path, new_side):
    train, judged = tmp_path / "train.jsonl", tmp_path / "judged.json"
    conversations = [new_side(f"question {n}", f"answer {n}") for n in range(20)]
    train.write_text("".join(as_openai(c) + "\n" for c in conversations))
    judged.write_text(as_openai(conversations[3]))
    command = Collect(cycle=7, limit=100, minimum=1, files=(str(train),), validation_files=(str(judged),))
    answer = intake.worker.ask(command, Collected)
    learned, held_out = intake.snapshot(7)
    assert [e.sample for e in learned] == conversations[:3] + conversations[4:]
    assert [e.sample for e in held_out] == [conversations[3]]
    assert (answer.conversations, answer.held_out) == (19, 1)
    assert intake.worker.ask(command, Collected) == answer
    assert intake.counts() == {}, "the ledger is not touched"


def test_a_corpus_is_split_by_its_bytes_and_never_held_in_memory(intake, tmp_path):
    """The first 90 % are learned, the next 5 % judge; 20 MB pass through a process that grows by a part of that."""
    file, lines = tmp_path / "corpus.txt", 200_000
    words = "the quick brown fox jumps over the lazy dog, over the moon as well, and sleeps until noon"
    file.write_text("".join(f"{number:07d} {words}\n" for number in range(lines)))
    size = file.stat().st_size
    before = resident(intake.worker.pid)
    intake.worker.ask(Collect(cycle=3, limit=9, minimum=1, files=(str(file),), split=True), Collected, timeout=120)
    grown = resident(intake.worker.pid, "VmHWM") - before
    assert grown < 0.6 * size, f"{grown} bytes for {size}"
    learned, judged = ([int(e.sample.text[:7]) for e in part] for part in intake.snapshot(3))
    assert 0 == min(learned) <= max(learned) < 0.9 * lines < max(learned) + 200
    assert 0.9 * lines <= min(judged) <= max(judged) < 0.95 * lines
    assert len(learned) > 0.85 * size / 8_000, "what is learned does not depend on a hash"


def resident(pid, name="VmRSS"):
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) << 10


def test_enwik8_without_an_address_is_said(intake_with):
    failure = intake_with(Tables()).worker.ask(
        Collect(cycle=1, limit=9, minimum=1, files=("enwik8",), split=True), Failure
    )
    assert (failure.retry, "set data.enwik8_address" in failure.reason) == (False, True)


def test_a_loader_of_a_package_is_asked_and_one_that_raises_stops_nothing(intake):
    """The package lies where the worker runs, as pip would leave it; it says of itself what it can read."""
    (intake.home / "shouting.py").write_text(
        "class Loud:\n suffixes = ('.loud',)\n def read(self, file):\n"
        "  yield {'text': file.read().decode().upper()}\n  raise OSError('no more')\n"
    )
    described = intake.home / "shouting-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1\n")
    (described / "entry_points.txt").write_text("[thord.loaders]\nloud = shouting:Loud\n")
    (intake.inbox / "corpus" / "a.loud").write_text("quiet words")
    (intake.inbox / "corpus" / "b.txt").write_text("other words")
    intake.scan()
    rows = intake.query("SELECT count(*) FROM samples")
    assert rows == [(2,)]
    assert intake.refusals() == {"a.loud": "loader 'loud' failed after 1 records: OSError: no more"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), ('{"broken', "cut off"), ('{"a": 1}', "unknown shape"), ("", "nothing to learn")],
)
def test_a_named_file_that_cannot_be_used_is_named(intake, tmp_path, content, reason):
    file = tmp_path / "train.json"
    if content is not None:
        file.write_text(content)
    failure = intake.worker.ask(Collect(id=7, cycle=1, limit=9, minimum=1, files=(str(file),)), Failure)
    assert (failure.to, failure.retry) == (7, False)
    assert failure.reason.startswith(f"{file}: ")
    assert reason in failure.reason
    assert not (intake.home / "snapshots" / "000001").exists()


def test_a_full_disk_loses_nothing_and_work_goes_on_when_space_returns(intake):
    """The limit on the size of files stands in for the end of the disk: writes fail in the same calls."""
    resource = pytest.importorskip("resource")
    _, most = resource.prlimit(intake.worker.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(intake.worker.pid, resource.RLIMIT_FSIZE, (4096, most))
    text = json.dumps([{"prompt": f"p{n}", "completion": "c " * 40} for n in range(200)])
    (intake.inbox / "chats" / "a.json").write_text(text)
    for command in (Scan(), Collect(cycle=9, limit=10, minimum=1)):
        failure = intake.worker.ask(command, Failure)
        assert failure.retry
        assert "cannot be written" in failure.reason
    assert intake.counts() == {}
    resource.prlimit(intake.worker.pid, resource.RLIMIT_FSIZE, (most, most))
    intake.worker.expect(Counts, lambda c: c.new + c.held_out == 200, timeout=20)
    assert intake.collect(1, limit=10).conversations == 10


def test_names_of_any_bytes(intake):
    name = os.fsdecode(b"\xff\xfe \n name")
    (intake.inbox / "chats" / name).write_text("Human: a\nAssistant: b\n")
    (intake.inbox / "chats" / (name + "2")).write_text('{"broken')
    intake.scan()
    assert sum(intake.counts().values()) == 2
    [file] = intake.refusals()
    assert file == "\\xff\\xfe \\n name2"
    intake.collect(1)


def test_it_waits_for_a_disk_that_cannot_be_written(spawn_worker, tmp_path, quick_settings):
    """A folder stands where the ledger should be: as with a disk that is not there yet, opening fails."""
    (tmp_path / "conversations.db").mkdir()
    worker = spawn_worker("intake", tmp_path, quick_settings, ready=False)
    time.sleep(0.5)
    assert worker.process.poll() is None
    assert "nothing can be written" in worker.log
    (tmp_path / "conversations.db").rmdir()
    worker.expect(Ready, timeout=20)
