"""``jobs``, ``job`` and ``cancel job``: what people and programs read of them, and the commands of docs/jobs.md."""

import re

import pytest

from tests.control.stand_in import REPOSITORY, STATUS, Ctl, StandIn

ATTEMPT = {
    "number": 1, "host": "ares", "worker": "trainer", "pid": 4711, "started_at": "2026-01-02T03:04:05.000Z",
    "last_beat_at": "2026-01-02T03:04:06.000Z", "progress": None, "ended_at": "2026-01-02T03:05:05.000Z",
    "cause": "signal 9", "log_offset": 0,
}  # fmt: skip
JOB = {
    "id": 12, "kind": "train", "run_id": "gpt2-run-001", "state": "running", "priority": 0, "queue": "trainer",
    "user_id": None, "owner": "uid 0", "promote": "never", "request": {"train_files": ["/a.jsonl"]}, "result": None,
    "error": None, "version": "000007", "attempt": 2, "retries": 1, "retry_interval_seconds": 300.0, "retry_at": None,
    "time_limit_seconds": 86400.0, "idempotency_key": None, "log_offset": 0, "created_at": "2026-01-02T03:04:05.000Z",
    "started_at": "2026-01-02T03:04:05.000Z", "ended_at": None, "expires_at": None,
    "progress": {"epoch": 1, "epochs": 3, "step": 20, "steps": 300, "loss": 3.211, "eta_seconds": 12.0},
}  # fmt: skip
DONE = JOB | {"state": "completed", "result": {"version": "000007"}, "ended_at": "2026-01-02T03:05:05.000Z"}
FAILED = JOB | {"state": "failed", "error": "no such setting"}


@pytest.fixture
def jobs(stand_in: StandIn) -> StandIn:
    stand_in.answers |= {
        ("GET", "/v1/jobs"): (200, [JOB, FAILED | {"id": 11}]),
        ("GET", "/v1/jobs/12"): (200, DONE | {"attempts": [ATTEMPT, ATTEMPT | {"number": 2, "cause": "completed"}]}),
        ("GET", "/v1/jobs/12/follow"): (200, [{"job": JOB}, {"progress": JOB["progress"]}, {"job": DONE}]),
        ("POST", "/v1/jobs/12/cancel"): (202, JOB | {"state": "cancelling"}),
    }
    return stand_in


def test_the_commands_of_jobs_md(jobs: StandIn, ctl: Ctl) -> None:
    [block] = re.findall(r"```sh\n(.*?)```", (REPOSITORY / "docs/jobs.md").read_text(), re.DOTALL)
    for command in block.splitlines():
        assert ctl(*command.split()[1:]).returncode == 0, command
    assert ("POST", "/v1/jobs/12/cancel", {}) in jobs.asked


def test_jobs_are_listed_with_their_progress_or_their_fault(jobs: StandIn, ctl: Ctl) -> None:
    listed = ctl("jobs", "--kind", "train", "-n", "3").stdout
    assert "epoch 1/3, step 20/300, loss 3.211, 12 s left" in listed
    assert "no such setting" in listed
    assert ("GET", "/v1/jobs", {"kind": "train", "limit": "3"}) in jobs.asked
    assert ctl.json("jobs") == [JOB, FAILED | {"id": 11}]


def test_a_job_is_shown_with_each_attempt(jobs: StandIn, ctl: Ctl) -> None:
    shown = ctl("job", "12").stdout
    assert re.search(r"attempt 1: trainer on ares, process 4711, began .*, signal 9 at ", shown)
    assert re.search(r"attempt 2: .*, completed at ", shown)


def test_following_ends_with_the_job_and_says_by_its_status_how(jobs: StandIn, ctl: Ctl) -> None:
    done = ctl("job", "12", "--follow")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "completed")
    assert "step 20/300" in done.stdout
    jobs.answers["GET", "/v1/jobs/12"] = (200, FAILED | {"attempts": []})
    assert ctl("job", "12", "--follow").returncode == 1


def test_cancel_is_about_a_cycle_unless_it_says_job(jobs: StandIn, ctl: Ctl) -> None:
    assert "cycle 7 is cancelled" in ctl("cancel", "7").stdout
    assert "job 12 is cancelling" in ctl("cancel", "job", "12").stdout
    jobs.fail("POST", "/v1/jobs/12/cancel", 409, "job_ended", "job 12 is completed already")
    assert ctl("cancel", "job", "12").returncode == 1
    assert ctl("cancel", "job").returncode == 2


def test_status_names_the_job_under_way(jobs: StandIn, ctl: Ctl) -> None:
    under_way = [{name: JOB[name] for name in ("id", "kind", "run_id", "progress")}]
    jobs.answers["GET", "/v1/status"] = (200, STATUS | {"jobs": under_way})
    assert "number 12, train gpt2-run-001: epoch 1/3, step 20/300" in ctl("status").stdout
