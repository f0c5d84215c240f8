"""A planted sentence is in no file any more, and does not come back; whatever else was said stays."""

import contextlib
import gzip
import json
import sqlite3

import pytest

from daemon.messages import Collect
from daemon.workers.intake import named_files
from daemon.workers.intake.batches import StoppingError
from daemon.workers.intake.forgetting import erasing, inbox_files
from daemon.workers.intake.ledger.selection import NotKnownError
from tests.daemon.workers.intake.forgetting.conftest import SETTINGS, said

SECRET = "the key lies under the third grëy stone"


def test_forgetting_by_id_reaches_every_file_and_leaves_the_rest(home) -> None:
    talk = home.put(
        "talk.jsonl", said("Where is the lamp?", "There."), said("And the key?", SECRET), said("Bye", "Bye!")
    )
    home.put("copy.jsonl", said("And the key?", SECRET), "not JSON at all")
    home.read()
    home.collect(1)
    home.settle(1)
    assert len(home.files_with(SECRET)) >= 4, "two files, a segment and a snapshot"
    others = [sample for sample in home.samples() if SECRET not in sample.texts]

    found = home.take_out(home.id_of(SECRET))
    assert (found.samples, found.cycles, found.learned_in, found.files_left) == (1, (1,), (1,), ())
    done = home.erase()
    assert done.files_cut == (str(talk),)
    assert done.files_removed == (str(talk.with_name("copy.jsonl")),), "alone, the other line would be prose"
    assert home.files_with(SECRET) == []
    assert home.samples() == others
    assert [json.loads(line) for line in talk.read_text().splitlines()] == [
        said("Where is the lamp?", "There."), said("Bye", "Bye!")
    ]  # fmt: skip
    assert home.ledger.counts().learned == 2


def test_it_does_not_come_back_in_any_form(home) -> None:
    home.put("talk.jsonl", said("And the key?", SECRET), said("Bye", "Bye!"))
    home.read()
    home.take_out(home.id_of(SECRET))
    home.erase()
    home.put("again.jsonl", said("And the key?", SECRET))
    home.put("grown.jsonl", said("And the key?", SECRET, "Thanks", "Welcome"), said("New", "one"))
    found = home.read()
    assert (found.added, found.forgotten) == (1, 2)
    assert [SECRET in " ".join(sample.texts) for sample in home.samples()] == [False, False]


def test_every_form_of_a_dialogue_and_the_preference_beside_it_go_with_it(home) -> None:
    home.put("day1.jsonl", said("Hello", "Hi"))
    home.read()
    home.collect(1)
    home.settle(1)
    home.put("day2.jsonl", said("Hello", "Hi", "The key?", SECRET))
    home.put(
        "day3.jsonl", said("Hello", "Hi", "Nice weather", "Yes"), {"prompt": "p", "chosen": SECRET, "rejected": "no"}
    )
    home.read()
    home.collect(2)
    home.settle(2)
    home.put("day4.jsonl", said("Hello", "Hi", "The key?", SECRET, "Thanks", "Yes"))
    home.read()
    assert home.take_out(home.id_of("The key? " + SECRET + " Thanks")).samples == 3
    assert home.take_out(home.id_of("no"), number=2).samples == 2
    home.erase()
    assert home.files_with(SECRET) == []
    assert [sample.texts[-1] for sample in home.samples()] == ["Yes"], "who only began alike is still there"


def test_forgetting_a_file_takes_what_was_refused_of_it_too(home) -> None:
    home.put("talk.jsonl", said("a", "b"), said("c", "d"), f'{{"broken": "{SECRET}')
    home.put("other.jsonl", said("e", "f"))
    home.read()
    assert home.files_with(SECRET)
    found = home.take_out(source="talk.jsonl")
    assert found.samples == 2
    home.erase(source="talk.jsonl")
    assert home.files_with(SECRET) == []
    assert [sample.texts for sample in home.samples()] == [("e", "f")]
    assert home.ledger.counts().quarantined == 0


def test_what_an_owner_said_is_told_by_the_folder_and_by_preferences(home) -> None:
    served = home.paths.inbox / "conversations/served"
    for owner in ("ann", "bob"):
        (served / owner).mkdir(parents=True)
        (served / owner / "1.jsonl").write_text(json.dumps(said(f"I am {owner}", SECRET)) + "\n")
    pair = {"prompt": "q", "chosen": SECRET, "rejected": "r", "provenance": {"origin": "feedback", "owner": "ann"}}
    home.put("edited.jsonl", pair)
    home.read()
    assert home.take_out(owner="ann").samples == 3
    home.erase()
    assert home.files_with(SECRET) == [
        "inbox/conversations/served/bob/1.jsonl", "segments/000001.jsonl"
    ]  # fmt: skip


def test_an_archive_that_holds_it_is_removed_and_its_other_samples_stay(home) -> None:
    file = home.paths.inbox / "conversations/talk.jsonl.gz"
    lines = [json.dumps(said("And the key?", SECRET)), json.dumps(said("Bye", "Bye!"))]
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    home.read()
    home.take_out(home.id_of(SECRET))
    assert home.erase().files_removed == (str(file),)
    assert not file.exists()
    assert [sample.texts for sample in home.samples()] == [("Bye", "Bye!")]


def test_an_array_loses_only_the_element(home) -> None:
    file = home.put("talk.json", json.dumps([said("a", "b"), said("And the key?", SECRET)], indent=1))
    home.read()
    home.take_out(home.id_of(SECRET))
    assert home.erase().files_cut == (str(file),)
    assert json.loads(file.read_text()) == [said("a", "b")]


def test_a_file_with_the_longest_of_names_is_cut_like_any_other(home) -> None:
    file = home.put(f"{'ö' * 124}.jsonl", said("And the key?", SECRET), said("Bye", "Bye!"))
    home.read()
    home.take_out(home.id_of(SECRET))
    assert home.erase().files_cut == (str(file),)
    assert home.files_with(SECRET) == []
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_of_a_great_many_files_it_is_said_how_many_are_not_named(home, monkeypatch) -> None:
    monkeypatch.setattr(erasing, "FILES", 1)
    for number in range(3):
        home.put(f"{number}.jsonl", said("And the key?", SECRET), said("Bye", "Bye!"))
    home.read()
    home.take_out(home.id_of(SECRET))
    erased = home.erase()
    assert (len(erased.files_cut), erased.files_unnamed) == (1, 2)


def test_a_file_outside_the_inbox_is_named_and_left(home, tmp_path) -> None:
    outside = tmp_path / "mine.jsonl"
    outside.write_text(json.dumps(said("And the key?", SECRET)))
    home.put("talk.jsonl", said("And the key?", SECRET))
    home.read()
    with home.ledger.transaction():
        home.ledger.sources.move(1, outside)
    assert home.take_out(home.id_of(SECRET)).files_left == (str(outside),)
    home.erase()
    assert outside.exists()
    assert home.files_with(SECRET) == []


class StopError(StoppingError):
    """Stands for a kill."""


def test_killed_at_any_moment_it_is_taken_up_again_to_the_same_end(home, monkeypatch) -> None:
    """A kill at the n-th look at anything, for every n, each followed by a new start."""
    home.put("talk.jsonl", said("And the key?", SECRET), said("Bye", "Bye!"))
    home.put("more.jsonl", *(said(f"q{n}", f"a{n}") for n in range(3)), said("And the key?", SECRET))
    home.read()
    home.collect(1)
    home.settle(1)
    wanted = home.id_of(SECRET)
    found = home.take_out(wanted)
    for n in range(100):
        looks = iter(range(n))

        def look(looks=looks) -> None:
            if next(looks, None) is None:
                raise StopError

        home.reopen()
        monkeypatch.setattr("tests.daemon.workers.intake.forgetting.conftest.erase", _with(look))
        assert home.take_out(wanted) == found, "a repeated command finds it done"
        try:
            home.erase()
            break
        except StopError:
            pass
    else:
        pytest.fail("it never came to its end")
    assert n > 5
    assert home.files_with(SECRET) == []
    assert len(home.samples()) == 4


def _with(look):
    from daemon.workers.intake.forgetting.erasing import erase

    return lambda command, ledger, paths, settings, _: erase(command, ledger, paths, settings, look)


def test_ids_must_be_known_and_mean_one_sample(home) -> None:
    home.put("talk.jsonl", said("a", "b"))
    home.read()
    for ids, source in ((("abcdef123456",), None), (("xyz",), None), ((), "none.jsonl")):
        with pytest.raises(NotKnownError):
            home.take_out(*ids, source=source)
    assert len(home.samples()) == 1


def test_nothing_is_left_in_free_pages_of_the_database(home) -> None:
    home.put("talk.jsonl", said("a", "b"), f'["{SECRET}"]')
    home.read()
    with home.ledger.transaction():
        home.ledger._database.execute("UPDATE refusals SET reason = ?", (SECRET,))
    home.take_out(source="talk.jsonl")
    home.erase(source="talk.jsonl")
    assert home.files_with(SECRET) == []
    with sqlite3.connect(home.paths.ledger) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_named_for_one_cycle_does_not_bring_it_back(home, tmp_path) -> None:
    home.put("talk.jsonl", said("And the key?", SECRET))
    home.read()
    home.take_out(home.id_of(SECRET))
    home.erase()
    file = tmp_path / "mine.jsonl"
    file.write_text(
        "".join(json.dumps(each) + "\n" for each in (said("a", "b"), said("c", "d"), said("And the key?", SECRET)))
    )
    command = Collect(cycle=1, limit=None, minimum=1, files=(str(file),))
    nothing_held_back = SETTINGS.model_copy(update={"gate": SETTINGS.gate.model_copy(update={"min_conversations": 0})})

    def reading(path, signature):
        return contextlib.nullcontext()

    named_files.write_snapshot(
        command, home.paths, nothing_held_back, lambda: None, reading, home.ledger.forgotten.holds
    )
    assert home.files_with(SECRET) == []


def test_what_left_versions_learned_is_new_again(home) -> None:
    home.put("talk.jsonl", said("a", "b"), said("c", "d"))
    home.read()
    home.collect(1)
    home.settle(1)
    home.put("more.jsonl", said("e", "f"))
    home.read()
    home.collect(2)
    home.settle(2)
    for _ in range(2):
        with home.ledger.transaction():
            home.ledger.assignments.unlearn((1,))
        assert (home.ledger.counts().new, home.ledger.counts().learned) == (2, 1)


def test_a_file_that_a_reader_fails_at_is_named_and_the_rest_is_done(home, monkeypatch) -> None:
    home.put("talk.jsonl", said("And the key?", SECRET), said("Bye", "Bye!"))
    odd = home.put("odd.jsonl", said("q", "a"))
    home.read()
    home.take_out(home.id_of(SECRET))
    forget_in = inbox_files.forget_in

    def failing(path, *rest):
        if path == odd:
            raise RuntimeError("a fault of a loader")
        return forget_in(path, *rest)

    monkeypatch.setattr(inbox_files, "forget_in", failing)
    done = home.erase()
    assert done.files_unreadable == (str(odd),)
    assert home.files_with(SECRET) == []
