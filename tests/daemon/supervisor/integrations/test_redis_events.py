"""Events of runs arrive at a real Redis, also those of the time in which it was away."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from control.paths import Paths
from daemon.job import JobState
from daemon.messages import TrainProgress
from daemon.settings.integrations import IntegrationSettings, RedisSettings
from daemon.settings.jobs import JobSettings
from daemon.supervisor.integrations.integrations import Integrations
from daemon.supervisor.jobs.endings import Report
from daemon.supervisor.learning.learning import Learning
from daemon.supervisor.store.job_records import NewJob
from tests.daemon.supervisor.stand_ins import Script, StandIns, ended, learning, settled, tables, with_conversations
from tests.redis_server import NEEDS_REDIS, RedisServer, redis_server

pytestmark = NEEDS_REDIS
BOT = Path(__file__).parents[4] / "examples/events_bot.py"
WHOLE = [
    "trainer.job.started.v1",
    "trainer.job.progress.v1",
    "trainer.metrics.completed.v1",
    "trainer.job.completed.v1",
]
METRICS = {"final_loss": 1.5, "best_validation_loss": 1.6}


def settings(server: RedisServer) -> IntegrationSettings:
    return IntegrationSettings(redis=RedisSettings(enabled=True, url=server.url, progress_seconds=0.0))


def stream(server: RedisServer) -> list[dict[str, object]]:
    """The events in the stream; id and type are beside each as well."""
    import redis

    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        entries = [fields for _, fields in client.xrange("trainer:events")]
    events = [json.loads(entry["data"]) for entry in entries]
    assert [(event["id"], event["type"]) for event in events] == [(entry["id"], entry["type"]) for entry in entries]
    return events


async def until(server: RedisServer, kind: str, times: int = 1) -> list[dict[str, object]]:
    """Wait until the stream has so many events of a type; all of it."""
    while True:
        found = await asyncio.to_thread(stream, server)
        if [event["type"] for event in found].count(kind) >= times:
            return found
        await asyncio.sleep(0.005)


def told(workers: StandIns, it: Learning, paths: Paths, server: RedisServer) -> Integrations:
    return Integrations(settings(server), it.store, it.jobs, workers, paths, it.degradations)


@pytest.mark.anyio
async def test_a_cycle_is_told_on_channel_and_stream_and_to_a_bot(paths: Paths, tmp_path: Path) -> None:
    import redis.asyncio

    workers = with_conversations(paths, Script(metrics=METRICS))
    with redis_server(tmp_path) as server:
        listener = redis.asyncio.Redis.from_url(server.url, decode_responses=True).pubsub()
        await listener.subscribe("trainer:events")
        async with learning(workers) as it:
            integrations = told(workers, it, paths, server)
            integrations.start()
            cycle = await ended(it, (await it.cycles.trigger("api")).id)
            events = await until(server, "trainer.job.completed.v1")
            await integrations.close()
        heard = []
        while len(heard) < len(events):
            message = await listener.get_message(ignore_subscribe_messages=True, timeout=5)
            heard += [json.loads(message["data"])] if message else []
        await listener.aclose()
        assert heard == events
        assert [event["type"] for event in events] == WHOLE
        assert {(event["job_id"], event["user_id"]) for event in events} == {("cycle-000001", 0)}
        size = sum(file.stat().st_size for file in paths.version(1).iterdir())
        assert (events[-1]["result_id"], events[-1]["result_bytes"], events[-1]["progress"]) == ("000001", size, 100)
        assert (events[-2]["loss"], events[-2]["test_loss"]) == (1.5, 1.6)
        assert events[-2]["artifact_path"] == str(paths.version(1))
        assert cycle.version == 1
        bot = [sys.executable, BOT, server.url, tmp_path / "place"]
        with subprocess.Popen(bot, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = [process.stdout.readline().split() for _ in range(3)]
            process.kill()
        assert [words[:2] for words in said] == [["cycle-000001", what] for what in ("started", "99", "100")]


@pytest.mark.anyio
async def test_a_step_is_told_with_its_figures_and_once_how_the_run_is_carried_out(
    paths: Paths, tmp_path: Path
) -> None:
    workers = with_conversations(paths)
    run = paths.run_folder(1)
    run.mkdir(parents=True)
    recipe = {"batch_size": 4, "gradient_accumulation": 2, "learning_rate": 0.01}
    plan = {"base": None, "model": {"family": "thor"}}
    (run / "run.json").write_text(json.dumps({"plan": plan, "recipe": recipe, "threads": 2}))
    (run / "metrics.jsonl").write_text(json.dumps({"step": 0, "parameters": 134_500_000}) + "\n")
    step = TrainProgress(
        cycle=1,
        step=20,
        steps=30,
        loss=3.45,
        learning_rate=0.1,
        tokens_per_second=5.0,
        eta_seconds=8.0,
        epoch=2,
        epochs=3,
        samples_per_second=125.4,
        gradient_norm=0.5,
    )
    with redis_server(tmp_path) as server:
        async with learning(workers) as it:
            integrations = told(workers, it, paths, server)
            integrations.start()
            for number in (20, 21):
                workers.tell("trainer", step.model_copy(update={"step": number}))
            events = await until(server, "trainer.metrics.progress.v1", 2)
            assert integrations.status() == {"redis": {"published": 5, "dropped": 0}}
            await integrations.close()
    about, progress, metrics = events[:3]
    known = ("model_family", "model_size", "total_epochs", "batch_size", "learning_rate", "cpu_cores")
    assert [about[name] for name in known] == ["thor", "134M", 3, 8, 0.01, 2]
    assert (progress["progress"], progress["message"]) == (66, "Training epoch 2/3")
    assert (metrics["epoch"], metrics["total_epochs"], metrics["loss"]) == (2, 3, 3.45)
    assert (metrics["perplexity"], metrics["samples_per_sec"]) == (pytest.approx(31.5, abs=0.01), 125.4)
    assert len({event["id"] for event in events}) == len(events) == 5


@pytest.mark.anyio
async def test_what_happens_while_redis_is_away_is_told_when_it_is_back(paths: Paths, tmp_path: Path) -> None:
    workers = with_conversations(paths, Script(metrics=METRICS, verdicts=[True, False]))
    with redis_server(tmp_path) as server:
        async with learning(workers) as it:
            integrations = told(workers, it, paths, server)
            integrations.start()
            await ended(it, (await it.cycles.trigger("api")).id)
            before = await until(server, "trainer.job.completed.v1")
            server.kill()
            await settled(it)
            workers.ledger.add(4)
            await ended(it, (await it.cycles.trigger("api")).id)
            while not any("events wait for Redis" in reason for reason in it.degradations.reasons()):
                await asyncio.sleep(0.005)
            await integrations.close()  # and thord is started again before Redis is
            integrations = told(workers, it, paths, server)
            integrations.start()
            server.start()
            after = await until(server, "trainer.job.completed.v1")
            while it.degradations.reasons():
                await asyncio.sleep(0.005)
            await integrations.close()
    assert [event["type"] for event in after] == WHOLE
    assert {event["job_id"] for event in before} == {"cycle-000001"}
    assert {event["job_id"] for event in after} == {"cycle-000002"}
    assert "no improvement" in str(after[-1]["message"])
    assert not {event["id"] for event in before} & {event["id"] for event in after}


@pytest.mark.anyio
async def test_a_job_is_told_by_its_run_id_with_its_user_and_its_failures(paths: Paths, tmp_path: Path) -> None:
    workers = with_conversations(paths)
    elsewhere = tables().model_copy(update={"jobs": JobSettings(run_here=False)})
    asked = {"owner": "uid 0", "retries": 1, "retry_interval_seconds": 0.0, "time_limit_seconds": 60.0}
    with redis_server(tmp_path) as server:
        async with learning(workers, elsewhere) as it:
            integrations = told(workers, it, paths, server)
            integrations.start()
            about = {"kind": "train", "run_id": "my-bpe", "user_id": 12345, "queue": "small", **asked}
            await it.jobs.submit(NewJob.model_validate({"kind": "generate", "run_id": "my-bpe", **asked}))
            await it.jobs.claim(1, host="here", worker="server", pid=None)
            await it.jobs.submit(NewJob.model_validate(about))
            for attempt in (1, 2):
                while (await it.store.job(2)).state is not JobState.QUEUED:
                    await asyncio.sleep(0.005)
                await it.jobs.claim(2, host="there", worker="w", pid=None)
                await it.jobs.beat(2, attempt, {"step": 3, "steps": 10})
                await it.jobs.finish(2, attempt, Report("failed", "signal 9", "it was killed", retry=True))
            events = await until(server, "trainer.job.failed.v1")
            await integrations.close()
    kinds = [str(event["type"]).split(".")[2] for event in events]
    assert kinds == ["started", "progress", "failed"]
    assert {(event["job_id"], event["user_id"], event["queue"]) for event in events} == {("my-bpe", 12345, "small")}
    assert events[1]["progress"] == 30
    assert "Attempt 1 failed: it was killed" in str(events[1]["message"])
    assert (events[2]["error_kind"], events[2]["message"]) == ("system", "it was killed")
