"""Everything about cycles, jobs and versions, put together."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from control.paths import Paths
from daemon.settings.sections import Tables
from daemon.supervisor.intake.requests import IntakeRequests
from daemon.supervisor.intake.scans import Scans
from daemon.supervisor.jobs.attempts import FIRST_PAUSES, Cause
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.jobs.lane import Lane
from daemon.supervisor.jobs.turns import Turns
from daemon.supervisor.learning import versions
from daemon.supervisor.learning.cycles import Cycles
from daemon.supervisor.learning.evaluation.anchor_test import AnchorTest
from daemon.supervisor.learning.evaluation.evaluations import Evaluations
from daemon.supervisor.learning.evaluation.suite_rounds import SuiteRounds
from daemon.supervisor.learning.folding import Folding
from daemon.supervisor.learning.imports import Imports
from daemon.supervisor.learning.in_use import VersionsInUse
from daemon.supervisor.learning.job_kinds.lanes import lanes_of_host
from daemon.supervisor.learning.job_kinds.train import TrainJobs
from daemon.supervisor.learning.promotion import Promotion
from daemon.supervisor.learning.schedule import Schedule
from daemon.supervisor.processes.observed import Observed
from daemon.supervisor.processes.ports import Workers
from daemon.supervisor.retention.retention import Retention
from daemon.supervisor.retention.uploader import Uploader
from daemon.supervisor.store import cycles_on_disk, jobs_on_disk
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.store import Store
from daemon.uploads import data_bank


@dataclass(frozen=True)
class Learning:
    """Store, swap, driver and schedule of one thord. Make it with `open`, then `recover`, at last `close`."""

    store: Store
    promotion: Promotion
    evaluations: Evaluations
    imports: Imports
    folding: Folding
    anchor_test: AnchorTest
    suite_rounds: SuiteRounds
    scans: Scans
    cycles: Cycles
    jobs: Jobs
    train_jobs: TrainJobs
    lanes: tuple[Lane, ...]
    schedule: Schedule
    retention: Retention
    uploader: Uploader
    observed: Observed
    degradations: Degradations
    paths: Paths

    @classmethod
    async def open(
        cls,
        paths: Paths,
        tables: Callable[[], Tables],
        workers: Workers,
        degradations: Degradations,
        *,
        first_pauses: Mapping[Cause, float] = FIRST_PAUSES,
        intake_pause: float = 5.0,
        clock_seconds: float = 60.0,
    ) -> "Learning":
        """Open the store and put the parts together.

        Args:
            paths: where everything is.
            tables: gives the settings as they are now.
            workers: the processes that do the work.
            degradations: is told what is wrong.
            first_pauses: seconds before another attempt at a step of a cycle, by what cut the last one short.
            intake_pause: seconds before an intake that is away is asked again.
            clock_seconds: the time between two looks at the clock, which may have been set meanwhile.

        Raises:
            StoreDamagedError: the database cannot be used; the message says what to do.
            StoreUnavailableError: it cannot be opened now.
        """
        store = await Store.open(paths.database, paths.backups)
        promotion = Promotion(store, workers, paths, tables, degradations)
        evaluations = Evaluations(store, workers, promotion)
        turns = Turns(lambda: tables().jobs)
        cycles = Cycles(
            store,
            workers,
            promotion,
            evaluations,
            paths,
            tables,
            degradations,
            turns,
            first_pauses=first_pauses,
            intake_pause=intake_pause,
        )
        schedule = Schedule(store, cycles, workers, paths, tables, degradations, clock_seconds=clock_seconds)
        anchor_test = AnchorTest(store, evaluations, promotion, tables, degradations)
        jobs = Jobs(store, lambda: tables().jobs, degradations)
        intake = IntakeRequests(workers, intake_pause)
        train_jobs = TrainJobs(store, jobs, workers, intake, evaluations, promotion, paths, degradations)
        lanes = lanes_of_host(store, jobs, train_jobs, evaluations, workers, turns, tables, paths, degradations)
        retention = Retention(store, VersionsInUse(promotion, cycles, evaluations, anchor_test, lanes), paths, tables)
        cycles.steps.before_training = retention.make_room
        uploader = Uploader(
            store,
            paths,
            tables,
            degradations,
            lambda: data_bank.key(tables().integrations.data_bank, paths),
            retention.begin,
        )
        jobs.watch.subscribe(uploader.changed)
        imports = Imports(store, workers, paths)
        folding = Folding(imports, anchor_test)
        cycles.on_end(lambda _: retention.begin())
        cycles.on_end(anchor_test.consider)
        cycles.on_end(folding.consider)
        schedule.at_night = retention.begin
        return cls(
            store=store,
            promotion=promotion,
            evaluations=evaluations,
            imports=imports,
            folding=folding,
            anchor_test=anchor_test,
            suite_rounds=SuiteRounds(
                store, evaluations, promotion, lambda: cycles.current is not None, tables, degradations
            ),
            scans=Scans(workers),
            cycles=cycles,
            jobs=jobs,
            train_jobs=train_jobs,
            lanes=lanes,
            schedule=schedule,
            retention=retention,
            uploader=uploader,
            observed=Observed(workers),
            degradations=degradations,
            paths=paths,
        )

    async def recover(self) -> None:
        """Repair what a crash left and go on. It does not wait for workers."""
        await self.promotion.recover()
        await self.anchor_test.recover()
        await retry_until_stored(lambda: versions.adopt(self.store, self.paths), self.degradations)
        found = await asyncio.to_thread(cycles_on_disk.find, self.paths)
        await retry_until_stored(lambda: self.store.adopt_cycles(found), self.degradations)
        await retry_until_stored(self.retention.finish, self.degradations)
        await self.cycles.recover()
        highest_job = await asyncio.to_thread(jobs_on_disk.highest, self.paths)
        await retry_until_stored(lambda: self.store.skip_job_numbers(highest_job), self.degradations)
        await self.jobs.recover()
        for lane in self.lanes:
            lane.start()
        await self.schedule.start()
        self.suite_rounds.start()
        self.retention.begin()
        self.uploader.start()

    async def close(self) -> None:
        """Stop in good order; what is unfinished goes on at the next start."""
        await self.schedule.close()
        await self.uploader.close()
        await self.suite_rounds.close()
        await self.folding.close()
        await self.anchor_test.close()
        await asyncio.gather(
            *(lane.close() for lane in self.lanes),
            self.cycles.close(),
            self.jobs.close(),
            self.promotion.close(),
            self.retention.close(),
        )
        await self.store.close()
