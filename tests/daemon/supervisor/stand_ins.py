"""Stand-ins for the worker processes.

What real workers keep on disk (ledger, checkpoints, published versions) is kept on disk here too, so a life that ends
by SIGKILL (`lives`) and the next one see what they would see.
"""

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

from control.paths import Paths
from daemon.messages import (
    UNASKED,
    Answer,
    Collect,
    Collected,
    CollectFiles,
    Command,
    Commit,
    Counts,
    Evaluate,
    Evaluated,
    Failure,
    Fold,
    FromWorker,
    Imported,
    Message,
    Prepare,
    Prepared,
    Ready,
    Refused,
    Serving,
    Settle,
    Settled,
    Train,
    Trained,
    TrainProgress,
    WorkerName,
)
from daemon.settings.data import DataSettings
from daemon.settings.sections import SupervisionSettings, Tables
from daemon.supervisor.jobs.attempts import Cause
from daemon.supervisor.learning.learning import Learning
from daemon.supervisor.processes.answers import accepted
from daemon.supervisor.processes.ports import A, OnMessage, WorkerLostError, WorkerUnavailableError
from daemon.supervisor.store.degradations import Degradations
from engine import artifacts
from engine.manifest import ADAPTER, WEIGHTS, Base, VersionManifest, read_manifest, verify
from tests.daemon.supervisor.ledger_stand_in import Ledger, write_whole

STEPS = 6
LOSS: Mapping[str, float] = {"loss": 1.0}


def tables(*, minimum: int = 3, attempts: int = 3, threshold: int = 0, interval_minutes: float = 600.0) -> Tables:
    """Settings for a small thord."""
    plain = Tables()
    return plain.model_copy(
        update={
            "data": DataSettings(min_conversations=minimum, max_conversations_per_cycle=100),
            "supervision": SupervisionSettings(max_attempts=attempts),
            "schedule": plain.schedule.model_copy(
                update={"after_new_conversations": threshold, "interval_minutes": interval_minutes}
            ),
        }
    )


def publish(
    paths: Paths,
    number: int,
    *,
    parent: int | None = None,
    cycle: int | None = 0,
    metrics: Mapping[str, float] = LOSS,
    base: Base | None = None,
    job: int | None = None,
) -> VersionManifest:
    """A version folder with true sums, as the trainer publishes it; with ``base`` an adapter for that."""
    with artifacts.publishing(paths.version(number)) as draft:
        (draft / (ADAPTER if base else WEIGHTS)).write_bytes(f"weights of {number}".encode() * 50)
        manifest = VersionManifest(
            version=number,
            parent=parent,
            cycle=cycle,
            created_at="2026-01-01T00:00:00Z",
            family="thor",
            parameters=1000 + number,
            tokenizer_sha256="0" * 64,
            snapshot_sha256="0" * 64,
            seed=0,
            settings={},
            libraries={},
            training_seconds=1.0,
            metrics=dict(metrics),
            files=artifacts.record_files(draft),
            base=base,
            job=job,
        )
        (draft / "manifest.json").write_text(manifest.model_dump_json())
    return manifest


@dataclasses.dataclass
class Script:
    """How the stand-ins behave."""

    verdicts: list[bool] = dataclasses.field(default_factory=list)
    """What the evaluator says, in turn; then always yes."""
    trainer: Callable[[int, int], str | None] = lambda _run, _step: None
    """Given the number of the run and the step it is about to do: ``die``, a failure, or null."""
    kind: str = "not_shown"
    """What kind of a no the evaluator says."""
    audits: list[float] = dataclasses.field(default_factory=list)
    """By how much the evaluator finds a version worse on sealed conversations, in turn; then by nothing."""
    metrics: dict[str, float] = dataclasses.field(default_factory=lambda: {"loss": 0.5})
    """What a run comes to."""
    adapters: bool = False
    """Runs that go on from a version learn an adapter for version 1."""
    server_up: bool = True
    intake_up: bool = True
    held_out: int = 20
    refuses: dict[int, str] = dataclasses.field(default_factory=dict)
    """Versions the server refuses, and why."""
    fails_to_flip: frozenset[int] = frozenset()
    failed_flips_are_unfit: bool = True
    """Versions that the server prepares well and then cannot load."""
    no_room: int = 0
    """How many times the server has no room for a version."""
    prepare_kills: int = 0
    """How many times the server dies while it prepares."""


class StandIns:
    """Behaves as `WorkerPool` does. ``moment`` is told before and after everything that changes the world."""

    def __init__(self, paths: Paths, script: Script | None = None, moment: Callable[[str], None] = lambda _: None):
        self.paths = paths
        self.script = script or Script()
        paths.state.mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger(paths.state / "ledger.json")
        self.moment = moment
        self.log: list[Message] = []
        self.runs: list[Train | Evaluate | Fold] = []
        self.serving = artifacts.current_version(paths.current)
        self.preparing = 0
        self.overlapped = False
        self.stopped_runs = 0
        self.asked_in_vain = 0
        self._ids = itertools.count(1)
        self.gates: dict[WorkerName, asyncio.Event] = {}
        self._at_gate: dict[WorkerName, asyncio.Event] = {}
        self._subscribers: list[Callable[[WorkerName, FromWorker], None]] = []

    def pid(self, worker: WorkerName) -> int | None:
        return 4711

    def slowed_to(self, worker: WorkerName) -> float | None:
        return None

    def subscribe(self, callback: Callable[[WorkerName, FromWorker], None]) -> None:
        self._subscribers.append(callback)

    def tell(self, worker: WorkerName, message: FromWorker) -> None:
        """A worker says something unasked."""
        for callback in self._subscribers:
            asyncio.get_running_loop().call_soon(callback, worker, message)

    def boot_server(self, version: int | None = None) -> None:
        """The server comes up, with what ``current`` says unless told otherwise."""
        self.script.server_up = True
        self.serving = version if version is not None else artifacts.current_version(self.paths.current)
        self.tell("server", Serving(to=UNASKED, version=self.serving))
        self.tell("server", Ready())

    def hold(self, worker: WorkerName) -> None:
        """From now on runs of this worker wait before they answer."""
        self.gates[worker], self._at_gate[worker] = asyncio.Event(), asyncio.Event()

    async def until_held(self, worker: WorkerName) -> None:
        """Wait until a run waits."""
        await self._at_gate[worker].wait()

    async def until_asked_in_vain(self, times: int = 1) -> None:
        """Wait until so many requests found their worker down."""
        while self.asked_in_vain < times:
            await asyncio.sleep(0.002)

    def release(self, worker: WorkerName) -> None:
        """Let the runs of this worker go on."""
        self.gates.pop(worker).set()

    def boot_intake(self) -> None:
        self.script.intake_up = True
        self.tell("intake", Ready())

    def send(self, worker: WorkerName, message: Message) -> None:
        if worker == "server" and not self.script.server_up:
            raise WorkerUnavailableError("the server is down")
        self.log.append(message)

    def _numbered(self, command: Command) -> Command:
        return command.model_copy(update={"id": next(self._ids)})

    async def ask(self, worker: WorkerName, command: Command, *expected: type[A]) -> A:
        up = {"server": self.script.server_up, "intake": self.script.intake_up}[worker]
        if not up:
            self.asked_in_vain += 1
            raise WorkerUnavailableError(f"the {worker} is down")
        self.log.append(command)
        command = self._numbered(command)
        self.moment(f"{command.kind} asked")
        answer = await self._answer(command)
        self.moment(f"{command.kind} answered")
        assert answer.to == command.id
        for callback in self._subscribers:
            callback(worker, answer)
        return accepted(answer, expected)

    async def _answer(self, message: Command) -> Answer:
        await asyncio.sleep(0)
        if isinstance(message, Collect):
            if message.files:
                return Collected(
                    to=message.id, conversations=5, replayed=0, held_out=self.script.held_out, sha256="f" * 64
                )
            found = self.ledger.collect(message.cycle, message.limit)
            return Collected(
                to=message.id, conversations=found, replayed=1, held_out=self.script.held_out, sha256="c" * 64
            )
        if isinstance(message, CollectFiles):
            return Collected(to=message.id, conversations=5, replayed=0, held_out=self.script.held_out, sha256="f" * 64)
        if isinstance(message, Settle):
            self.ledger.settle(message)
            self.tell("intake", Counts(new=self.ledger.new))
            return Settled(to=message.id)
        if isinstance(message, Prepare):
            return await self._prepare(message)
        if isinstance(message, Commit):
            assert artifacts.current_version(self.paths.current) == message.version
            if message.version in self.script.fails_to_flip:
                self.serving = None
                unfit = self.script.failed_flips_are_unfit
                return Refused(to=message.id, version=message.version, reason="not enough memory", unfit=unfit)
            self.serving = message.version
            return Serving(to=message.id, version=message.version, resident=(message.version,))
        raise AssertionError(message)

    async def _prepare(self, command: Prepare) -> Answer:
        version = command.version
        self.preparing += 1
        self.overlapped |= self.preparing > 1
        await asyncio.sleep(0.002)
        self.preparing -= 1
        if self.script.prepare_kills:
            self.script.prepare_kills -= 1
            asyncio.get_running_loop().call_later(0.01, self.boot_server, self.serving)
            raise WorkerLostError("the server was killed")
        if self.script.no_room:
            self.script.no_room -= 1
            return Refused(to=command.id, version=version, reason="an older version still drains", unfit=False)
        try:
            verify(self.paths.version(version))
        except artifacts.ArtifactError as error:
            return Refused(to=command.id, version=version, reason=str(error))
        if version in self.script.refuses:
            return Refused(to=command.id, version=version, reason=self.script.refuses[version])
        return Prepared(to=command.id, version=version)

    async def run(self, worker: WorkerName, command: Command, expected: type[A], on_message: OnMessage) -> A:
        self.runs.append(command)
        command = self._numbered(command)
        self.moment(f"{worker} spawned")
        try:
            if isinstance(command, Fold):
                answer = self._fold(command)
            else:
                answer = await self._train(command, on_message) if isinstance(command, Train) else self._judge(command)
            if worker in self.gates:
                self._at_gate[worker].set()
                await self.gates[worker].wait()
        except asyncio.CancelledError:
            self.stopped_runs += 1
            raise
        self.moment(f"{worker} ended")
        return accepted(answer, (expected,))

    async def _train(self, command: Train, on_message: OnMessage) -> Answer:
        mine = (command.cycle, command.job)
        run = sum(isinstance(run, Train) and (run.cycle, run.job) == mine for run in self.runs)
        checkpoint = self._run_folder(command) / "step"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        done = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for step in range(done + 1, STEPS + 1):
            fate = self.script.trainer(run, step)
            if fate == "die":
                await asyncio.sleep(0.001)  # what it said is on its way
                raise WorkerLostError("the trainer was killed by signal 9")
            if fate is not None:
                retry, diverged = fate.startswith("disk"), fate.startswith("diverged")
                return Failure(to=command.id, reason=fate, retry=retry, diverged=diverged)
            write_whole(checkpoint, str(step))
            self.moment("step done")
            on_message(
                TrainProgress(
                    cycle=command.cycle,
                    job=command.job,
                    step=step,
                    steps=STEPS,
                    loss=1 / step,
                    learning_rate=0.1,
                    tokens_per_second=10.0,
                    eta_seconds=None,
                )
            )
            await asyncio.sleep(0)
        if not self.paths.version(command.version).exists():
            about = {"parent": command.base, "cycle": command.cycle, "job": command.job, "metrics": self.script.metrics}
            publish(self.paths, command.version, base=self._base(command), **about)
        return Trained(to=command.id, version=command.version)

    def _run_folder(self, command: Train) -> Path:
        return self.paths.run_folder(command.cycle or 0) if command.job is None else self.paths.job_run(command.job)

    def _base(self, command: Train) -> Base | None:
        if command.base is None or not self.script.adapters:
            return None
        goes_on = read_manifest(self.paths.version(command.base))
        return goes_on.base or Base(version=goes_on.version, sha256=goes_on.sha256)

    def _fold(self, command: Fold) -> Answer:
        publish(self.paths, command.version, parent=command.adapter, cycle=None)
        return Imported(to=command.id, version=command.version)

    def _audit(self, command: Evaluate) -> Answer:
        worse = self.script.audits.pop(0) if self.script.audits else 0.0
        overall = {"conversations": 200, "difference": worse, "lower": worse - 0.001, "upper": worse + 0.001}
        return Evaluated(
            to=command.id,
            version=command.version,
            passed=True,
            reason="audited",
            gate={"overall": overall},
            metrics={},
        )

    def _judge(self, command: Evaluate) -> Answer:
        if command.sealed:
            return self._audit(command)
        passed = self.script.verdicts.pop(0) if self.script.verdicts else True
        return Evaluated(
            to=command.id,
            version=command.version,
            passed=passed,
            reason="better on every draw" if passed else "no improvement: 0.0 bits per byte",
            gate={"passed": passed, "incumbent": command.incumbent} | ({} if passed else {"kind": self.script.kind}),
            metrics={"bits_per_byte": 2.0},
        )


def with_conversations(paths: Paths, script: Script | None = None, *, conversations: int = 5) -> StandIns:
    """Stand-ins whose ledger has new conversations."""
    it = StandIns(paths, script)
    it.ledger.add(conversations)
    return it


@contextlib.asynccontextmanager
async def learning(
    workers: StandIns, settings: Tables | Callable[[], Tables] | None = None, clock_seconds: float = 60.0
):
    """Store, swap, driver and schedule around the stand-ins, recovered and running."""
    chosen = settings or tables()
    it = await Learning.open(
        workers.paths,
        chosen if callable(chosen) else lambda: chosen,
        workers,
        Degradations(first_pause=0.01),
        first_pauses=dict.fromkeys(Cause, 0.001),
        intake_pause=0.01,
        clock_seconds=clock_seconds,
    )
    await it.recover()
    try:
        yield it
    finally:
        await it.close()


async def ended(it: Learning, number: int):
    """Wait until a cycle has ended; the cycle."""
    async for _ in it.cycles.follow(number):
        pass
    return await it.store.cycle(number)


async def settled(it: Learning) -> None:
    """Wait until the intake has settled every cycle that ended."""
    while await it.store.unsettled_cycles():
        await asyncio.sleep(0.002)
