"""What every worker stands on: channel, heartbeat, log, and the rule that it never outlives its supervisor."""

import contextlib
import ctypes
import faulthandler
import gc
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from control.paths import Paths, socket_address
from daemon import assignment, log
from daemon.messages import (
    MAX_LINE,
    PROTOCOL,
    AnswersQueued,
    BadMessageError,
    Beat,
    Hello,
    Message,
    Ready,
    ServiceHealth,
    Stop,
    ToWorker,
    decode_to_worker,
    encode,
)
from daemon.settings.sections import Tables

EXIT_ORPHANED = 70
"""The supervisor went away. Nobody is left to read it; it tells apart in a core dump or a trace."""

_PR_SET_PDEATHSIG = 1
_LAST_MOMENT_SECONDS = 0.2
_logger = log.get(__name__)


class Channel:
    """The line to the supervisor. Losing it ends the process, so no orphan outlives the supervisor.

    Attributes:
        commands: what the supervisor asked for, in order. ``None`` wakes a reader that should look at `stopping`.
        stopping: set once a `Stop` came in; the time allowed is then in `grace_seconds`.
    """

    def __init__(self, stream: socket.socket, beat_seconds: float) -> None:
        self.commands: queue.Queue[ToWorker | None] = queue.Queue()
        self.stopping = threading.Event()
        self.grace_seconds = 0.0
        self._stream = stream
        self._sending = threading.Lock()
        self._beat_seconds = beat_seconds
        self._progress = 0
        self._activity = ""
        self._busy = False
        self._on_stop: list[Callable[[], None]] = []
        self._on_health: list[Callable[[ServiceHealth], None]] = []
        self._on_answers_queued: list[Callable[[], None]] = []

    def send(self, message: Message) -> None:
        """Send one message; a lost supervisor ends this process.

        Raises:
            ValueError: the message is longer than the protocol allows.
        """
        line = encode(message)
        if len(line) > MAX_LINE:
            raise ValueError(f"a {type(message).__name__} of {len(line)} bytes is over the limit of {MAX_LINE}")
        try:
            with self._sending:
                self._stream.sendall(line)
        except OSError:
            self._end()

    def ready(self) -> None:
        """Say that the work can begin."""
        self.send(Ready())

    def advance(self, activity: str, by: int = 1) -> None:
        """Count real work done; the next heartbeat carries it."""
        self._progress += by
        self._activity = activity
        self._busy = True

    def idle(self) -> None:
        """Say that nothing is under way, so that a counter that stands still is not taken for a stall."""
        self._activity = ""
        self._busy = False

    def beat(self) -> None:
        """Send a heartbeat now, as when what was said last is over long before the next one is due."""
        self.send(Beat(progress=self._progress, activity=self._activity, busy=self._busy))

    def on_stop(self, call: Callable[[], None]) -> None:
        """Have ``call`` run, in the channel's thread, when this worker is asked to stop."""
        self._on_stop.append(call)

    def on_health(self, call: Callable[[ServiceHealth], None]) -> None:
        """Have ``call`` run, in the channel's thread, whenever the supervisor says how the service is."""
        self._on_health.append(call)

    def on_answers_queued(self, call: Callable[[], None]) -> None:
        """Have ``call`` run, in the channel's thread, whenever there are jobs for the server."""
        self._on_answers_queued.append(call)

    def start(self) -> None:
        """Begin to listen and to beat, each in a thread of its own."""
        threading.Thread(target=self._listen, name="channel", daemon=True).start()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def _listen(self) -> None:
        try:
            with self._stream.makefile("rb") as lines:
                while line := lines.readline(MAX_LINE + 1):
                    command = decode_to_worker(line)
                    if isinstance(command, Stop):
                        self._enter_stop(command)
                    elif isinstance(command, ServiceHealth):
                        for call in self._on_health:
                            call(command)
                    elif isinstance(command, AnswersQueued):
                        for tell in self._on_answers_queued:
                            tell()
                    else:
                        self.commands.put(command)
        except OSError:
            pass  # as good as end of file
        except BadMessageError as error:  # another release of thord was installed while this one runs
            _logger.error("the supervisor sent a line that is not a message", error=str(error))  # noqa: TRY400
        self._end()

    def _enter_stop(self, command: Stop) -> None:
        self.grace_seconds = command.grace_seconds
        self.stopping.set()
        self.commands.put(None)
        for call in self._on_stop:
            call()

    def _beat(self) -> None:
        pause = threading.Event()
        while True:
            self.beat()
            pause.wait(self._beat_seconds)

    def _end(self) -> None:
        """Leave: what was under way is resumable by design, and nobody is left to report to.

        If the supervisor died, the kernel is about to kill the whole group of this worker. It is given a moment to do
        so: a worker that leaves before takes the lifeline with it, and its own children would live on.
        """
        _logger.warning("the supervisor is gone, this worker ends")
        time.sleep(_LAST_MOMENT_SECONDS)
        os._exit(EXIT_ORPHANED)


@dataclass(frozen=True)
class Context:
    """All that a worker is given."""

    name: str
    paths: Paths
    settings: Tables
    channel: Channel
    api_descriptors: tuple[int, ...]

    def reread_settings(self) -> Tables:
        """The settings after a `Reload`."""
        return read_settings(self.paths)


def read_settings(paths: Paths) -> Tables:
    """The settings as the supervisor resolved and wrote them."""
    return Tables.model_validate_json(paths.settings_file.read_bytes())


def start() -> Context:
    """Become a worker: tie this process to its supervisor, open log and channel, say hello.

    The worker sends `Ready` itself, when it is.
    """
    given = assignment.take()
    _die_with(given.supervisor, tied=given.lifeline is not None)
    faulthandler.enable()  # SIGABRT from the supervisor leaves every thread's stack in the log
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C reaches the supervisor, which then asks us
    paths = given.paths
    settings = read_settings(paths)
    log.configure(given.worker, paths.log(given.worker), settings.supervision)
    log.bind(worker=given.worker)
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.connect(socket_address(given.channel or paths.channel_socket))
    channel = Channel(stream, beat_seconds=settings.supervision.heartbeat_timeout_seconds / 3)
    channel.send(Hello(protocol=PROTOCOL, worker=given.worker, pid=os.getpid(), token=given.token))
    channel.start()
    return Context(given.worker, paths, settings, channel, given.api_descriptors)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Import here what lives as long as the process, torch first of all.

    The garbage collector does not look through it, neither now, which takes a tenth of the time, nor ever after: with
    torch loaded, one full collection stops every thread of Python for a tenth of a second.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _die_with(supervisor: int, *, tied: bool) -> None:
    """See to it that this process dies with its parent, and leave if that has died already.

    A worker whose whole group is tied by a lifeline must not die by PR_SET_PDEATHSIG: with several threads in the
    supervisor that comes first, and the children of this worker would live on.
    """
    if not tied:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:
        os._exit(EXIT_ORPHANED)
