"""kill -9 at any moment: nothing is lost, nothing is learned twice, nothing is both trained on and held out."""

import json
import os
import random
import shutil
import time
from collections import Counter

import psutil
import pytest

from daemon.messages import Collect, Scan, Settle
from daemon.workers.intake.parsing.parser import MODULE
from engine.data.samples import Conversation


def write_inbox(intake, conversations: list[Conversation], seed: int) -> None:
    """The conversations in files of several shapes; a part of them twice, and each file again under another name."""
    dice = random.Random(seed)
    for number in range(0, len(conversations), 20):
        part = conversations[number : number + 20]
        records = [{"messages": [{"role": m.role, "content": m.content} for m in c.messages]} for c in part]
        records += dice.sample(records, 5)
        lines = number % 40 == 0
        text = "".join(json.dumps(r) + "\n" for r in records) if lines else json.dumps(records, indent=1)
        (intake.inbox / "chats" / f"{number}.data").write_text(text)
    shutil.copytree(intake.inbox / "chats", intake.inbox / "corpus" / "again")


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_moments(intake, dialogue, seed):
    """The supervisor's part is played here: it repeats a command until it has the answer, then goes on."""
    dice = random.Random(seed)
    conversations = [dialogue(f"question {n}", f"answer {n}", f"and {n}?", f"more {n}") for n in range(300)]
    write_inbox(intake, conversations, seed)
    kills = 0
    learned: Counter[str] = Counter()
    held_out: set[str] = set()
    snapshots: dict[int, str] = {}

    def insist(command, ask):
        """Kill the worker while it works on the command, now and then; ask until there is an answer."""
        nonlocal kills
        while kills < 9 and dice.random() < 0.6:
            kills += 1
            intake.worker.send(command)
            time.sleep(dice.random() ** 3 * 0.3)
            intake.worker.kill()
            (intake.home / "intake.reading").unlink(missing_ok=True)  # a file that is hit twice would be set aside
            intake.start()
        return ask()

    insist(Scan(), intake.scan)
    for cycle in range(1, 100):
        collect = Collect(cycle=cycle, limit=40, minimum=1)
        answer = insist(collect, lambda cycle=cycle: intake.collect(cycle, limit=40))
        assert intake.collect(cycle, limit=40) == answer or not answer.conversations
        if not answer.conversations:
            break
        snapshots[cycle] = answer.sha256
        train, judged = intake.snapshot(cycle)
        is_learned = dice.random() < 0.7
        insist(
            Settle(cycle=cycle, learned=is_learned, count_try=False),
            lambda cycle=cycle, is_learned=is_learned: intake.settle(cycle, is_learned, count_try=False),
        )
        intake.settle(cycle, not is_learned)  # a stray repetition says something else: it changes nothing
        if is_learned:
            learned.update(e.sample.canonical for e in train if e.origin == "new" and not e.validates)
        held_out.update(e.sample.canonical for e in judged)
        assert intake.collect(cycle, limit=40) == answer
    assert kills == 9
    assert set(learned) | held_out == {c.canonical for c in conversations}
    assert set(learned.values()) == {1}
    assert not set(learned) & held_out
    counts = intake.counts()
    assert counts == {"learned": len(learned), "held_out": len(held_out)}
    assert not list((intake.home / "snapshots").glob(".tmp-*"))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the intake parses by itself on one processor")
def test_of_a_large_file_nothing_is_lost_or_twice_when_the_parser_is_killed_and_then_the_intake(intake):
    """The second death sets the file aside, for it may be the file's doing; asked to, the intake reads it again."""
    number = 9000
    records = ({"prompt": f"What is {each}?", "completion": f"{each}. " * 60} for each in range(number))
    file = intake.inbox / "chats" / "large.jsonl"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))

    def parser_at_work() -> psutil.Process:
        """The process that parses, once it has begun with the file; the intake waits for it in the meantime."""
        while True:
            for child in psutil.Process(intake.worker.pid).children():
                if MODULE in child.cmdline() and str(file) in {each.path for each in child.open_files()}:
                    child.suspend()
                    return child

    intake.worker.send(Scan())
    parser_at_work().kill()
    intake.worker.process.wait(60)
    intake.start()
    intake.worker.send(Scan())
    parser_at_work()
    intake.worker.kill()
    intake.start()
    intake.scan()
    assert "ended the intake more than once" in intake.refusals()["large.jsonl"]
    intake.scan(retry_quarantine=True)
    assert sum(intake.counts().values()) == number
    assert intake.query("SELECT count(*), count(DISTINCT identity) FROM samples") == [(number, number)]
    assert intake.refusals() == {}
