"""The server's part in a swap: what the supervisor commands, done beside the requests, in one thread.

    Prepare N    check, load and warm N beside the version that serves → Prepared, or Refused with the reason
    Commit N     `current` points to N already: new requests go to N   → Serving, or Refused if it had to be loaded
    Abandon N    forget what was prepared, or is kept                  → Serving, if it was kept

Where memory does not hold two versions, Prepare only checks N (→ Prepared, in place), and Commit swaps in place: new
requests wait in the queue, those under way finish, the old weights go, N is loaded, and the queue moves on. If N cannot
be loaded then, the old version is loaded again and N refused.

Every command may come again and is answered the same. A version that is refused leaves no trace: answers go on from
the one that serves. After a restart the server takes up what `current` points to.
"""

import threading
import time
from collections.abc import Callable

from control.paths import version_name
from daemon import log
from daemon.messages import (
    UNASKED,
    Abandon,
    ChatsForgotten,
    Commit,
    Failure,
    ForgetChats,
    Prepare,
    Prepared,
    Refused,
    Reload,
    Serving,
    ToWorker,
)
from daemon.workers.runtime import Context
from daemon.workers.server.loading import DRAIN_MARGIN, VersionLoader
from daemon.workers.server.metrics import Metrics
from engine import artifacts
from engine.inference.versions.preparing import NotNowError, UnfitVersionError
from engine.inference.versions.slots import WeightSlots
from engine.inference.versions.swap_policy import Room

_logger = log.get(__name__)


class Swapper:
    """Carries out the supervisor's commands. `run` is the thread."""

    def __init__(
        self,
        context: Context,
        slots: WeightSlots,
        loader: VersionLoader,
        metrics: Metrics,
        *,
        on_unready: Callable[[str], None],
        on_decided: Callable[[], None],
        on_reload: Callable[[], None],
        on_forget: Callable[[ForgetChats], ChatsForgotten | Failure],
        is_idle: Callable[[], bool],
    ) -> None:
        self._context = context
        self._channel = context.channel
        self._slots = slots
        self._loader = loader
        self._metrics = metrics
        self._on_unready = on_unready
        self._on_decided = on_decided
        self._on_reload = on_reload
        self._on_forget = on_forget
        self._is_idle = is_idle
        self._saying = threading.Lock()

    def run(self) -> None:
        """Serve what is current, then obey until the channel asks this worker to stop."""
        self._take_up_current()
        self._on_decided()
        self._channel.ready()
        while (command := self._channel.commands.get()) is not None or not self._channel.stopping.is_set():
            if command is not None:
                self._obey(command)

    def _take_up_current(self) -> None:
        version = artifacts.current_version(self._context.paths.current)
        if version is None:
            self._on_unready(
                "no version exists yet: the first one is served when its training and evaluation are done, or when a "
                "model is imported: thorctl import starter --promote"
            )
            self.say_what_serves()
            return
        self._on_unready(f"version {version_name(version)} is being loaded")
        self._commit(Commit(version=version))

    def _obey(self, command: ToWorker) -> None:
        match command:
            case Prepare():
                room = self._make_ready(command)
                if room is not None:
                    self._metrics.swaps.labels("prepare", "prepared").inc()
                    self._channel.send(Prepared(to=command.id, version=command.version, in_place=room == "in place"))
            case Commit():
                self._commit(command)
            case Abandon(version=version):
                before = self._slots.addressable
                self._slots.abandon(version)
                if self._slots.addressable != before:
                    self.say_what_serves()
            case Reload():
                self._on_reload()
            case ForgetChats():
                self._channel.send(self._on_forget(command))
            case _:
                _logger.warning("an unexpected command", kind=command.kind)

    def _commit(self, command: Commit) -> None:
        version = command.version
        with self._loader.busy:
            room = self._make_ready(command)
            if room is None or (room == "in place" and not self._replace(command)):
                return
            self._slots.commit(version)
        self._metrics.swaps.labels("commit", "served").inc()
        _logger.info("new requests go to this version", version=version)
        self.say_what_serves(command.id)

    def _make_ready(self, command: Prepare | Commit) -> Room | None:
        """Have the version checked and, where it fits beside the one that serves, in memory and warm.

        Returns:
            Where it fits; None: it is refused, and the supervisor was told why.
        """
        version = command.version
        self._channel.advance(f"preparing version {version_name(version)}")
        started = time.monotonic()
        try:
            with self._loader.busy:
                room: Room = "beside" if self._is_ready(version) else self._loader.beside(version)
        except (UnfitVersionError, NotNowError, TimeoutError) as error:
            self._refuse(command, str(error), unfit=isinstance(error, UnfitVersionError))
            return None
        finally:
            self._rest()
        seconds = round(time.monotonic() - started, 3)
        chosen = self._loader.form(version)
        _logger.info("a version is prepared", version=version, room=room, form=chosen, seconds=seconds)
        return room

    def _is_ready(self, version: int) -> bool:
        """Whether it is in memory, and will be until it is committed or abandoned."""
        return self._slots.holds(version) and not self._slots.admit(version, wait_seconds=0)

    def _rest(self) -> None:
        """Say that nothing is being loaded any more; a beat of its own, for people look at the status right then."""
        if self._is_idle():
            self._channel.idle()
        self._channel.beat()

    def _replace(self, command: Commit) -> bool:
        """Load a version in place of the one that serves, while requests wait. False: the old one is back."""
        version, old = command.version, self._slots.prompt_spec
        if old is None:
            raise RuntimeError("there is nothing to replace")
        self._channel.advance(f"replacing version {version_name(old.version)} by {version_name(version)}")
        self._on_unready(
            f"version {version_name(version)} takes the place of {version_name(old.version)}, as memory holds only one "
            "of them: requests wait until it is loaded"
        )
        _logger.warning("memory does not hold two versions: answers pause", version=version, replaces=old.version)
        began = time.monotonic()
        try:
            self._slots.clear(self._slots.drain_seconds + DRAIN_MARGIN)
            drained = time.monotonic()
            self._loader.alone(version)
        except (UnfitVersionError, NotNowError, TimeoutError) as error:
            self._bring_back(old.version)
            self._refuse(command, str(error), unfit=isinstance(error, UnfitVersionError))
            return False
        finally:
            self._metrics.pause_seconds.observe(time.monotonic() - began)
            self._rest()
        waited = {"drain_seconds": round(drained - began, 3), "load_seconds": round(time.monotonic() - drained, 3)}
        _logger.info("answers go on", version=version, **waited)
        return True

    def _bring_back(self, version: int) -> None:
        """Serve the replaced version again."""
        try:
            if not self._slots.holds(version):
                self._loader.alone(version)
            self._slots.commit(version)
            _logger.warning("the previous version goes on answering", version=version)
        except (UnfitVersionError, NotNowError) as error:
            self._on_unready(f"version {version_name(version)} cannot be loaded again: {error}")
            _logger.critical("the previous version cannot be loaded again", version=version, reason=str(error))
            self._slots.give_up()

    def _refuse(self, command: Prepare | Commit, reason: str, *, unfit: bool) -> None:
        version = command.version
        self._metrics.swaps.labels("prepare", "refused").inc()
        _logger.error("a version is refused", version=version, reason=reason)
        if self._slots.serving is None:
            self._on_unready(f"version {version_name(version)} was refused: {reason}")
        self._channel.send(Refused(to=command.id, version=version, reason=reason, unfit=unfit))

    def say_what_serves(self, asked: int = UNASKED) -> None:
        """Tell the supervisor which version serves, and which are in memory. From any thread; the last word is true."""
        with self._saying:
            serving = self._slots.serving
            number = serving.version if serving else None
            resident, kept, forms = self._slots.addressable, self._slots.kept, self._slots.forms
            self._channel.send(Serving(to=asked, version=number, resident=resident, kept=kept, forms=forms))
