"""Tokenizer jobs: train a tokenizer for runs to come, under a name that clients choose."""

from collections.abc import Callable

from control.paths import Paths
from daemon.messages import FromWorker, MakeTokenizer, TokenizerMade
from daemon.supervisor.jobs.attempts import FailedError
from daemon.supervisor.jobs.lane import Done
from daemon.supervisor.jobs.requests import BadJobRequestError, TokenizerRequest, parsed
from daemon.supervisor.processes.ports import Workers
from daemon.supervisor.store.job_records import Job


class TokenizerJobs:
    """Has the trainer make tokenizers."""

    def __init__(self, workers: Workers, paths: Paths) -> None:
        self._workers = workers
        self._paths = paths

    async def __call__(self, job: Job, _: int, on_message: Callable[[FromWorker], None]) -> Done:
        """Make it; where it is, and what it is like.

        Raises:
            FailedError: the request is wrong.
            CommandFailedError, WorkerLostError, WorkerUnavailableError: as for `Workers.run`.
        """
        try:
            asked = parsed(TokenizerRequest, job.request)
        except BadJobRequestError as error:
            raise FailedError(str(error)) from error
        name = job.run_id or f"tokenizer-{job.id:06d}"
        command = MakeTokenizer(job=job.id, name=name, files=asked.files, settings=asked.settings())
        made = await self._workers.run("trainer", command, TokenizerMade, on_message)
        folder = str(self._paths.tokenizer_artifact(name))
        return Done(
            {"tokenizer_id": name, "artifact": folder, "kind": made.tokenizer_kind, "vocabulary": made.vocabulary}
        )
