"""The monitor's loop: sample, report, warn, follow the runs, sleep."""

import os
import queue
from dataclasses import asdict

from pydantic import JsonValue, TypeAdapter

from daemon import log
from daemon.messages import HostFigures, Reload
from daemon.process_exit import leave
from daemon.workers import runtime
from daemon.workers.monitor.alerts import alerts
from daemon.workers.monitor.figures import Figures
from daemon.workers.monitor.host import Host
from daemon.workers.monitor.summary import Summary
from daemon.workers.runtime import Context

_FIRST_SAMPLE_SECONDS = 1.0
"""Processor shares need some time to be an average of."""

_logger = log.get(__name__)


def main() -> None:
    """Sample until asked to stop."""
    context = runtime.start()
    monitor = Monitor(context)
    context.channel.ready()
    monitor.run()


class Monitor:
    """One sample after the other."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._interval = context.settings.monitoring.interval_seconds
        self._host = Host(os.getppid(), context.paths.state)
        self._summary = Summary(context.paths)
        self._warned: set[str] = set()
        self._unwritable = ""

    def run(self) -> None:
        """Sample every ``monitoring.interval_seconds`` until the supervisor says `Stop`."""
        channel, pause = self._context.channel, _FIRST_SAMPLE_SECONDS
        while not channel.stopping.is_set():
            try:
                command = channel.commands.get(timeout=pause)
            except queue.Empty:
                self._sample()
                pause = self._interval
            else:
                if isinstance(command, Reload):
                    self._interval = self._context.reread_settings().monitoring.interval_seconds
                    pause = _FIRST_SAMPLE_SECONDS

    def _sample(self) -> None:
        figures = self._host.sample()
        self._context.channel.send(HostFigures(figures=_plain(figures)))
        self._context.channel.advance("sampling")
        self._context.channel.idle()
        self._warn(figures)
        try:
            self._summary.update(_plain(figures))
            self._unwritable = ""
        except OSError as error:  # a full or read-only disk: the figures still go to the supervisor
            if str(error) != self._unwritable:
                _logger.warning("cannot write figures", error=str(error))
            self._unwritable = str(error)

    def _warn(self, figures: Figures) -> None:
        """Log each alert once, when it begins and when it ends."""
        found = alerts(figures)
        for name in found.keys() - self._warned:
            _logger.warning(found[name], alert=name, **asdict(figures.memory if name == "memory" else figures.disk))
        for name in self._warned - found.keys():
            _logger.info("enough is free again", alert=name)
        self._warned = set(found)


_FIGURES: TypeAdapter[Figures] = TypeAdapter(Figures)


def _plain(figures: Figures) -> dict[str, JsonValue]:
    value: dict[str, JsonValue] = _FIGURES.dump_python(figures, mode="json")
    return value


if __name__ == "__main__":
    main()
    leave()
