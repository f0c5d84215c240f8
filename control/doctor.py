"""``thorctl doctor``: looks at everything thord needs, and says what is wrong and how to mend it.

Each check is a function of the `Patient` that yields findings; `CHECKS` lists them in the order they are run. A check
must not fail because of what it looks for: a machine that is ill is its normal case.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from control import errors
from control.paths import WATCHED, is_there, source
from control.process import resolve_settings
from control.watched import missing
from control.weights import can_be_raised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from control.answers import Json, Status
    from control.client import Thord
    from control.paths import Paths

Level = Literal["ok", "warn", "fail"]

_GIB = 1 << 30
_PACKAGES = (
    "pydantic",
    "structlog",
    "apscheduler",
    "uvicorn",
    "starlette",
    "fastapi",
    "watchdog",
    "psutil",
    "safetensors",
    "tokenizers",
    "numpy",
)


class Finding(NamedTuple):
    """One line of the diagnosis; ``remedy`` is empty where nothing needs doing."""

    check: str
    level: Level
    message: str
    remedy: str = ""


class Patient(NamedTuple):
    """What is examined.

    Attributes:
        home: what was given as ``--home``.
        status: what thord says of itself; None where it does not run.
        trouble: why it gave no status though something is there.
        settings: all resolved; empty where they are wrong.
    """

    paths: Paths
    home: str | None
    status: Status | None
    trouble: str
    settings: dict[str, Json]

    def setting(self, section: str, key: str) -> Json:
        """One setting, None where it is unknown."""
        table = self.settings.get(section)
        return table.get(key) if isinstance(table, dict) else None


def examine(thord: Thord, home: str | None) -> Iterator[Finding]:
    """Run every check; findings as they are made."""
    status, trouble = None, ""
    try:
        status = thord.status()
    except errors.NotRunningError:
        pass
    except errors.ThordError as error:
        trouble = str(error)
    settings: dict[str, Json] = {}
    try:
        found = resolve_settings(home)
        if status is not None:  # it may have been started with options that the file does not know
            found = thord.configuration()
        settings = found["settings"]
        yield Finding("settings", "ok", f"{thord.paths.config}: profile {found['profile']}, {found['why']}")
        for warning in found.get("warnings", ()):
            yield Finding("environment", "warn", warning, "remove it from thord's environment")
    except errors.ThordError as error:
        yield Finding("settings", "fail", str(error), f"edit {thord.paths.config}, then: thorctl config check")
    patient = Patient(thord.paths, home, status, trouble, settings)
    for check in CHECKS:
        yield from check(patient)


def _python(_: Patient) -> Iterator[Finding]:
    yield Finding("python", "ok", f"Python {'.'.join(map(str, sys.version_info[:3]))} in {sys.prefix}")


def _packages(_: Patient) -> Iterator[Finding]:
    from importlib.util import find_spec

    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        yield Finding("packages", "fail", f"missing: {', '.join(missing)}", f"{sys.prefix}/bin/pip install {source()}")
    else:
        yield Finding("packages", "ok", "all there")


_TORCH_PROBE = """
import json, torch
from engine.native import library
cuda = torch.cuda.is_available()
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "available": cuda,
    "kernel": library.path().is_file(),
    "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else []}))
if cuda:
    torch.ones(8, device="cuda").sum().item()
"""


def _torch(patient: Patient) -> Iterator[Finding]:
    """Import torch in a process of its own: where it is broken, importing it can end the process."""
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _TORCH_PROBE], capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        yield Finding("torch", "fail", "importing torch takes longer than two minutes", "is the disk very slow?")
        return
    if not probe.stdout:
        words = probe.stderr.strip().splitlines()
        reason = words[-1] if words else f"the process ended with {probe.returncode}"
        yield Finding("torch", "fail", f"torch cannot be imported: {reason}", "pip install --force-reinstall torch")
        return
    found = json.loads(probe.stdout)
    yield Finding("torch", "ok", f"torch {found['version']}")
    if probe.returncode:
        words = probe.stderr.strip().splitlines()
        yield Finding(
            "gpu",
            "fail",
            f"the GPU is there but cannot compute: {words[-1] if words else probe.returncode}",
            "is another process using all of it (nvidia-smi)? else update the driver, or set training.device = 'cpu'",
        )
    elif found["available"]:
        yield Finding("gpu", "ok", f"{', '.join(found['devices'])}; CUDA {found['cuda']}")
    else:
        yield from _no_gpu(patient, found["cuda"])
        yield from _kernel(built=found["kernel"])
    yield from _processes(patient, len(found["devices"]))


def _kernel(*, built: bool) -> Iterator[Finding]:
    if built:
        yield Finding("kernel", "ok", "answers of thor and gpt2 are computed by the kernel built for this machine")
    else:
        yield Finding(
            "kernel",
            "warn",
            "the kernel for answers on a processor is not built; torch computes them, at about half the speed",
            f"install a C++ compiler, then: {sys.executable} -m engine.native.build",
        )


def _no_gpu(patient: Patient, built_for: str | None) -> Iterator[Finding]:
    wanted = [name for name in ("training", "inference") if patient.setting(name, "device") == "cuda"]
    level: Level = "fail" if wanted else "warn"
    use_cpu = f"; or set {' and '.join(f'{name}.device' for name in wanted)} = 'auto'" if wanted else ""
    driver = Path("/proc/driver/nvidia/version")
    if driver.exists():
        number = next((word for word in driver.read_text().split() if word.count(".") >= 1 and word[0].isdigit()), "?")
        if built_for is None:
            yield Finding(
                "gpu",
                level,
                f"driver {number} is there, but this torch is built without CUDA",
                f"install the CUDA build of torch{use_cpu}",
            )
        else:
            yield Finding(
                "gpu",
                level,
                f"torch is built for CUDA {built_for}, but cannot use driver {number}",
                f"update the driver, install a torch for its CUDA, or open /dev/nvidia* to this user{use_cpu}",
            )
    elif any(Path("/dev").glob("nvidia[0-9]*")):
        yield Finding("gpu", level, "there are /dev/nvidia* but no driver is loaded", f"modprobe nvidia{use_cpu}")
    elif wanted:
        yield Finding("gpu", "fail", "the settings ask for cuda and there is no GPU", use_cpu.removeprefix("; or "))
    else:
        yield Finding("gpu", "ok", "none; thord computes on the processor")


def _processes(patient: Patient, gpus: int) -> Iterator[Finding]:
    """Whether there are as many GPUs, or cores, as processes that are to train."""
    training = patient.settings.get("training")
    distributed = training.get("distributed") if isinstance(training, dict) else None
    asked = distributed.get("processes") if isinstance(distributed, dict) else None
    if not isinstance(asked, int) or asked == 1:
        return
    on_gpus = gpus > 0 and patient.setting("training", "device") != "cpu"
    there, what = (gpus, "GPUs") if on_gpus else (len(os.sched_getaffinity(0)), "processor cores")
    if asked > there:
        yield Finding(
            "processes",
            "fail" if on_gpus else "warn",
            f"{asked} processes are to train (training.distributed.processes), and there are {there} {what}",
            f"set training.distributed.processes to {there} or less",
        )
    else:
        yield Finding("processes", "ok", f"{asked} train together on {there} {what}")


def _folders(patient: Patient) -> Iterator[Finding]:
    """Whether the folders can be written; the service's own user may differ from the one who asks."""
    paths = patient.paths
    for name, folder in (("home", paths.state), ("logs", paths.logs), ("runtime", paths.run)):
        place = _nearest(folder)
        if not place.is_dir():
            yield Finding(name, "fail", f"{place} is in the way: it should be a folder", f"mv {place} {place}.old")
        elif patient.status is None and not os.access(place, os.W_OK | os.X_OK):
            owner = _owner(place)
            yield Finding(
                name,
                "fail",
                f"{place} belongs to {owner} and may not be written by this user",
                f"sudo chown -R $USER {place}, or run as {owner}, or choose another --home",
            )
        elif not is_there(folder):
            yield Finding(name, "ok", f"{folder} will be made")
        elif name != "runtime" and os.statvfs(folder).f_flag & os.ST_RDONLY:
            yield Finding(name, "fail", f"{folder} is on a read-only file system", f"mount -o remount,rw {place}")
        else:
            yield Finding(name, "ok", str(folder))


def _disk(patient: Patient) -> Iterator[Finding]:
    place = _nearest(patient.paths.state)
    usage, inodes = shutil.disk_usage(place), os.statvfs(place)
    free = f"{usage.free / _GIB:.1f} GiB free of {usage.total / _GIB:.0f} GiB at {place}"
    if usage.free < _GIB:
        yield Finding("disk", "fail", free, "make room; a version and its run need several times the model's size")
    elif usage.free < 10 * _GIB:
        yield Finding("disk", "warn", free, "make room before it runs out; cycles stop when it does")
    else:
        yield Finding("disk", "ok", free)
    if inodes.f_files and inodes.f_favail < 1000:
        yield Finding("disk", "fail", f"only {inodes.f_favail} inodes are free at {place}", "delete small files there")


def _load(patient: Patient) -> Iterator[Finding]:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    text = f"load {load:.1f} on {cores} processors"
    share = patient.setting("training", "minimum_share")
    if load > 2 * cores:
        remedy = f"cycles take longer: a run gets {share} of a processor (training.minimum_share)"
        yield Finding("load", "warn", f"{text}: this machine is busy", remedy)
    else:
        yield Finding("load", "ok", text)
    if not can_be_raised():
        raising = "allow it niceness 0 (LimitNICE=+0 in a unit, RLIMIT_NICE)"
        yield Finding("load", "warn", "a run that other programs starve cannot be given more weight here", raising)


_LEVEL_OF_STATE: dict[str, Level] = {"ready": "ok", "starting": "warn", "stopping": "warn", "degraded": "fail"}


def _thord(patient: Patient) -> Iterator[Finding]:
    path = patient.paths.control_socket
    if patient.trouble:
        yield Finding("thord", "fail", patient.trouble, "thorctl logs; if it hangs: thorctl stop --now")
    elif patient.status is not None:
        state = patient.status["state"]
        remedy = {"degraded": "mend what fails below; thorctl status, thorctl logs", "ready": ""}.get(state, "wait")
        yield Finding("thord", _LEVEL_OF_STATE[state], f"{state}, pid {patient.status['pid']}", remedy)
    elif is_there(path):
        yield Finding(
            "thord", "warn", f"not running; {path} is left from one that was killed", "thorctl start clears it away"
        )
    else:
        yield Finding("thord", "warn", "not running", "thorctl start")


def _workers(patient: Patient) -> Iterator[Finding]:
    for name, worker in patient.status["workers"].items() if patient.status else ():
        if worker["state"] == "failed":
            yield Finding(
                name,
                "fail",
                f"gave up after {worker['restarts']} restarts",
                f"thorctl logs {name}; when mended: thorctl start {name}",
            )
        elif worker["restarts"]:
            yield Finding(name, "warn", f"was restarted {worker['restarts']} times", f"thorctl logs {name}")


def _port(patient: Patient) -> Iterator[Finding]:
    host, port = patient.setting("api", "host"), patient.setting("api", "port")
    if patient.status is not None or not isinstance(host, str) or not isinstance(port, int) or port == 0:
        return
    with contextlib.suppress(OSError):
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                from control import systemd

                if (unit := systemd.find(patient.paths)) and unit.listens:
                    yield Finding("port", "ok", f"systemd listens for thord ({systemd.SOCKET})")
                    return
                yield Finding(
                    "port",
                    "fail",
                    f"{host}:{port} cannot be used: {error.strerror}",
                    f"find who has it (ss -ltnp 'sport = :{port}'), or set api.port to another",
                )
            else:
                yield Finding("port", "ok", f"{host}:{port} is free")


def _watched(patient: Patient) -> Iterator[Finding]:
    for problem in missing(patient.settings):
        yield Finding("watch", "warn", problem, f"create it, or correct {patient.paths.config}, then: thorctl reload")


def _model(patient: Patient) -> Iterator[Finding]:
    if patient.status and patient.status["version"] is None:
        remedy = (
            "thorctl import starter --promote, for one that talks; or thorctl ingest FILE, to train one from scratch"
        )
        yield Finding("model", "warn", "no version serves yet", remedy)


def _data(patient: Patient) -> Iterator[Finding]:
    inbox = patient.paths.inbox
    if patient.status is not None:
        counts = patient.status["conversations"]
        known = sum(count for name, count in counts.items() if isinstance(count, int) and name != "quarantined")
        if counts["quarantined"]:
            yield Finding(
                "quarantine",
                "warn",
                f"{counts['quarantined']} files or records were refused",
                "thorctl quarantine says why",
            )
        if known:
            yield Finding("data", "ok", f"{known} conversations, {counts['new']} of them new")
            return
    if not any(_has_a_file(inbox / name) for name in WATCHED):
        yield Finding("data", "warn", f"no conversation in {inbox}", "thorctl ingest FILE")
    elif patient.status is None:
        yield Finding("data", "ok", f"there are files in {inbox}")
    else:
        yield Finding("data", "warn", f"there are files in {inbox}, and none is read", "thorctl logs intake")


_MENDED = ('"event": "thord starts"', '"event": "settings reloaded"')
"""Since thord logged one of these, errors of before are over, or would have come again."""


def _logs(patient: Patient) -> Iterator[Finding]:
    from control import logs

    try:
        lines = logs.Logs(sorted(patient.paths.logs.glob("*.log"))).last(500)
    except errors.ThordError as error:
        yield Finding("logs", "warn", str(error), "use sudo, or become a member of the service's group")
        return
    fresh = max((number for number, line in enumerate(lines) if any(word in line.text for word in _MENDED)), default=0)
    bad = [line for line in lines[fresh:] if '"level": "error"' in line.text or '"level": "critical"' in line.text]
    if bad:
        yield Finding(
            "logs",
            "warn",
            f"{len(bad)} errors of late, the last: {logs.for_people(bad[-1]).strip()}",
            'thorctl logs -n 500 --json | grep \'"level": "error"\'',
        )


def _systemd(patient: Patient) -> Iterator[Finding]:
    from control import systemd

    unit = systemd.find(patient.paths)
    if unit is None:
        return
    known = unit.properties()
    state = f"{unit.file}: {known.get('ActiveState')} ({known.get('SubState')}), {known.get('UnitFileState')}"
    if known.get("ActiveState") == "failed":
        scope = "--user " if unit.user else ""
        yield Finding(
            "systemd",
            "fail",
            f"{state}; {known.get('Result')}",
            f"journalctl {scope}-u thord -n 50; then: thorctl start",
        )
    else:
        yield Finding("systemd", "ok", state)


def _clock(patient: Patient) -> Iterator[Finding]:
    """A clock that stands before what was written already makes times and schedules nonsense."""
    newest = 0.0
    with contextlib.suppress(OSError):
        newest = max((file.stat().st_mtime for file in patient.paths.logs.glob("*.log")), default=0.0)
    ahead = newest - time.time()
    if ahead > 60:
        yield Finding(
            "clock",
            "warn",
            f"the logs were written {ahead / 60:.0f} minutes in the future",
            "set the clock: timedatectl set-ntp true",
        )


CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    _python,
    _packages,
    _torch,
    _folders,
    _disk,
    _load,
    _thord,
    _workers,
    _port,
    _watched,
    _model,
    _data,
    _logs,
    _systemd,
    _clock,
)


def _nearest(folder: Path) -> Path:
    """The folder, else the nearest one above it that is there."""
    while not is_there(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"


def _has_a_file(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return any(file.is_file() for file in folder.rglob("*"))
    return False
