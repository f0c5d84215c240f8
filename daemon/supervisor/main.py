"""The command ``thord``: runs the service in the foreground until it is told to stop."""

import argparse
import asyncio
import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from control import env_file
from control import paths as places
from control.env_file import EnvFileError
from control.paths import Paths
from daemon import log
from daemon.messages import WorkerName
from daemon.process_exit import leave
from daemon.settings import machine
from daemon.settings.load import Loaded, SettingsError, load
from daemon.settings.sections import SupervisionSettings
from daemon.supervisor import home, socket_activation, sockets
from daemon.supervisor.lock import Lock
from daemon.supervisor.notify import Notifier
from daemon.supervisor.processes.roles import ROLES, Role
from daemon.supervisor.start_error import StartError
from daemon.supervisor.supervisor import Supervisor

EXIT_FAILED = 1
EXIT_BAD_CONFIGURATION = 2

_DESCRIPTION = """\
Keep a language model learning: watch folders of conversations, train, evaluate, and serve the better version.
thord runs in the foreground until SIGTERM; a second SIGTERM stops it at once. SIGHUP reloads the settings.
See also: thorctl."""


def main(arguments: Sequence[str] | None = None, roles: Mapping[WorkerName, Role] = ROLES) -> int:
    """Run thord; the exit status: 0 stopped as asked, 1 failed, 2 bad configuration or usage."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["worker"]:
        from daemon.supervisor.remote.host import main as worker  # needs an extra, and has a command line of its own

        return worker.main(words[1:])
    given = _parser().parse_args(words)
    if given.version:
        print(f"thord {_version()}")
        return 0
    variables = Path(given.env_file).expanduser().absolute() if given.env_file else None
    notifier = Notifier()
    try:
        paths = places.find(given.home or _home_in(variables))
        if given.check:
            loaded = load(paths, given.profile, given.settings, variables)
            machine.check(loaded)
            for warning in loaded.warnings:
                print(f"warning: {warning}", file=sys.stderr)
            print(f"the settings are valid; profile {loaded.profile}, {loaded.why}")
        else:
            _run(paths, lambda: load(paths, given.profile, given.settings, variables), notifier, roles)
            leave()
    except SettingsError as error:
        return _complain(error, notifier, EXIT_BAD_CONFIGURATION)
    except StartError as error:
        return _complain(error, notifier, EXIT_FAILED)
    return 0


def _run(
    paths: Paths, read_settings: Callable[[], Loaded], notifier: Notifier, roles: Mapping[WorkerName, Role]
) -> None:
    """Take the settings, the folders, the lock and the sockets, in this order, and run until told to stop."""
    given = socket_activation.take(os.environ)
    os.umask(home.UMASK)
    loaded = read_settings()
    for name, value in loaded.libraries.items():
        os.environ.setdefault(name, value)
    home.prepare(paths, loaded.tables.paths)
    with contextlib.closing(Lock(paths)):
        _open_log(paths, loaded.tables.supervision)
        log.get(__name__).info("thord starts", home=str(paths.state), profile=loaded.profile, why=loaded.why)
        for warning in loaded.warnings:
            log.get(__name__).warning(warning)
        bound = sockets.bind(paths, loaded.tables.api, given)
        try:
            asyncio.run(Supervisor(paths, loaded, read_settings, bound, notifier, roles).run())
        except Exception as error:
            if not isinstance(error, StartError):
                log.get(__name__).exception("thord failed")  # often nobody reads stderr
            raise
        finally:
            bound.close(paths)


def _home_in(variables: Path | None) -> str | None:
    """The home that a file of variables names, unless the environment does.

    Raises:
        SettingsError: the file cannot be read.
    """
    if variables is None or places.chosen_home():
        return None
    try:
        return env_file.home_in(variables)
    except EnvFileError as error:
        raise SettingsError(error.faults) from None


def _open_log(paths: Paths, settings: SupervisionSettings) -> None:
    try:
        log.configure("thord", paths.log("thord"), settings, console=_somebody_reads())
    except OSError as error:
        raise StartError(
            f"cannot write {paths.log('thord')}: {error.strerror}; make it writable for this user"
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "thord", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-H", "--home", metavar="DIR", help="keep everything under DIR")
    parser.add_argument("--profile", metavar="NAME", help="use the defaults of this profile")
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change one setting"
    )
    parser.add_argument(
        "--env-file", metavar="FILE", help="read variables from this file, instead of .env beside thord.toml"
    )
    parser.add_argument("--check", action="store_true", help="check the settings and exit")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("thord")
    except importlib.metadata.PackageNotFoundError:
        return "from a source tree, not installed"


def _somebody_reads() -> bool:
    """Stderr is a terminal, or the journal."""
    return sys.stderr.isatty() or "JOURNAL_STREAM" in os.environ


def _complain(error: Exception, notifier: Notifier, status: int) -> int:
    notifier.status(str(error))
    print(f"thord: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
