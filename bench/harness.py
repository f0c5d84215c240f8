"""What the benchmarks share: a thord of their own, peers beside it, medians, and one table a run."""

import ast
import contextlib
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).parents[1]
QUIET = ("schedule.enabled=false", "api.port=0")
KEEPS_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1)}
"""What our own processes ask of glibc; peers get it through the environment, at their best."""
_CHILDREN = 4


class Thord:
    """A thord in a home of its own, driven through the thorctl of a ``tree``."""

    def __init__(self, home: Path, tree: Path = REPOSITORY) -> None:
        self.home = home
        self._tree = tree

    def ctl(self, *words: str) -> str:
        command = [sys.executable, "-P", "-m", "control.cli.main", "--home", self.home, *words]
        environment = {**os.environ, "PYTHONPATH": str(self._tree)}
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout

    def json(self, *words: str) -> dict[str, object]:
        value: dict[str, object] = json.loads(self.ctl(*words, "--json"))
        return value

    @property
    def pid(self) -> int:
        return int(str(self.json("status")["pid"]))


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("thord")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


@contextlib.contextmanager
def thord(*settings: str, tree: Path = REPOSITORY) -> Iterator[Thord]:
    """Start one, of this tree or of another; stop it in the end."""
    home = Path(tempfile.mkdtemp(prefix="thord-bench-"))
    service = Thord(home, tree)
    options = [word for setting in (*QUIET, *settings) for word in ("--set", setting)]
    try:
        service.ctl("start", "--profile", "tiny", *options)
        yield service
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            service.ctl("stop")
        shutil.rmtree(home, ignore_errors=True)


def checkout(commit: str, tree: Path) -> None:
    """Put the code of a commit into the folder ``tree``, which is made; it runs with what is installed here."""
    subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", REPOSITORY, tree], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=tree, check=True)


@contextlib.contextmanager
def supervisord() -> Iterator[Path]:
    """The peer: supervisord with four idle children. Gives its configuration file."""
    home = Path(tempfile.mkdtemp(prefix="peer-bench-"))
    config = home / "supervisord.conf"
    programs = "".join(f"[program:idle{i}]\ncommand=sleep 100000\nstartsecs=1\n" for i in range(_CHILDREN))
    config.write_text(
        f"[unix_http_server]\nfile={home}/s.sock\n[supervisord]\nlogfile={home}/s.log\npidfile={home}/s.pid\n"
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[supervisorctl]\nserverurl=unix://{home}/s.sock\n{programs}"
    )
    daemon = subprocess.Popen([BIN / "supervisord", "-n", "-c", config], stdout=subprocess.DEVNULL)
    try:
        control = [BIN / "supervisorctl", "-c", config, "status"]
        until(lambda: subprocess.run(control, check=False, capture_output=True).stdout.count(b"RUNNING") == _CHILDREN)
        yield config
    finally:
        daemon.terminate()
        daemon.wait()
        shutil.rmtree(home, ignore_errors=True)


def verdict(*, reached: bool) -> str:
    """How a line about a goal ends."""
    return "reached" if reached else "NOT REACHED"


class Contestant:
    """A process that answers each line it is sent by a line of JSON, and says one when it is ready."""

    def __init__(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> None:
        self._name, self._log = name, log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                command,
                env=os.environ | {"PYTHONPATH": str(REPOSITORY), "TOKENIZERS_PARALLELISM": "false"} | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def answer(self) -> dict[str, object]:
        """Wait for its next line."""
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._name} failed:\n{self._log.read_text()[-3000:]}")
        return json.loads(line)

    def ask(self, line: object) -> dict[str, object]:
        """Send a line, and wait for its answer."""
        print(line, file=self._process.stdin, flush=True)
        return self.answer()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def until(condition: Callable[[], bool], seconds: float = 60.0, pause: float = 0.01) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the benchmark waited in vain")
        time.sleep(pause)


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleaved(rounds: int, *calls: Callable[[], object]) -> list[list[float]]:
    """Seconds of each call, taken in turn, so that a drift of the machine hits all of them alike."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()  # warm-up
    for _ in range(rounds):
        for index, call in enumerate(calls):
            times[index].append(seconds(call))
    return times


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of all lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


median = statistics.median


def documentation() -> Iterator[str]:
    """What the modules, classes and functions of Python's own library say of themselves."""
    folder = Path(os.__file__).parent
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for file in sorted(folder.rglob("*.py")):
        if {"site-packages", "test"} & set(file.parts):
            continue
        with contextlib.suppress(SyntaxError):  # the library has files that are meant to be broken
            nodes = ast.walk(ast.parse(file.read_bytes()))
            yield from filter(None, (ast.get_docstring(node) for node in nodes if isinstance(node, kinds)))


def resident_megabytes(pid: int) -> float:
    """Resident memory of one process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no VmRSS of {pid}")


def wakeups(pid: int) -> int:
    """Voluntary context switches of all threads of a process so far: how often it was woken."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


@contextlib.contextmanager
def burn() -> Iterator[None]:
    """Keep every core busy, more modestly than a trainer would."""
    command = ["nice", "-n", "15", sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def table(title: str, rows: Sequence[Sequence[str]], head: Sequence[str]) -> None:
    """Print one table."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    print(f"\n{title}")
    for row in [head, ["-" * width for width in widths], *rows]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
