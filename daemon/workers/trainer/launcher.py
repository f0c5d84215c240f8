"""Training on several processes: torchrun's agent starts ranks, this process is their supervisor and speaks for them.

    supervisor ── trainer (this: channel, heartbeat, torchrun's agent)
                     ├── rank 0    says what there is to say; writes checkpoints, figures, the version
                     └── rank 1 …  compute

Each rank is a worker like any other, tied to this process as that is to the supervisor, by the same messages. What
rank 0 says is passed on. Another host has such a trainer too (`daemon.workers.trainer.host`), which has nobody to speak
to.

A boundary module: torchrun's API has few types.
"""

import contextlib
import gc
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from control.paths import Paths, socket_address
from daemon import assignment, log
from daemon.assignment import Assignment
from daemon.messages import (
    MAX_LINE,
    BadMessageError,
    Beat,
    Failure,
    FromWorker,
    Hello,
    Message,
    Ready,
    Stop,
    Train,
    TrainProgress,
    decode_from_worker,
    encode,
)
from daemon.workers.runtime import Channel
from engine.config.distributed import DistributedSettings

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

_COMING_SECONDS = 300
"""How long a host waits for the others."""
_ENDING_SECONDS = 2
"""From TERM to KILL for ranks whose run is over because one of them failed."""
_logger = log.get(__name__)


class Ranks:
    """Connections of this host's ranks. What they say goes to ``channel``; failures are kept for `train` to judge."""

    def __init__(self, paths: Paths, command: Train | None, channel: Channel | None, world_size: int) -> None:
        self.failures: list[Failure] = []
        self.stopped = False
        self._command = command
        self._channel = channel
        self._world_size = world_size
        self._streams: list[socket.socket] = []
        self._progress = 0
        self._changing = threading.Lock()
        self._readers: list[threading.Thread] = []
        self.socket = paths.run / "ranks.sock"
        self.socket.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(socket_address(self.socket))
        self.socket.chmod(0o600)
        self._listener.listen()
        threading.Thread(target=self._accept, name="ranks", daemon=True).start()

    def close(self) -> None:
        """Hear out what was said, once all ranks are gone."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who accepts
        self._listener.close()
        self.socket.unlink(missing_ok=True)
        for reader in self._readers:
            reader.join()

    def stop(self) -> None:
        """Ask every rank to leave with a checkpoint."""
        with self._changing:
            self.stopped = True
            for stream in self._streams:
                self._send(stream, Stop(grace_seconds=self._channel.grace_seconds if self._channel else 0.0))

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                stream, _ = self._listener.accept()
                reader = threading.Thread(target=self._read, args=(stream,), name="rank", daemon=True)
                self._readers.append(reader)
                reader.start()

    def _read(self, stream: socket.socket) -> None:
        with contextlib.suppress(OSError), stream, stream.makefile("rb") as lines:
            while line := lines.readline(MAX_LINE + 1):
                try:
                    self._take(stream, decode_from_worker(line))
                except BadMessageError as error:
                    _logger.error("a rank sent a line that is not a message", error=str(error))  # noqa: TRY400

    def _take(self, stream: socket.socket, message: FromWorker) -> None:
        match message:
            case Hello():
                with self._changing:
                    self._streams.append(stream)
                    if self._command:
                        self._send(stream, self._command)
                if self.stopped:
                    self.stop()
            case Ready():
                pass
            case Beat():
                self._pass_on_progress(message)
            case Failure():
                self.failures.append(message)
            case TrainProgress() if self._channel:
                self._channel.send(message.model_copy(update={"processes": self._world_size}))
            case _ if self._channel:
                self._channel.send(message)

    def _pass_on_progress(self, beat: Beat) -> None:
        """That of rank 0; the others report none."""
        if self._channel and beat.progress > self._progress:
            self._channel.advance(beat.activity, beat.progress - self._progress)
            self._progress = beat.progress

    def _send(self, stream: socket.socket, message: Message) -> None:
        with contextlib.suppress(OSError):  # that rank is gone, and torchrun's agent knows
            stream.sendall(encode(message))


def train(command: Train, settings: DistributedSettings, paths: Paths, channel: Channel) -> None:
    """Have the ranks carry out a run. Answered by rank 0, or, where a rank failed, by this process."""
    channel.advance(f"starting {settings.world_size} processes")
    _logger.info("starting ranks", processes=settings.processes, hosts=settings.hosts, strategy=settings.strategy)
    ranks = Ranks(paths, command, channel, settings.world_size)
    channel.on_stop(ranks.stop)
    if channel.stopping.is_set():
        return
    try:
        failure = launch(settings, 0, paths, ranks.socket)
    finally:
        ranks.close()
    if failure is None or ranks.stopped:
        return
    reason, retry = _judge(failure, ranks.failures)
    _logger.error("training failed", reason=reason, retry=retry)
    channel.send(Failure(to=command.id, reason=reason, retry=retry))


def _judge(failure: str, said: list[Failure]) -> tuple[str, bool]:
    """Why the run failed, and whether to try again.

    | what is known                       | the reason                                              |
    | ----------------------------------- | ------------------------------------------------------- |
    | a rank was killed                   | that, for what others say is that they lost it          |
    | a rank said that it cannot be done  | what it said, and no other attempt                      |
    | ranks said why they failed          | the first to say so                                     |
    | nothing was said                    | how the first one ended                                 |
    """
    if " was killed by " in failure:
        return failure, True
    final = next((one for one in said if not one.retry), said[0] if said else None)
    return (final.reason, final.retry) if final else (failure, True)


def launch(settings: DistributedSettings, host: int, paths: Paths, ranks_socket: Path) -> str | None:
    """Run the ranks of the ``host``-th host to their end; how a rank failed, else nothing.

    On one host they meet at a port of their own, on several at the rendezvous of the first.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    several = settings.hosts > 1
    given = Assignment(
        worker="trainer",
        token="",  # the socket is this user's own
        supervisor=os.getpid(),
        config=paths.config,
        state=paths.state,
        logs=paths.logs,
        run=paths.run,
        channel=ranks_socket,
    )
    with tempfile.TemporaryDirectory(dir=paths.run, prefix="ranks-") as folder, _environment(settings, given):
        config = LaunchConfig(
            min_nodes=settings.hosts,
            max_nodes=settings.hosts,
            nproc_per_node=settings.processes,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
            run_id="thord",
            rdzv_backend="static" if several else "c10d",
            rdzv_endpoint=settings.rendezvous if several and settings.rendezvous else "127.0.0.1:0",
            rdzv_configs={"timeout": _COMING_SECONDS, **({"rank": host} if several else {"is_host": True})},
            max_restarts=0,  # the supervisor tries again, from the last checkpoint
            local_addr=None if several else "127.0.0.1",
            signals_to_handle="SIGTERM",
            shutdown_timeout=_ENDING_SECONDS,
        )
        try:
            elastic_launch(config, sys.executable)("-P", "-m", "daemon.workers.trainer.rank")
        except ChildFailedError as error:
            return _how(error.failures)
        except RuntimeError as error:  # the rendezvous, or the agent of another host
            return f"the {settings.hosts} hosts did not stay together at {settings.rendezvous}: {error}"
        finally:
            gc.collect()  # the agent's store, for the next run must not find it
    return None


def _how(failures: "dict[int, ProcessFailure]") -> str:
    """How the first rank ended, those that were killed before those that noticed."""

    def order(rank: int) -> tuple[bool, int]:
        return failures[rank].exitcode >= 0, failures[rank].timestamp

    rank = min(failures, key=order)
    failure = failures[rank]
    if failure.exitcode < 0:
        return f"rank {rank} (process {failure.pid}) was killed by {signal.Signals(-failure.exitcode).name}"
    return f"rank {rank} (process {failure.pid}) ended with status {failure.exitcode}; its log line says why"


@contextlib.contextmanager
def _environment(settings: DistributedSettings, given: Assignment) -> Iterator[None]:
    """What ranks inherit: their assignment, and the network interface on which they find each other."""
    ours = {assignment.VARIABLE: given.model_dump_json()}
    interface = _interface(settings.rendezvous) if settings.hosts > 1 and settings.rendezvous else "lo"
    if interface:
        ours |= {name: interface for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME") if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


def _interface(rendezvous: str) -> str | None:
    """The interface by which this host reaches the rendezvous: gloo's own guess is often the loopback."""
    host, _, port = rendezvous.rpartition(":")
    with contextlib.suppress(OSError):
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            mine = probe.getsockname()[0]
        for name, addresses in psutil.net_if_addrs().items():
            if any(one.address.partition("%")[0] == mine for one in addresses):
                return name
    return None
