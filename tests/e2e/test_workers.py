"""A run on other hosts, each a network namespace: a partition in the middle of it, and one attempt at a time."""

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from control.client import Thord
from demo.text import Dialogue, to_json_lines
from tests.e2e.service import BIN, Service, runs
from tests.redis_server import NEEDS_REDIS, redis_server

pytestmark = [
    NEEDS_REDIS,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("ip") is None,
        reason="NOT TESTED WITH NETWORK NAMESPACES: needs root and iproute2",
    ),
]
LEASE = 6
KEY, SECRET = "a-key-of-a-worker", "a secret of the queue"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """A namespace for thord and Redis, and one for each host, which has a wire of its own to the first."""

    def __init__(self, *hosts: str) -> None:
        self._mark = f"t{os.getpid()}"
        self._hosts = hosts
        self.thord = f"{self._mark}-thord"

    def __enter__(self) -> "Network":
        self.__exit__()
        try:
            ip("netns", "add", self.thord)
            ip("-n", self.thord, "link", "set", "lo", "up")
            for number, host in enumerate(self._hosts, 1):
                ip("netns", "add", self.name(host))
                ip("-n", self.name(host), "link", "set", "lo", "up")
                there = ("peer", "name", "up0", "netns", self.name(host))
                ip("-n", self.thord, "link", "add", f"to-{host}", "type", "veth", *there)
                for namespace, link, last in ((self.thord, f"to-{host}", 1), (self.name(host), "up0", 2)):
                    ip("-n", namespace, "addr", "add", f"10.99.{number}.{last}/24", "dev", link)
                    ip("-n", namespace, "link", "set", link, "up")
        except subprocess.CalledProcessError as error:
            self.__exit__()
            pytest.skip(f"NOT TESTED WITH NETWORK NAMESPACES: {error.stderr!r}")
        return self

    def __exit__(self, *_: object) -> None:
        for namespace in (self.thord, *map(self.name, self._hosts)):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", namespace)

    def name(self, host: str) -> str:
        return f"{self._mark}-{host}"

    def address(self, host: str) -> str:
        """Of thord, as this host reaches it."""
        return f"10.99.{self._hosts.index(host) + 1}.1"

    def cut(self, host: str) -> None:
        """From now on nothing arrives, in either direction."""
        ip("-n", self.thord, "link", "set", f"to-{host}", "down")


class InNamespace(Service):
    """A thord whose commands run in a namespace."""

    def __init__(self, home: Path, namespace: str) -> None:
        super().__init__(home)
        self._namespace = namespace

    def ctl(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        command = ["ip", "netns", "exec", self._namespace, BIN / "thorctl", "--home", self.home, *words]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)


@pytest.fixture
def network() -> Iterator[Network]:
    with Network("a", "b") as made:
        yield made


@contextlib.contextmanager
def worker(network: Network, host: str, folder: Path, redis_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """``thord worker`` on a host."""
    settings = {
        "integrations.redis.url": f"redis://{network.address(host)}:{redis_port}/0",
        "integrations.redis.secret_file": folder / "secret",
        "worker.url": f"http://{network.address(host)}:8000",
        "worker.key_file": folder / "key",
        "worker.name": host,
    }
    options = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    home = folder / f"host-{host}"
    home.mkdir()
    command = ["ip", "netns", "exec", network.name(host), BIN / "thord", "worker", "--home", home, "--queue", "trainer"]
    with (
        (folder / f"{host}.log").open("wb") as log,
        subprocess.Popen([*command, *options], stdout=log, stderr=log) as it,
    ):
        try:
            yield it
        finally:
            it.kill()


def trainers() -> list[psutil.Process]:
    """Trainers of this test's hosts, and of nobody else."""
    me = psutil.Process()
    found = []
    for process in me.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "daemon.workers.trainer" in process.cmdline() and runs(process):
                found.append(process)
    return found


class AtOnce(threading.Thread):
    """Looks all the time how many trainers there are."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(0.05):
            self.most = max(self.most, len(trainers()))


def offer_a_function(network: Network, port: int, target: Path) -> None:
    """What somebody who may write to Redis would try."""
    code = (
        "import sys; from redis import Redis; from rq import Queue; from rq.serializers import JSONSerializer;"
        f"c = Redis(port={port}); q = Queue('trainer', connection=c, serializer=JSONSerializer);"
        f"q.enqueue('os.system', 'touch {target}'); q.enqueue('thord.run', {{'id': 1, 'attempt': 1}})"
    )
    command = ["ip", "netns", "exec", network.thord, BIN / "python", "-c", code]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.timeout(170)
def test_a_host_that_is_cut_off_loses_its_run_to_another_which_goes_on_from_the_checkpoint(
    network: Network, tmp_path: Path, library: list[Dialogue]
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "keys").write_text(f"{KEY}:work\n")
    (tmp_path / "talk.jsonl").write_text(to_json_lines(library), encoding="utf-8")
    home = tmp_path / "home"
    home.mkdir()
    service = InNamespace(home, network.thord)
    port, redis_folder = 6379, tmp_path / "r"
    redis_folder.mkdir()
    in_namespace = ("ip", "netns", "exec", network.thord)
    open_to_all = ("--port", str(port), "--bind", "0.0.0.0", "--protected-mode", "no")
    with redis_server(redis_folder, *open_to_all, before=in_namespace) as redis, contextlib.ExitStack() as hosts:
        try:
            service.start(
                "api.host=0.0.0.0",
                "api.port=8000",
                'api.hosts=["10.99.1.1", "10.99.2.1"]',
                f"api.keys_file={tmp_path / 'keys'}",
                "integrations.redis.enabled=true",
                f"integrations.redis.url={redis.url}",
                f"integrations.redis.secret_file={tmp_path / 'secret'}",
                "jobs.run_here=false",
                f"jobs.lease_seconds={LEASE}",
            )
            offer_a_function(network, port, tmp_path / "pwned")
            thord = Thord(home)
            hosts.enter_context(worker(network, "a", tmp_path, port))
            overrides = {"epochs": 25, "checkpoint_every": 10, "early_stopping_patience": 0}
            job = thord.submit_job(
                "train",
                run_id="far-away",
                request={"train_files": [str(tmp_path / "talk.jsonl")], "overrides": overrides},
                retries=1,
                retry_interval_seconds=0.0,
            )["id"]
            counting = AtOnce()
            checkpoints = home / "runs/job-000001/checkpoints"
            service.until(lambda: any(checkpoints.glob("0*")), seconds=90)
            hosts.enter_context(worker(network, "b", tmp_path, port))
            arrived = max(int(folder.name) for folder in checkpoints.glob("0*"))
            network.cut("a")
            service.until(lambda: thord.job(job)["attempt"] == 2, seconds=60)
            redis.kill()  # what is under way does not need it
            ended = thord.job(job, wait=60)
            while ended["state"] == "running":
                ended = thord.job(job, wait=60)
            counting.over.set()
            logs = "\n".join((tmp_path / f"{host}.log").read_text()[-3000:] for host in "ab")
            assert ended["state"] == "completed", f"{ended}\n{logs}"
            assert [(each["host"], each["cause"]) for each in ended["attempts"]] == [("a", "lost"), ("b", "completed")]
            assert counting.most == 1
            second = (tmp_path / "host-b/logs/trainer.log").read_text()
            first_step = next(json.loads(line)["first"] for line in second.splitlines() if '"training steps"' in line)
            assert first_step >= arrived
            assert (home / "models/versions/000001/manifest.json").exists()
            assert "is refused" in (tmp_path / "a.log").read_text()
            assert not (tmp_path / "pwned").exists()
        finally:
            family = service.family()
            service.ctl("stop", "--now")
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
    deadline = time.monotonic() + 10
    while trainers():
        assert time.monotonic() < deadline
        time.sleep(0.02)
