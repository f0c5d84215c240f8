"""The lanes of this host: which worker does which kinds of job, and how."""

from collections.abc import Callable, Mapping

from control.paths import Paths
from daemon.job import JobKind
from daemon.messages import WorkerName
from daemon.settings.sections import Tables
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.jobs.lane import Lane, Work
from daemon.supervisor.jobs.turns import Turns
from daemon.supervisor.learning.evaluation.evaluations import Evaluations
from daemon.supervisor.learning.job_kinds.evaluate import EvaluateJobs
from daemon.supervisor.learning.job_kinds.imports import ImportJobs
from daemon.supervisor.learning.job_kinds.tokenizer import TokenizerJobs
from daemon.supervisor.learning.job_kinds.train import TrainJobs
from daemon.supervisor.processes.ports import Workers
from daemon.supervisor.store.degradations import Degradations
from daemon.supervisor.store.store import Store


def lanes_of_host(
    store: Store,
    jobs: Jobs,
    train_jobs: TrainJobs,
    evaluations: Evaluations,
    workers: Workers,
    turns: Turns,
    tables: Callable[[], Tables],
    paths: Paths,
    degradations: Degradations,
) -> tuple[Lane, ...]:
    """What the trainer does for jobs, in turns with cycles, and what the evaluator does."""

    def lane(worker: WorkerName, works: Mapping[JobKind, Work], turns: Turns | None) -> Lane:
        return Lane(
            worker,
            works,
            jobs,
            store,
            workers,
            lambda: tables().jobs,
            degradations,
            log_of=paths.job_log,
            turns=turns,
        )

    by_trainer: dict[JobKind, Work] = {
        JobKind.TRAIN: train_jobs,
        JobKind.TOKENIZER: TokenizerJobs(workers, paths),
        JobKind.IMPORT: ImportJobs(store, workers, paths, degradations),
    }
    by_evaluator: dict[JobKind, Work] = {JobKind.EVALUATE: EvaluateJobs(store, evaluations, paths)}
    return (lane("trainer", by_trainer, turns), lane("evaluator", by_evaluator, None))
