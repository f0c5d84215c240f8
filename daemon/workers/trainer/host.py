"""Another host's part in training: waits for runs that begin at a rendezvous, and takes part in each.

    python -m daemon.workers.trainer.host --number 1 --rendezvous 10.0.0.1:29400 --hosts 2 --processes 2

The home of the service must be at the same place as on the host that leads, on a network file system: data, checkpoints
and versions are read there. Runs until it is asked to end by SIGTERM.
"""

import argparse
import contextlib
import socket
import tempfile
import time
from pathlib import Path

from pydantic import ValidationError

from control.paths import Paths, find
from daemon import log
from daemon.settings.load import SettingsError, load
from daemon.workers import runtime
from daemon.workers.trainer import launcher
from engine.config.distributed import DistributedSettings

_LOOK_SECONDS = 0.5
_logger = log.get(__name__)


def main() -> None:
    """Take part in one run after another."""
    number, settings, paths = _arguments()
    log.configure("host", paths.log("host"), runtime.read_settings(paths).supervision, console=True)
    _logger.info("waiting for runs", rendezvous=settings.rendezvous, number=number, processes=settings.processes)
    while True:
        _await(settings)
        ranks = launcher.Ranks(paths, command=None, channel=None, world_size=settings.world_size)
        try:
            failure = launcher.launch(settings, number, paths, ranks.socket)
        finally:
            ranks.close()
        if failure:
            _logger.warning("a run ended early", why=failure, said=[one.reason for one in ranks.failures])
        else:
            _logger.info("a run ended")


def _await(settings: DistributedSettings) -> None:
    """Until the rendezvous can be reached: it is open while a run is on."""
    host, _, port = str(settings.rendezvous).rpartition(":")
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), timeout=5):
            return
        time.sleep(_LOOK_SECONDS)


def _arguments() -> tuple[int, DistributedSettings, Paths]:
    """The number of this host, what it takes part in, and where logs and sockets of this process go."""
    parser = argparse.ArgumentParser(prog="python -m daemon.workers.trainer.host", description="Take part in training.")
    parser.add_argument("--number", type=int, required=True, help="this host's, from 1; the host that leads has 0")
    parser.add_argument("--home", metavar="DIR", help="the service's home, to read its settings from")
    parser.add_argument("--rendezvous", metavar="HOST:PORT", help="training.distributed.rendezvous")
    parser.add_argument("--hosts", type=int, help="training.distributed.hosts")
    parser.add_argument("--processes", type=int, help="training.distributed.processes")
    given = parser.parse_args()
    paths = find(given.home)
    try:
        tables = load(paths).tables
        known = tables.training.distributed.model_dump()
        asked = {name: value for name in ("rendezvous", "hosts", "processes") if (value := getattr(given, name))}
        settings = DistributedSettings.model_validate(known | asked)
    except (SettingsError, ValidationError) as error:
        parser.error(str(error))
    if not 0 < given.number < settings.hosts:
        parser.error(f"--number {given.number}: with {settings.hosts} hosts it is one of 1 to {settings.hosts - 1}")
    own = Path(tempfile.mkdtemp(prefix="thord-host-"))
    places = Paths(config=paths.config, state=paths.state, logs=paths.logs / f"host-{given.number}", run=own)
    places.settings_file.write_text(tables.model_dump_json())
    return given.number, settings, places


if __name__ == "__main__":
    main()
