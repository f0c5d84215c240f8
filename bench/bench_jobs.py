"""Jobs beside RQ's: ``python bench/bench_jobs.py``. Needs redis-server and the extra ``redis``.

    from enqueuing to running    a tokenizer job, while nothing else is under way; the peer: RQ's worker, burst of one
    status                       of one job among finished ones, over the control socket
    what a job costs             a train job from its submission to its end, less the same run in a warm process

Both queues are driven in turn, on the same machine and the same disk.
"""

import argparse
import contextlib
import http.client
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import processor

from control.client import Thord
from demo.text import standard_library, to_json_lines

START_GOAL_MS, STATUS_GOAL_MS, COST_GOAL_SECONDS = 50.0, 2.0, 3.0
SETTINGS = (
    "data.settle_seconds=0.1",
    "training.threads=1",
    "training.epochs=1",
    "training.validation_share=0",
)
PEER = """
def started() -> float:
    import time
    return time.time()
"""
PLAIN = """
import json, sys, time
from pathlib import Path
from engine import memory
memory.keep_freed_memory()
from engine.training import run
from engine.training.spec import RunPaths, RunRecord
home, job = Path(sys.argv[1]), sys.argv[2]
class Silent:
    def __getattr__(self, name):
        return lambda *_, **__: False
spec = RunRecord.model_validate_json((home / "runs" / job / "run.json").read_bytes()).spec
best = []
for turn in range(int(sys.argv[3])):
    spec = spec.model_copy(update={"version": 900000 + turn})
    places = RunPaths(home / "plain" / str(turn), home / "snapshots" / job, None, home / "plain-versions" / str(turn))
    places.target.parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    run.learn(spec, places, Silent())
    best.append(time.monotonic() - begin)
print(json.dumps(best))
"""


@contextlib.contextmanager
def rq() -> Iterator[Callable[[], float]]:
    """The peer: a call that gives the seconds from enqueuing a function to its start."""
    from redis import Redis
    from rq import Queue

    home = Path(tempfile.mkdtemp(prefix="rq-bench-"))
    (home / "peer_job.py").write_text(PEER)
    address = home / "redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", address, "--dir", home, "--save", ""], stdout=subprocess.DEVNULL
    )
    worker = None
    try:
        harness.until(address.exists)
        url = f"unix://{address}"
        worker = subprocess.Popen(
            [sys.executable, "-c", "from rq.cli import main; main()", "worker", "--url", url, "--quiet", "bench"],
            cwd=home,
            stderr=subprocess.DEVNULL,
        )
        queue = Queue("bench", connection=Redis(unix_socket_path=str(address)))

        def once() -> float:
            begin = time.time()
            job = queue.enqueue("peer_job.started")
            harness.until(lambda: job.return_value() is not None, pause=0.002)
            return float(job.return_value()) - begin

        yield once
    finally:
        if worker is not None:
            worker.terminate()
            worker.wait()
        server.terminate()
        server.wait()
        shutil.rmtree(home, ignore_errors=True)


def fill(home: Path, count: int) -> None:
    """Write so many finished jobs into the database of a thord that does not run."""
    row = (
        "score", "run", "completed", 0, "trainer", "uid 0", "never", "{}", '{"loss": 1.0}', 1, 0, 1, 300.0, 86400.0, "",
        0, "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:01.000Z",
    )  # fmt: skip
    names = (
        "kind, run_id, state, priority, queue, owner, promote, request, result, attempt, tries, retries,"
        " retry_interval_seconds, time_limit_seconds, fingerprint, log_offset, created_at, started_at, ended_at"
    )
    with contextlib.closing(sqlite3.connect(home / "thord.db")) as database, database:
        marks = ", ".join("?" * len(row))
        database.executemany(f"INSERT INTO jobs ({names}) VALUES ({marks})", [row] * count)
        first = database.execute("SELECT min(id) FROM jobs").fetchone()[0]
        database.executemany(
            "INSERT INTO attempts VALUES (?, 1, 'here', 'server', 7, ?, ?, NULL, ?, 'completed', 0)",
            [(number, *row[-3:-1], row[-1]) for number in range(first, first + count)],
        )


def start_seconds(thord: Thord, corpus: Path, number: int) -> float:
    """From submitting a job to the news that it runs; returns when it has ended."""
    found = 0.0
    begin = time.perf_counter()
    request = {"files": [str(corpus)], "kind": "bytes"}
    job = thord.submit_job("tokenizer", run_id=f"bench-{number}", request=request)
    for news in thord.follow_job(job["id"]):
        if not found and "job" in news and news["job"]["state"] != "queued":
            found = time.perf_counter() - begin
    return found


def status_ms(home: Path, number: int, times: int) -> list[float]:
    """Milliseconds of each look at one job, on one connection."""
    connection = harness.UnixConnection(home / "run" / "control.sock")
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        connection.request("GET", f"/v1/jobs/{number}")
        answer: http.client.HTTPResponse = connection.getresponse()
        content = answer.read()
        found.append(1000 * (time.perf_counter() - begin))
        assert json.loads(content)["state"] == "completed"
    connection.close()
    return found


def train_seconds(thord: Thord, corpus: Path, run_id: str) -> tuple[int, float]:
    """A run as a job: its number, and the seconds from its submission to its end."""
    begin = time.perf_counter()
    job = thord.submit_job("train", run_id=run_id, request={"train_files": [str(corpus)]})
    for _ in thord.follow_job(job["id"]):
        pass
    took = time.perf_counter() - begin
    ended = thord.job(job["id"])
    assert ended["state"] == "completed", ended["error"]
    return job["id"], took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=10_000, help="finished ones in the database")
    options = parser.parse_args()
    processor.require_kernels()
    with harness.thord(*SETTINGS) as service:
        corpus = service.home / "library.jsonl"
        corpus.write_text(to_json_lines(standard_library(100)), encoding="utf-8")
        service.ctl("stop")
        fill(service.home, options.jobs)
        words = [word for setting in (*harness.QUIET, *SETTINGS) for word in ("--set", setting)]
        service.ctl("start", "--profile", "tiny", *words)
        thord = Thord(service.home)

        ours, peers = [], []
        with rq() as peer:
            start_seconds(thord, corpus, 0)
            peer()
            for turn in range(options.rounds):
                ours.append(1000 * start_seconds(thord, corpus, turn + 1))
                peers.append(1000 * peer())
        looks = status_ms(service.home, options.jobs // 2, 500)

        runs = [train_seconds(thord, corpus, f"bench-{turn}") for turn in range(3)]
        job = f"job-{runs[0][0]:06d}"
        command = [sys.executable, "-c", PLAIN, service.home, job, "3"]
        environment = {"PYTHONPATH": str(harness.REPOSITORY), "PATH": str(harness.BIN), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        plain = harness.median(json.loads(done.stdout))

    whole = harness.median([seconds for _, seconds in runs])
    begins, theirs, look, cost = harness.median(ours), harness.median(peers), harness.median(looks), whole - plain
    print(f"finished jobs in the database: {options.jobs:,}")
    print(
        f"enqueue to running, median: {begins:.1f} ms; RQ's enqueue to start {theirs:.1f} ms "
        f"(goal <= {START_GOAL_MS:g} ms: {harness.verdict(reached=begins <= START_GOAL_MS)})"
    )
    print(
        f"status p50: {look:.2f} ms (goal <= {STATUS_GOAL_MS:g} ms: {harness.verdict(reached=look <= STATUS_GOAL_MS)})"
    )
    print(
        f"a train job {whole:.2f} s, the run alone {plain:.2f} s, what the job costs {cost:.2f} s "
        f"(goal <= {COST_GOAL_SECONDS:g} s: {harness.verdict(reached=cost <= COST_GOAL_SECONDS)})"
    )


if __name__ == "__main__":
    main()
