"""``jobs job``, and ``cancel job``: look at work that was asked for beside cycles, follow it, end it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import exit_status
from control.cli.parser import Commands, Options, connect, positive
from control.job_answers import FINAL
from control.terminal import output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from control.answers import Json
    from control.client import Thord
    from control.job_answers import Attempt, Job


class JobsOptions(Options):
    """What ``jobs`` is given."""

    limit: int
    kind: str | None
    state: str | None


class JobOptions(Options):
    """What ``job`` is given."""

    number: int
    follow: bool


def add(commands: Commands) -> None:
    """Declare the commands."""
    jobs = commands.add(
        "jobs",
        "list jobs: runs, evaluations, tokenizers and answers that somebody asked for, newest first",
        _jobs,
        "thorctl jobs\nthorctl jobs --state running\nthorctl jobs --kind train --json | jq '.[].run_id'",
    )
    jobs.add_argument("-n", "--limit", type=positive, default=20, help="how many at most (20)")
    jobs.add_argument("--kind", help="only jobs of this kind, such as train")
    jobs.add_argument("--state", help="only jobs in this state, such as running")
    job = commands.add(
        "job",
        "show one job, with its attempts",
        _job,
        "thorctl job 12\nthorctl job 12 --follow\nthorctl job 12 --json | jq .state",
        "With --follow it shows progress until the job has ended: 0 where it is completed, 1 where not.",
    )
    job.add_argument("number", type=positive, metavar="N")
    job.add_argument("-f", "--follow", action="store_true", help="show progress until it has ended")


def cancel(thord: Thord, number: int, *, as_json: bool) -> int:
    """Ask a job to end, and say what became of it; the exit status."""
    job = thord.cancel_job(number)
    if as_json:
        output.emit(job)
    elif job["state"] in FINAL:
        output.say(f"job {number} is {job['state']}")
    else:
        output.say(f"job {number} is {job['state']}; to see it end: thorctl job {number} --follow")
    return exit_status.DONE


def _jobs(options: JobsOptions) -> int:
    jobs = connect(options).jobs(kind=options.kind, state=options.state, limit=options.limit)
    if options.json:
        output.emit(jobs)
    elif not jobs:
        output.say("no job of that kind" if options.kind or options.state else "no job yet")
    else:
        output.columns(
            ("JOB", "KIND", "RUN", "STATE", "ATTEMPT", "VERSION", "QUEUED", "NEWS"),
            (
                (
                    str(job["id"]),
                    job["kind"],
                    job["run_id"] or "-",
                    job["state"],
                    str(job["attempt"]),
                    output.figure(job["version"]),
                    output.moment(job["created_at"]),
                    _news(job),
                )
                for job in jobs
            ),
            states=(3,),
        )
    return exit_status.DONE


def _job(options: JobOptions) -> int:
    thord = connect(options)
    if options.follow:
        _follow(thord, options.number, silent=options.json)
    job = thord.job(options.number)
    if options.json:
        output.emit(job)
    elif not options.follow:
        _show(job)
    return exit_status.FAILED if options.follow and job["state"] != "completed" else exit_status.DONE


def _follow(thord: Thord, number: int, *, silent: bool) -> None:
    """Print each state and each progress; who stops looking does not stop the job."""
    try:
        for news in thord.follow_job(number):
            if silent:
                continue
            if "job" in news:
                output.say(f"{news['job']['state']}{_because(news['job'])}")
            elif "progress" in news:
                output.say(describe(news["progress"]))
    except KeyboardInterrupt:
        output.say_error(f"job {number} goes on; to end it: thorctl cancel job {number}")
        raise


def _show(job: Job) -> None:
    progress = job["progress"]
    output.fields(
        {
            "job": str(job["id"]),
            "kind": job["kind"],
            "run": output.clean(job["run_id"]),
            "state": output.paint_state(job["state"]),
            "error": output.clean(job["error"]),
            "progress": describe(progress) if progress else "-",
            "version": output.figure(job["version"]),
            "promote": job["promote"],
            "asked for by": output.clean(job["owner"]),
            "queued": output.moment(job["created_at"]),
            "started": output.moment(job["started_at"]),
            "ended": output.moment(job["ended_at"]),
            "tried again at": output.moment(job["retry_at"]),
            "kept until": output.moment(job["expires_at"]),
        }
    )
    for title in ("request", "result"):
        found = job["request"] if title == "request" else job["result"]
        if found:
            output.say(title)
            output.tree(_known(found), 1)
    for attempt in job.get("attempts", []):
        output.say(f"attempt {attempt['number']}: {_attempt(attempt)}")


def _known(values: Mapping[str, Json]) -> dict[str, Json]:
    """Without what is not set, of which a request may have a screenful."""
    return {
        key: _known(value) if isinstance(value, dict) else value for key, value in values.items() if value is not None
    }


def _attempt(attempt: Attempt) -> str:
    process = f", process {attempt['pid']}" if attempt["pid"] else ""
    ended = f"{attempt['cause']} at {output.moment(attempt['ended_at'])}" if attempt["cause"] else "under way"
    where = f"{output.clean(attempt['worker'])} on {output.clean(attempt['host'])}{process}"
    return f"{where}, began {output.moment(attempt['started_at'])}, {ended}"


def describe(progress: Mapping[str, Json]) -> str:
    """``epoch 1/3, step 20/300, loss 3.21, 12 s left``: what is known of how far a job came."""
    parts = []
    for name, whole in (("epoch", "epochs"), ("step", "steps")):
        if (value := progress.get(name)) is not None:
            parts.append(f"{name} {output.figure(value)}/{output.figure(progress.get(whole))}")
    if isinstance(loss := progress.get("loss"), int | float):
        parts.append(f"loss {loss:.3f}")
    if isinstance(rate := progress.get("samples_per_second"), int | float):
        parts.append(f"{rate:,.1f} samples/s")
    if isinstance(left := progress.get("eta_seconds"), int | float):
        parts.append(f"{output.duration(left)} left")
    if not parts and (activity := progress.get("activity")):
        parts.append(output.clean(activity))
    return ", ".join(parts) or "under way"


def _news(job: Job) -> str:
    if job["state"] in FINAL:
        return job["error"] or "-"
    return describe(job["progress"]) if job["progress"] else job["error"] or "-"


def _because(job: Job) -> str:
    return f": {output.clean(job['error'])}" if job["error"] else ""
