"""Where everything is: one home, every path derived from it, for the daemon and for thorctl alike."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

WATCHED = ("chats", "conversations", "corpus")
"""The folders inside the inbox."""

_UNFINISHED = ("~", ".part", ".partial", ".tmp", ".swp", ".swx", ".crdownload", ".download", "#")


def version_name(number: int) -> str:
    """A version as people, folders and the API name it: ``000012``. Folders of cycles are named alike."""
    return f"{number:06d}"


class Paths(NamedTuple):
    """The places of one thord: four roots, and what lies under them.

    As a service the roots follow the FHS; with a home of its own everything lies under that home.
    A named tuple and not a dataclass, whose import alone would cost thorctl 8 ms.
    """

    config: Path
    state: Path
    logs: Path
    run: Path

    @property
    def inbox(self) -> Path:
        """Watched recursively: ``chats/``, ``conversations/``, ``corpus/``."""
        return self.state / "inbox"

    @property
    def served(self) -> Path:
        """Chats with the served model, in a folder for each owner, if they are to be learned."""
        return self.inbox / "conversations/served"

    @property
    def database(self) -> Path:
        """Cycles, versions and events. Its one writer is the supervisor."""
        return self.state / "thord.db"

    @property
    def ledger(self) -> Path:
        """Every conversation and what became of it. Its one writer is the intake."""
        return self.state / "conversations.db"

    @property
    def now_reading(self) -> Path:
        """Which file the intake is reading at this moment."""
        return self.state / "intake.reading"

    @property
    def chats(self) -> Path:
        """Sessions, and answers on their way to the inbox. Its one writer is the server."""
        return self.state / "chats.db"

    @property
    def files(self) -> Path:
        """Files that clients uploaded, in a folder for each owner. Its one writer is the server."""
        return self.state / "files"

    @property
    def segments(self) -> Path:
        """Append-only files with the text of every conversation."""
        return self.state / "segments"

    @property
    def quarantine(self) -> Path:
        """Copies of refused files and records."""
        return self.state / "quarantine"

    @property
    def snapshots(self) -> Path:
        """One immutable folder for each cycle: what it learns from and is judged on."""
        return self.state / "snapshots"

    def snapshot(self, cycle: int) -> Path:
        """The snapshot of one cycle."""
        return self.snapshots / version_name(cycle)

    @property
    def corpora(self) -> Path:
        """Corpora that were fetched. Their one writer is the intake."""
        return self.state / "corpora"

    @property
    def runs(self) -> Path:
        """One folder for each cycle: settings, checkpoints, metrics."""
        return self.state / "runs"

    def run_folder(self, cycle: int) -> Path:
        """The run of one cycle."""
        return self.runs / version_name(cycle)

    def job_run(self, job: int) -> Path:
        """The run of one job."""
        return self.runs / f"job-{version_name(job)}"

    def job_snapshot(self, job: int) -> Path:
        """What the run of one job learns from and is judged on."""
        return self.snapshots / f"job-{version_name(job)}"

    def job_log(self, job: int) -> Path:
        """What the attempts at one job logged, one after the other."""
        return self.logs / "jobs" / f"job-{version_name(job)}.log"

    def model_artifact(self, run_id: str) -> Path:
        """What the run of that name made."""
        return self.artifacts / "models" / run_id

    def tokenizer_artifact(self, tokenizer_id: str) -> Path:
        """The tokenizer of that name."""
        return self.artifacts / "tokenizers" / tokenizer_id

    @property
    def artifacts(self) -> Path:
        """What jobs made, under names that clients chose: ``models/RUN_ID/``, ``tokenizers/TOKENIZER_ID/``."""
        return self.state / "artifacts"

    @property
    def models(self) -> Path:
        """``versions/NNNNNN/`` and the link ``current``."""
        return self.state / "models"

    @property
    def versions(self) -> Path:
        """Every published version."""
        return self.models / "versions"

    def version(self, number: int) -> Path:
        """The folder of one version."""
        return self.versions / version_name(number)

    @property
    def current(self) -> Path:
        """The link that says what is in service."""
        return self.models / "current"

    @property
    def measurements(self) -> Path:
        """Likelihoods that were measured before. Whoever measures writes here, each file whole."""
        return self.state / "measurements"

    @property
    def backups(self) -> Path:
        """Online copies of both databases."""
        return self.state / "backups"

    @property
    def training_summary(self) -> Path:
        """The figures of the newest run, written by the monitor."""
        return self.state / "training_summary.json"

    @property
    def tensorboard(self) -> Path:
        """Event files, one folder a run."""
        return self.state / "tensorboard"

    @property
    def control_socket(self) -> Path:
        """HTTP for thorctl."""
        return self.run / "control.sock"

    @property
    def channel_socket(self) -> Path:
        """Messages between supervisor and workers."""
        return self.run / "channel.sock"

    @property
    def server_socket(self) -> Path:
        """The public API for local users who may open it, without a key."""
        return self.run / "server.sock"

    @property
    def pid_file(self) -> Path:
        """Process number of the supervisor; a lock is held on this file."""
        return self.run / "thord.pid"

    @property
    def lock_file(self) -> Path:
        """The same beside the state: no two may work on that, wherever their sockets are."""
        return self.state / "thord.lock"

    @property
    def settings_file(self) -> Path:
        """The resolved settings, as the supervisor hands them to its workers."""
        return self.run / "settings.json"

    @property
    def api_key_file(self) -> Path:
        """The sum of the API key that the environment gave, where it gave one, in the format of ``api.keys_file``."""
        return self.run / "api.keys"

    @property
    def data_bank_key_file(self) -> Path:
        """The key of the data bank that the environment gave, where it gave one."""
        return self.run / "data-bank.key"

    def log(self, process: str) -> Path:
        """The log of one process: ``thord`` or a worker's name."""
        return self.logs / f"{process}.log"


def chosen_home(home: str | None = None) -> Path | None:
    """The folder given to ``--home``, else in a variable, as a process with another working folder can find it.

    The variables are ``THORD_HOME``, and ``APP__DATA_ROOT`` of Model Trainer.
    """
    chosen = home or os.environ.get("THORD_HOME") or os.environ.get("APP__DATA_ROOT")
    return Path(chosen).expanduser().absolute() if chosen else None


def at_home(home: Path) -> Paths:
    """Everything under one folder, as with ``--home DIR``."""
    home = home.expanduser().absolute()
    return Paths(config=home / "thord.toml", state=home, logs=home / "logs", run=home / "run")


_UNIT_FOLDERS = ("CONFIGURATION_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY", "RUNTIME_DIRECTORY")
"""How systemd tells a service the folders that its unit asked for."""


def as_unit() -> Paths | None:
    """The places systemd gave to the unit this process runs in; None outside of one."""
    folders = [os.environ.get(name) for name in _UNIT_FOLDERS]
    config, state, logs, run = (Path(folder) if folder else None for folder in folders)
    if config and state and logs and run:
        return Paths(config=config / "thord.toml", state=state, logs=logs, run=run)
    return None


def as_service() -> Paths:
    """The system-wide places."""
    return Paths(
        config=Path("/etc/thord/thord.toml"),
        state=Path("/var/lib/thord"),
        logs=Path("/var/log/thord"),
        run=Path("/run/thord"),
    )


def as_user() -> Paths:
    """The places of a user's own thord, by the XDG rules."""
    state_root = os.environ.get("XDG_STATE_HOME")
    state = (Path(state_root) if state_root else Path.home() / ".local/state") / "thord"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Paths(
        config=state / "thord.toml",
        state=state,
        logs=state / "logs",
        run=Path(runtime) / "thord" if runtime else state / "run",
    )


def cache(paths: Paths) -> Path:
    """Where thorctl keeps what it has fetched for the thord in these places, which may run as another user.

    ``$XDG_CACHE_HOME/thord``; without it the service's ``/var/cache/thord`` for root and for the service, else
    ``~/.cache/thord``.
    """
    chosen = os.environ.get("XDG_CACHE_HOME")
    if chosen:
        return Path(chosen) / "thord"
    if os.geteuid() == 0 or paths == as_service():
        return Path("/var/cache/thord")
    return Path.home() / ".cache/thord"


def find(home: str | None = None) -> Paths:
    """The places of the thord to run: ``--home``, else what systemd says, else the service's for root, else the user's.

    ``THORD_HOME`` or ``APP__DATA_ROOT`` stands in for ``--home``.
    """
    chosen = chosen_home(home)
    if chosen:
        return at_home(chosen)
    return as_unit() or (as_service() if os.geteuid() == 0 else as_user())


def find_running(home: str | None = None) -> Paths:
    """The places of the thord to talk to: as `find`, but the service's where the user runs none and may reach that."""
    paths, service = find(home), as_service()
    if chosen_home(home) is None and not is_there(paths.control_socket) and os.access(service.control_socket, os.W_OK):
        return service
    return paths


def is_there(path: Path) -> bool:
    """Whether a path exists, as far as this user can see. Unlike for `Path.exists`, a closed folder is not an error."""
    return os.access(path, os.F_OK)


def is_ignored(name: str) -> bool:
    """Whether a file of this name in a watched folder is left alone until it is renamed: hidden and unfinished ones."""
    return name.startswith((".", "#")) or name.endswith(_UNFINISHED)


def socket_address(path: Path) -> str:
    """An address that fits ``sockaddr_un`` (107 bytes), whatever the length of ``path``.

    Long paths are reached through a descriptor of their folder, which stays open for the life of the process.
    """
    if len(os.fsencode(path)) < 100:
        return str(path)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{path.name}"


def source() -> str:
    """What to give pip to install thord again: the checkout that this is, else the wheel that it came from.

    Never the bare name: on a public index it may be somebody else's.
    """
    checkout = Path(__file__).resolve().parent.parent
    return str(checkout) if (checkout / "pyproject.toml").exists() else "WHEEL-OF-THORD"


def share(name: str) -> Path:
    """A file or folder that ships with thord: ``etc/...`` or ``systemd/...``.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    here = Path(__file__).resolve().parent
    for root in (here / "share", here.parent):
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(f"{name} is not part of this installation of thord in {sys.prefix}; install it again")
