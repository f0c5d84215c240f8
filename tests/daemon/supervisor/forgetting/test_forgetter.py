"""A forgetting passes all its steps whatever is away or dies meanwhile, and says what it did."""

import asyncio
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from control.paths import Paths, at_home
from daemon.messages import (
    ChatsForgotten,
    Command,
    Erase,
    Erased,
    Failure,
    Forget,
    ForgetChats,
    TakenOut,
    Unlearn,
    Unlearned,
)
from daemon.supervisor.forgetting.forgetter import UNDER_WAY, ForgetRefusedError, Forgetter, summary
from daemon.supervisor.forgetting.steps import Forgetting, Step
from daemon.supervisor.store.store import StoreUnavailableError
from engine import artifacts
from engine.data import shard
from engine.data.encoded import Encoded
from engine.tokenizers.bytes import ByteTokenizer
from tests.daemon.supervisor.stand_ins import Script, StandIns, ended, learning

pytestmark = pytest.mark.anyio
TOKENS = np.array(ByteTokenizer().encode("a secret"), np.int32)
FORGETTING = (Forget, Erase, ForgetChats, Unlearn)


class Forgetful(StandIns):
    """Intake and server that forget what ``found`` says, and note in which order they were asked."""

    found = TakenOut(
        to=0,
        samples=2,
        was_held_out=False,
        cycles=(1,),
        learned_in=(1,),
        files_left=("/mine.jsonl",),
        files_unnamed=30,
    )
    unknown = False

    async def _answer(self, message: Command):
        match message:
            case Forget() if self.unknown:
                return Failure(to=message.id, reason="abc is not the ID of a sample", retry=False)
            case Forget():
                return self.found.model_copy(update={"to": message.id})
            case Erase():
                return Erased(to=message.id, files_cut=("/inbox/talk.jsonl",), files_unnamed=4)
            case ForgetChats():
                return ChatsForgotten(to=message.id, sessions=1, answers=2)
            case Unlearn():
                return Unlearned(to=message.id, samples=7)
        return await super()._answer(message)

    def steps(self) -> list[type]:
        return [type(message) for message in self.log if isinstance(message, FORGETTING)]


@pytest.fixture
def workers(tmp_path: Path) -> Forgetful:
    it = Forgetful(at_home(tmp_path), Script())
    it.ledger.add(5)
    sqlite3.connect(it.paths.ledger).close()
    return it


def leave_traces(paths: Paths, cycle: int, version: int) -> None:
    """What a run and an evaluation leave that holds texts."""
    run = paths.run_folder(cycle)
    shard.write(run / "data/train", [Encoded(TOKENS, np.ones(len(TOKENS), np.bool_))])
    (run / "checkpoints/000001").mkdir(parents=True)
    (run / "metrics.jsonl").write_text('{"examples": ["a secret"]}')
    (run / "run.json").write_text("{}")
    (paths.tensorboard / f"{cycle:06d}").mkdir(parents=True, exist_ok=True)
    (paths.tensorboard / f"{cycle:06d}/events").write_text("a secret")
    (paths.version(version) / "evaluation.json").write_text('{"verdict": 1, "samples": [{"expected": "a secret"}]}')


def secrets(paths: Paths) -> list[Path]:
    """Every file that holds it, as text or as the tokens of a shard."""
    forms = (b"a secret", TOKENS.tobytes())
    files = (file for file in sorted(paths.state.rglob("*")) if file.is_file())
    return [file for file in files if any(form in file.read_bytes() for form in forms)]


def forgetter(it, workers) -> Forgetter:
    async def restart() -> None:
        workers.boot_server()

    return Forgetter(it, workers, restart, patience=0.0)


def failing_once(call):
    """``call`` as on a disk that is full the first time."""
    failures = [StoreUnavailableError("No space left on device")]

    async def attempt(*given, **named):
        if failures:
            raise failures.pop()
        return await call(*given, **named)

    return attempt


async def test_every_trace_goes_and_what_learned_it_is_named(workers: Forgetful) -> None:
    async with learning(workers) as it:
        await ended(it, (await it.cycles.trigger("test")).id)
        workers.ledger.add(5)
        await ended(it, (await it.cycles.trigger("test")).id)
        for number in (1, 2):
            leave_traces(workers.paths, number, number)
        assert [file.name for file in secrets(workers.paths)].count("ids.i32") == 2
        (workers.paths.backups).mkdir(exist_ok=True)
        old = workers.paths.backups / "conversations-20200101.db"
        old.write_text("a secret")
        done = await forgetter(it, workers).forget(("abcdef",), None, None, retrain=False, by="uid 0")
        assert workers.steps() == [Forget, Erase, ForgetChats]
        assert [file.parent.name for file in secrets(workers.paths)] == ["000002", "000002"], "figures of another run"
        assert not (workers.paths.run_folder(2) / "data").exists(), "of no use, and perhaps of it"
        assert json.loads((workers.paths.version(2) / "evaluation.json").read_text()) == {"verdict": 1, "samples": []}
        assert [copy.name for copy in workers.paths.backups.iterdir()] != [old.name]
        told = summary(done)
        assert (told["versions"], told["made_from_these"]) == (["000001"], ["000002"])
        assert (told["samples"], told["files_cut"], told["files_left"]) == (2, ["/inbox/talk.jsonl"], ["/mine.jsonl"])
        assert told["files_unnamed"] == 34
        assert (told["sessions"], told["answers"], told["failed"], told["went_back"]) == (1, 2, [], False)
        assert await it.store.meta(UNDER_WAY) == ""
        assert (await it.store.newest_events(1))[0].type == "data.forgotten"
        assert it.promotion.serving == 2, "nobody asked to go back"


async def test_what_is_not_known_changes_nothing(workers: Forgetful) -> None:
    workers.unknown = True
    async with learning(workers) as it:
        with pytest.raises(ForgetRefusedError, match="not the ID"):
            await forgetter(it, workers).forget(("abc",), None, None, retrain=False, by="uid 0")
        assert await it.store.meta(UNDER_WAY) == ""
        assert workers.steps() == [Forget]


async def test_the_cycle_that_learns_it_is_cancelled_before_anything_is_erased(workers: Forgetful) -> None:
    workers.hold("trainer")
    async with learning(workers) as it:
        cycle = await it.cycles.trigger("test")
        await workers.until_held("trainer")
        workers.found = workers.found.model_copy(update={"cycles": (cycle.id,), "learned_in": ()})
        await forgetter(it, workers).forget(("abcdef",), None, None, retrain=False, by="uid 0")
        assert (await it.store.cycle(cycle.id)).state == "cancelled"


@pytest.mark.parametrize("first", ["unaffected", "affected"])
async def test_retrain_goes_back_to_the_last_version_without_it_and_learns_the_rest(
    workers: Forgetful, first: str
) -> None:
    workers.found = workers.found.model_copy(
        update={"cycles": (2,), "learned_in": (2,) if first == "unaffected" else (1, 2)}
    )
    async with learning(workers) as it:
        for _ in range(3):
            workers.ledger.add(5)
            await ended(it, (await it.cycles.trigger("test")).id)
        assert it.promotion.serving == 3
        workers.ledger.add(5)
        workers.hold("trainer")
        done = await forgetter(it, workers).forget(("abcdef",), None, None, retrain=True, by="uid 0")
        [unlearned] = [message.cycles for message in workers.log if isinstance(message, Unlearn)]
        left = (2, 3) if first == "unaffected" else (1, 2, 3)
        assert unlearned == left
        assert it.promotion.serving == (1 if first == "unaffected" else None)
        assert artifacts.current_version(workers.paths.current) == it.promotion.serving
        assert summary(done)["went_back_to"] == ("000001" if first == "unaffected" else None)
        states = {version.number: version.state for version in await it.store.versions()}
        assert [number for number, state in sorted(states.items()) if state == "quarantined"] == list(left)
        await workers.until_held("trainer")
        assert workers.runs[-1].base == it.promotion.serving


@pytest.mark.parametrize("step", [step for step in Step if step is not Step.DONE])
async def test_cut_short_at_any_step_it_goes_on_after_the_next_start(workers: Forgetful, step: Step) -> None:
    async with learning(workers) as it:
        await ended(it, (await it.cycles.trigger("test")).id)
        leave_traces(workers.paths, 1, 1)
        first, reached = forgetter(it, workers), asyncio.Event()

        async def never(_):
            reached.set()
            await asyncio.Event().wait()

        first._steps[step] = never
        asking = asyncio.create_task(first.forget(("abcdef",), None, None, retrain=True, by="uid 0"))
        await reached.wait()
        await first.close()
        await asyncio.gather(asking, return_exceptions=True)
        workers.log.clear()
        second = forgetter(it, workers)
        second.recover()
        while await it.store.meta(UNDER_WAY):
            await asyncio.sleep(0.002)
        assert secrets(workers.paths) == []
        assert "data.forgotten" in [event.type for event in await it.store.newest_events(20)]
        await second.close()


async def test_one_that_was_cut_short_is_carried_out_before_the_next_that_is_asked_for(workers: Forgetful) -> None:
    async with learning(workers) as it:
        earlier = Forgetting(number=7, ids=("abcdef",), by="uid 0", step=Step.ERASE, source="talk.jsonl")
        await it.store.set_meta(UNDER_WAY, earlier.model_dump_json())
        await forgetter(it, workers).forget(("fedcba",), None, None, retrain=False, by="uid 0")
        assert workers.steps() == [Erase, ForgetChats, Forget, Erase, ForgetChats]
        assert [message.source for message in workers.log if isinstance(message, Erase)] == ["talk.jsonl", None]
        assert await it.store.meta(UNDER_WAY) == ""


async def test_a_full_disk_is_waited_for_on_the_way_back(workers: Forgetful, monkeypatch: pytest.MonkeyPatch) -> None:
    workers.found = workers.found.model_copy(update={"cycles": (2,), "learned_in": (2,)})
    async with learning(workers) as it:
        for _ in range(2):
            workers.ledger.add(5)
            await ended(it, (await it.cycles.trigger("test")).id)
        monkeypatch.setattr(it.promotion, "promote", failing_once(it.promotion.promote))
        monkeypatch.setattr(it.cycles, "trigger", failing_once(it.cycles.trigger))
        done = await forgetter(it, workers).forget(("abcdef",), None, None, retrain=True, by="uid 0")
        assert (summary(done)["went_back_to"], summary(done)["failed"]) == ("000001", [])
        assert (await it.store.cycle(3)).reason == "what is left is learned again"


async def test_a_server_that_is_down_is_waited_for(workers: Forgetful) -> None:
    workers.script.server_up = False
    async with learning(workers) as it:
        asking = asyncio.create_task(forgetter(it, workers).forget(("a",), None, None, retrain=False, by="uid 0"))
        await workers.until_asked_in_vain()
        while not it.degradations.reasons():
            await asyncio.sleep(0.002)
        assert "the server is away" in it.degradations.reasons()[0]
        workers.boot_server()
        assert (await asking).samples == 2
        assert it.degradations.reasons() == []


async def test_a_version_that_is_being_promoted_meanwhile_is_named_too(workers: Forgetful) -> None:
    workers.hold("evaluator")
    async with learning(workers) as it:
        cycle = await it.cycles.trigger("test")
        await workers.until_held("evaluator")
        it.cycles.steps.promoting = True  # from now on nobody can cancel it
        asking = asyncio.create_task(forgetter(it, workers).forget(("a",), None, None, retrain=False, by="uid 0"))
        while Forget not in workers.steps():
            await asyncio.sleep(0.002)
        workers.release("evaluator")
        assert (await asking).versions == (1,)
        assert (await it.store.cycle(cycle.id)).state == "promoted"
