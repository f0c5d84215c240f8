"""Real worker processes: kept alive, given work, killed in every way."""

import asyncio
import contextlib
import os
import signal
import statistics
import time

import psutil
import pytest

from daemon.messages import (
    Counts,
    Evaluate,
    Evaluated,
    FromWorker,
    Scan,
    Scanned,
    Train,
    Trained,
    TrainProgress,
)
from daemon.supervisor.processes.ports import CommandFailedError, WorkerLostError, WorkerUnavailableError
from tests.daemon.supervisor.scripted import StartCrew, alive

TRAIN = Train(cycle=1, attempt=1, version=1, base=None)
EVALUATE = Evaluate(version=1, incumbent=None, cycle=None)


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and alive(psutil.Process(pid))


@pytest.mark.anyio
async def test_a_killed_worker_is_replaced_at_once(crew: StartCrew) -> None:
    took = []
    async with crew(monitor="idle", max_restarts=1000, backoff_cap_seconds=0.001) as it:
        for _ in range(7):
            await it.until(lambda: it.state("monitor") == "running")
            await asyncio.sleep(0.01)  # longer than the cap: each death is a first one
            old = it.pid("monitor")
            start = time.monotonic()
            os.kill(old, signal.SIGKILL)
            await it.until(lambda old=old: it.workers.statuses()["monitor"].pid not in (None, old))
            took.append(time.monotonic() - start)
        status = it.workers.statuses()["monitor"]
        assert status.restarts == 7
        assert {death.reason for death in status.deaths} == {"was killed by SIGKILL"}
    assert statistics.median(took) <= 0.2, "50 ms on a machine with nothing else to do"


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["worker dies", "worker is stopped"])
async def test_children_die_with_their_worker(crew: StartCrew, how: str) -> None:
    async with crew(intake="with_children") as it:
        await it.until(lambda: it.state("intake") == "running")
        near, far = map(int, (it.paths.state / "children-intake").read_text().split())
        assert runs(near)
        assert runs(far)
        if how == "worker dies":
            os.kill(it.pid("intake"), signal.SIGKILL)
        else:
            await it.workers.stop_worker("intake")
        await it.until(lambda: not runs(near) and not runs(far), seconds=2)
        await it.until(lambda: not psutil.pid_exists(near) and not psutil.pid_exists(far), seconds=2)  # buried


@pytest.mark.anyio
@pytest.mark.parametrize("behaviour", ["crash", "crash_early"])
async def test_a_crash_loop_backs_off_and_then_fails_until_started_by_hand(crew: StartCrew, behaviour: str) -> None:
    async with crew(monitor=behaviour, intake="idle", max_restarts=2) as it:
        await it.until(lambda: it.state("monitor") == "failed")
        assert [change.now for change in it.changes if change.worker == "monitor"].count("backoff") == 1
        assert it.state("intake") == "running", "the others are not taken down"
        status = it.workers.statuses()["monitor"]
        assert (status.restarts, len(status.deaths), status.pid) == (2, 3, None)
        changes = len(it.changes)
        with contextlib.suppress(WorkerLostError):
            await it.workers.start_worker("monitor")
        await it.until(lambda: it.state("monitor") == "failed")
        assert [change.now for change in it.changes[changes:]].count("backoff") == 1, "the tally was cleared"
        await it.workers.stop_worker("monitor")
        assert it.state("monitor") == "stopped"


@pytest.mark.anyio
async def test_an_early_crash_leaves_its_trace_in_the_workers_log(crew: StartCrew) -> None:
    async with crew(monitor="crash_early", max_restarts=1) as it:
        await it.until(lambda: it.state("monitor") == "failed")
        lines = it.log("monitor")
        assert "RuntimeError: broken before it began" in [line["event"] for line in lines]
        assert {line["stream"] for line in lines} == {"stderr"}


@pytest.mark.anyio
async def test_a_stop_during_the_back_off_is_immediate(crew: StartCrew) -> None:
    async with crew(monitor="crash", max_restarts=9, backoff_cap_seconds=60) as it:
        await it.until(lambda: it.state("monitor") == "backoff")
        start = time.monotonic()
        await it.workers.stop_worker("monitor")
        assert time.monotonic() - start < 0.1
        await asyncio.sleep(0.7)  # longer than the pause
        assert it.state("monitor") == "stopped"


@pytest.mark.anyio
async def test_a_stopped_process_is_noticed_and_replaced(crew: StartCrew) -> None:
    async with crew(server="idle", heartbeat_timeout_seconds=0.9) as it:
        await it.until(lambda: it.state("server") == "running")
        old = it.pid("server")
        os.kill(old, signal.SIGSTOP)
        await it.until(lambda: it.state("server") == "hung", seconds=8)
        await it.until(lambda: it.state("server") == "running" and it.pid("server") != old, seconds=5)
        assert "silent for 0.9 s" in it.workers.statuses()["server"].deaths[0].reason


@pytest.mark.anyio
async def test_a_busy_worker_without_progress_shows_its_stacks_and_is_replaced(crew: StartCrew) -> None:
    async with crew(intake="stuck", heartbeat_timeout_seconds=0.6, stall_timeout_seconds=0.8) as it:
        await it.until(lambda: it.workers.statuses()["intake"].deaths, seconds=5)
        death = it.workers.statuses()["intake"].deaths[0]
        assert death.reason.startswith("was killed by SIGABRT (busy (a step) without progress for 0.8 s; in ")
        await it.until(lambda: any("> deaf (scripted_worker.py:" in str(line["event"]) for line in it.log("intake")))


@pytest.mark.anyio
async def test_an_idle_worker_without_progress_is_left_alone(crew: StartCrew) -> None:
    async with crew(intake="idle", heartbeat_timeout_seconds=0.6, stall_timeout_seconds=0.3) as it:
        await it.until(lambda: it.state("intake") == "running")
        await asyncio.sleep(1.2)
        assert it.state("intake") == "running"
        assert it.workers.statuses()["intake"].restarts == 0


@pytest.mark.anyio
async def test_a_worker_that_never_gets_ready_is_replaced(crew: StartCrew) -> None:
    async with crew(server="never_ready", boot_timeout_seconds=0.5, heartbeat_timeout_seconds=0.3) as it:
        await it.until(lambda: it.workers.statuses()["server"].deaths, seconds=6)
        assert "not ready within 0.5 s" in it.workers.statuses()["server"].deaths[0].reason


@pytest.mark.anyio
async def test_time_in_which_the_supervisor_itself_was_frozen_counts_for_nobody(crew: StartCrew) -> None:
    async with crew(intake="idle", monitor="idle", heartbeat_timeout_seconds=0.9) as it:
        await it.until(lambda: (it.state("intake"), it.state("monitor")) == ("running", "running"))
        pids = [it.pid("intake"), it.pid("monitor")]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2.5)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(1.2)
        assert [it.pid("intake"), it.pid("monitor")] == pids


@pytest.mark.anyio
async def test_all_stop_at_the_same_time_and_within_their_grace(crew: StartCrew) -> None:
    async with crew(intake="finishing", server="finishing", monitor="deaf") as it:
        await it.until(lambda: {it.state(name) for name in ("intake", "server", "monitor")} == {"running"})
        start = time.monotonic()
        await it.workers.stop(1.5)
        assert 1.4 < time.monotonic() - start < 2.0, "the deaf one is killed at the end of its grace"
        for name in ("intake", "server"):
            assert 0 < float((it.paths.state / f"finished-{name}").read_text()) < 1.5


@pytest.mark.anyio
async def test_a_second_stop_is_at_once(crew: StartCrew) -> None:
    async with crew(monitor="deaf") as it:
        await it.until(lambda: it.state("monitor") == "running")
        slow = asyncio.create_task(it.workers.stop(60))
        await asyncio.sleep(0.05)
        start = time.monotonic()
        await it.workers.stop(0.0)
        await slow
        assert time.monotonic() - start < 0.3


@pytest.mark.anyio
async def test_a_worker_can_be_stopped_before_it_has_said_hello(crew: StartCrew) -> None:
    async with crew(intake="idle", monitor="late") as it:
        start = time.monotonic()
        await it.workers.stop(30)
        assert time.monotonic() - start < 0.5


@pytest.mark.anyio
async def test_a_restart_by_hand_returns_with_the_new_process_ready(crew: StartCrew) -> None:
    async with crew(server="idle") as it:
        await it.ready("server")
        old = it.pid("server")
        await it.workers.restart("server")
        assert it.state("server") == "running"
        assert it.pid("server") != old
        assert not runs(old)
        assert it.workers.statuses()["server"].restarts == 0


@pytest.mark.anyio
async def test_requests_are_answered_refused_or_lost(crew: StartCrew) -> None:
    async with crew(intake="idle", server="deaf", monitor="late") as it:
        with pytest.raises(WorkerUnavailableError, match="monitor is starting"):
            it.workers.send("monitor", Scan())
        with pytest.raises(WorkerUnavailableError):
            await it.workers.ask("monitor", Scan(), Scanned)
        await it.ready("intake")
        answer = await it.workers.ask("intake", Scan(), Scanned)
        assert (answer.added, answer.duplicates, answer.quarantined) == (1, 0, 0)
        again = await it.workers.ask("intake", Scan(), Scanned)
        assert again.to != answer.to, "each command has an id of its own"
        await it.ready("server")
        waiting = asyncio.create_task(it.workers.ask("server", Scan(), Scanned))
        await asyncio.sleep(0.05)
        os.kill(it.pid("server"), signal.SIGKILL)
        with pytest.raises(WorkerLostError, match="server was killed by SIGKILL"):
            await waiting


@pytest.mark.anyio
async def test_a_reload_reaches_every_worker_with_the_new_settings(crew: StartCrew) -> None:
    async with crew(intake="idle", monitor="idle") as it:
        await it.ready("intake")
        await it.ready("monitor")
        data = it.settings.data.model_copy(update={"min_conversations": 77})
        new = it.settings.model_copy(update={"data": data})
        it.paths.settings_file.write_text(new.model_dump_json())
        it.workers.reload(new)
        expected = [(name, Counts(new=77)) for name in ("intake", "monitor")]
        await it.until(lambda: all(entry in it.messages for entry in expected))


@pytest.mark.anyio
async def test_a_shorter_heartbeat_timeout_is_for_workers_that_know_of_it(crew: StartCrew) -> None:
    async with crew(intake="idle", heartbeat_timeout_seconds=3.0) as it:
        await it.ready("intake")
        before = it.pid("intake")
        limits = it.settings.supervision.model_copy(update={"heartbeat_timeout_seconds": 0.3})
        new = it.settings.model_copy(update={"supervision": limits})
        it.paths.settings_file.write_text(new.model_dump_json())
        it.workers.reload(new)
        await asyncio.sleep(1.0)
        assert (it.state("intake"), it.pid("intake")) == ("running", before)


@pytest.mark.anyio
async def test_a_run_is_one_process_from_command_to_answer(crew: StartCrew) -> None:
    async with crew(trainer="idle", evaluator="idle") as it:
        assert it.state("trainer") == "stopped"
        seen: list[FromWorker] = []
        answer = await it.workers.run("trainer", TRAIN, Trained, seen.append)
        assert answer.version == TRAIN.version
        progress = [message for message in seen if isinstance(message, TrainProgress)]
        assert [message.step for message in progress] == [0, 1, 2]
        assert seen[-1] == answer
        again = await it.workers.run("trainer", TRAIN, Trained, seen.append)
        assert again.version == answer.version
        with pytest.raises(CommandFailedError, match="no such version"):
            await it.workers.run("evaluator", EVALUATE, Evaluated, seen.append)
        await it.until(lambda: it.state("evaluator") == it.state("trainer") == "stopped")
        assert it.workers.statuses()["trainer"].deaths == ()


@pytest.mark.anyio
async def test_a_run_whose_process_dies_is_lost_and_not_repeated(crew: StartCrew) -> None:
    async with crew(trainer="crash_in_training", evaluator="crash_early") as it:
        with pytest.raises(WorkerLostError, match="trainer was killed by SIGSEGV"):
            await it.workers.run("trainer", TRAIN, Trained, lambda _: None)
        assert it.state("trainer") == "stopped"
        await it.until(lambda: any("Segmentation fault" in str(line["event"]) for line in it.log("trainer")))
        with pytest.raises(WorkerLostError, match="evaluator exited with status 1"):
            await it.workers.run("evaluator", EVALUATE, Evaluated, lambda _: None)


@pytest.mark.anyio
async def test_a_cancelled_run_lets_its_worker_finish(crew: StartCrew) -> None:
    async with crew(trainer="finishing") as it:
        run = asyncio.create_task(it.workers.run("trainer", TRAIN, Trained, lambda _: None))
        await it.until(lambda: it.state("trainer") == "running")
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert it.state("trainer") == "stopped"
        assert (it.paths.state / "finished-trainer").exists()


@pytest.mark.anyio
async def test_an_executable_that_is_missing_is_a_failed_worker_and_no_more(crew: StartCrew) -> None:
    async with crew(intake="idle") as it:
        worker = it.workers._workers["intake"]
        await it.workers.stop_worker("intake")
        object.__setattr__(worker.role, "argv", ("/nowhere/python",))
        with pytest.raises(WorkerLostError, match="No such file"):
            await it.workers.start_worker("intake")


@pytest.mark.anyio
async def test_what_a_worker_prints_ends_in_its_log(crew: StartCrew) -> None:
    async with crew(monitor="prints") as it:
        await it.ready("monitor")
        await it.workers.stop(5)
        printed = [line for line in it.log("monitor") if "stream" in line]
        assert {line["stream"]: line["event"] for line in printed} == {
            "stdout": "a stray \u2028 print \\x80",
            "stderr": "no end of line, \\xff no UTF-8",
        }


@pytest.mark.anyio
async def test_a_flood_is_held_up_and_hurts_nobody(crew: StartCrew) -> None:
    async with crew(intake="idle", monitor="flood", log_megabytes=1) as it:
        await it.ready("intake")
        await it.ready("monitor")
        waits = []
        for _ in range(150):
            start = time.monotonic()
            await it.workers.ask("intake", Scan(), Scanned)
            waits.append(time.monotonic() - start)
            await asyncio.sleep(0.005)
        assert statistics.quantiles(waits, n=100)[97] < 0.25
        written = sum(file.stat().st_size for file in it.paths.logs.glob("monitor.log*"))
        assert written < 2 << 20, "no more than a fixed rate reaches the disk"
        await it.workers.stop(5)
        assert {line["event"] for line in it.log("monitor") if line.get("stream")} == {"y" * 60}


@pytest.mark.anyio
async def test_a_worker_gets_its_own_session_priorities_and_a_clean_environment(
    crew: StartCrew, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("KEPT", "yes")
    async with crew(intake="describes_itself", trainer="describes_itself") as it:
        await it.ready("intake")
        await it.workers.run("trainer", TRAIN, Trained, lambda _: None)
        facts = {
            name: [line.split("=", 1) for line in (it.paths.state / f"facts-{name}").read_text().splitlines()]
            for name in ("intake", "trainer")
        }
        for name in facts:
            known = dict(facts[name])
            assert known["KEPT"] == "yes"
            private = ("NOTIFY", "WATCHDOG", "LISTEN", "THORD_ASSIGNMENT")
            assert not [key for key in known if key.startswith(private)]
            assert known["pid"] == known["group"] == known["session"]
            files = [value for key, value in facts[name] if key == "file"]
            assert not [file for file in files if "thord.log" in file or "channel" in file]
            assert len([file for file in files if "socket:" in file]) == 1, "only its own channel"
        trainer, intake = dict(facts["trainer"]), dict(facts["intake"])
        assert int(trainer["nice"]) > int(intake["nice"])
        assert int(trainer["oom"]) > int(intake["oom"])
        if intake["slice"]:  # nanoseconds, from Linux 6.12 on
            assert int(trainer["slice"]) == 100_000_000 > int(intake["slice"])
        if intake["autogroup"]:
            assert int(trainer["autogroup"]) == 19 > int(intake["autogroup"])
