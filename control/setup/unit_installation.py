"""Installing and removing the systemd unit, as steps that can be shown before they are taken."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from control import errors
from control.paths import as_service, as_user, share, source
from control.service import systemd
from control.service.process import thord_command
from control.setup.settings_file import settings_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SYSTEM_FILES = {
    "systemd/sysusers.d/thord.conf": Path("/etc/sysusers.d/thord.conf"),
    "systemd/tmpfiles.d/thord.conf": Path("/etc/tmpfiles.d/thord.conf"),
    "etc/logrotate.d/thord": Path("/etc/logrotate.d/thord"),
}
"""What ships with thord: where the system looks for it."""


class Step(NamedTuple):
    """One step of the installation: what it does, in words, and the function that does it."""

    what: str
    do: Callable[[], None]


def steps(*, user: bool, uninstall: bool, socket_activation: bool = False, keys: str | None = None) -> Iterator[Step]:
    """What to do, in order. With ``socket_activation`` systemd listens for the public API; ``keys`` are its API keys.

    Raises:
        NotPermittedError: the system's unit, and this is not root.
        ThordError: thord is installed where the service could not run it.
    """
    if not user and os.geteuid() != 0:
        raise errors.NotPermittedError("only root may install a service of the system; use sudo, or --user")
    folder = systemd.user_folder() if user else systemd.SYSTEM_FOLDERS[0]
    unit = systemd.Unit(folder / systemd.UNIT, user)
    return _uninstall(unit) if uninstall else _install(unit, socket_activation=socket_activation, keys=keys)


def unit_text(*, user: bool, socket_activation: bool = False, keys: str | None = None) -> str:
    """The unit with the path of this installation's thord.

    Raises:
        ThordError: thord is not installed as a command.
    """
    command = thord_command()
    if len(command) != 1:
        raise errors.ThordError(
            f"there is no command 'thord' beside {command[0]} for a unit to run; install thord with pip first"
        )
    text = share("systemd/user/thord.service" if user else "systemd/thord.service").read_text(encoding="utf-8")
    home = os.environ.get("XDG_STATE_HOME")
    if user and home:  # Known to this shell, but perhaps not to the user's systemd.
        text = text.replace("\nUMask=", f'\nEnvironment="XDG_STATE_HOME={home}"\nUMask=')
    if socket_activation:  # Whoever starts the service starts the socket before it, or it would listen by itself.
        text = text.replace("\n[Service]", f"Requires={systemd.SOCKET}\nAfter={systemd.SOCKET}\n\n[Service]", 1)
    if keys:  # Where the file is missing, systemd does not start thord: better than an API open to all.
        text = text.replace("\nUMask=", f"\nLoadCredential=keys:{Path(keys).absolute()}\nUMask=", 1)
    if systemd.version() < 253:  # It does not know notify-reload and would take the unit for Type=simple.
        text = text.replace("Type=notify-reload\n", "Type=notify\nExecReload=/bin/kill -HUP $MAINPID\n")
    return text.replace("@THORD@", command[0])


def _install(unit: systemd.Unit, *, socket_activation: bool, keys: str | None) -> Iterator[Step]:
    text = unit_text(user=unit.user, socket_activation=socket_activation, keys=keys)
    if not unit.user:
        _check_others_may_run(Path(thord_command()[0]))
    yield _write(unit.file, text)
    if socket_activation:
        yield _write(unit.file.with_name(systemd.SOCKET), share("systemd/thord.socket").read_text(encoding="utf-8"))
    if not unit.user:
        for name, target in _SYSTEM_FILES.items():
            if target.parent.name != "logrotate.d" or target.parent.is_dir():
                yield _write(target, share(name).read_text(encoding="utf-8"))
        yield _run("systemd-sysusers", str(_SYSTEM_FILES["systemd/sysusers.d/thord.conf"]))
        yield from _hand_over()
        yield _run("systemd-tmpfiles", "--create", str(_SYSTEM_FILES["systemd/tmpfiles.d/thord.conf"]))
    config = (as_user() if unit.user else as_service()).config
    if not config.exists():
        yield _write(config, settings_text(None))
    yield from _reload(unit)


def _hand_over() -> Iterator[Step]:
    """Give the service what root made by trying thord before. No other user could put a file of root's in there."""
    for folder in (as_service().state, as_service().logs):
        if folder.is_dir() and folder.stat().st_uid == 0:
            yield _run("chown", "--recursive", "--no-dereference", "thord:thord", str(folder))


def _uninstall(unit: systemd.Unit) -> Iterator[Step]:
    socket = unit.file.with_name(systemd.SOCKET)
    for file in (socket, unit.file):  # the socket first: a connection would start thord again
        if systemd.running(user=unit.user) and file.exists():
            yield _run(*unit.command("disable", "--now", file.name))
    for file in [unit.file, socket, *([] if unit.user else _SYSTEM_FILES.values())]:
        if file.exists():
            yield Step(f"remove {file}", file.unlink)
    yield from _reload(unit)


def _reload(unit: systemd.Unit) -> Iterator[Step]:
    if systemd.running(user=unit.user):
        yield _run(*unit.command("daemon-reload"))


def _write(file: Path, text: str) -> Step:
    def write() -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            draft = file.with_name(f".{file.name}.new")
            draft.write_text(text, encoding="utf-8")
            draft.chmod(0o644)
            draft.rename(file)
        except OSError as error:
            raise errors.ThordError(f"{file} could not be written: {error.strerror}") from error

    return Step(f"write {file}", write)


def _run(*command: str) -> Step:
    def run() -> None:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise errors.ThordError(f"{command[0]} is not on this machine; is systemd installed?") from error
        if done.returncode:
            raise errors.ThordError(f"{' '.join(command)} failed: {done.stderr.strip()}")

    return Step(f"run {' '.join(command)}", run)


def _check_others_may_run(command: Path) -> None:
    """The service's user must reach thord and the interpreter it names, through every folder above them."""
    for path in (command, command.with_name("python").resolve()):
        for part in (path, *path.parents):
            if not part.stat().st_mode & 0o001:
                raise errors.ThordError(
                    f"the user thord could not run {command}, because {part} is closed to others; install thord where "
                    f"all may read it, such as /opt/thord (python3 -m venv /opt/thord; /opt/thord/bin/pip install "
                    f"{source()})"
                )
