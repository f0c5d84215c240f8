"""Where systemd runs thord: finding its unit, and asking systemctl to act on it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from control import errors

if TYPE_CHECKING:
    from control.paths import Paths

UNIT = "thord.service"
SOCKET = "thord.socket"
_JOURNAL_SECONDS = 2.0

SYSTEM_FOLDERS = (Path("/etc/systemd/system"), Path("/usr/local/lib/systemd/system"), Path("/usr/lib/systemd/system"))


class Unit(NamedTuple):
    """The installed unit: the system's, or the user's own."""

    file: Path
    user: bool

    def command(self, *words: str) -> list[str]:
        """A systemctl command on this unit's manager."""
        return ["systemctl", *(["--user"] if self.user else []), *words]

    def properties(self) -> dict[str, str]:
        """What systemd knows about the unit, as ``systemctl show`` names it."""
        names = "ActiveState,SubState,MainPID,Result,ExecMainStatus,ExecMainCode,StatusText,UnitFileState"
        shown = subprocess.run(
            self.command("show", UNIT, f"--property={names}"), capture_output=True, text=True, check=False
        )
        pairs = (line.partition("=") for line in shown.stdout.splitlines())
        return {name: value for name, _, value in pairs}

    @property
    def engaged(self) -> bool:
        """Whether systemd runs thord, is starting it, or will start it again."""
        return self.properties().get("ActiveState") in {"active", "activating", "reloading", "deactivating"}

    @property
    def listens(self) -> bool:
        """Whether systemd holds the public port for thord."""
        asked = subprocess.run(self.command("is-active", SOCKET), capture_output=True, check=False)
        return asked.returncode == 0

    def act(self, verb: str) -> None:
        """``systemctl VERB thord``; returns when systemd has done it.

        Raises:
            ThordError: with systemd's reason and the last lines of the journal.
        """
        begun = time.time()
        done = subprocess.run(self.command(verb, UNIT), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        said = done.stderr.strip()
        if "authentication" in said.lower() or "access denied" in said.lower():
            raise errors.NotPermittedError(f"systemd does not let this user {verb} thord; use sudo: {said}")
        shown = self.properties()
        # Thord's own reason reaches everybody; the journal only those who may read it.
        own = shown.get("StatusText", "")
        reasons = (said, own, self._last_words(since=begun, patiently=not own))
        message = f"systemctl {verb} thord failed: " + "\n".join(filter(None, reasons))
        if shown.get("ExecMainStatus") == "2":
            raise errors.UsageError(message, "bad_configuration")
        raise errors.ThordError(message)

    def _last_words(self, *, since: float, patiently: bool) -> str:
        """The end of the journal. What thord said a moment ago may still be on its way: that can be waited for."""
        command = ["journalctl", *(["--user"] if self.user else []), "-u", UNIT, "-o", "cat", "--no-pager"]
        own = [*command, "_TRANSPORT=stdout", f"--since=@{since:.6f}", "--lines=1"]
        deadline = time.monotonic() + (_JOURNAL_SECONDS if patiently else 0.0)
        try:
            while True:
                # Only root may; others see what is there.
                subprocess.run(["journalctl", "--sync"], capture_output=True, check=False, timeout=_JOURNAL_SECONDS)
                said = subprocess.run(own, capture_output=True, text=True, check=False).stdout
                if said.strip() or time.monotonic() > deadline:
                    break
                time.sleep(0.05)
            return subprocess.run([*command, "--lines=15"], capture_output=True, text=True, check=False).stdout.strip()
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return ""


def version() -> int:
    """The number of this machine's systemd; 0 where it has none."""
    try:
        said = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=False).stdout
        return int(said.split()[1])
    except (FileNotFoundError, IndexError, ValueError):
        return 0


def user_folder() -> Path:
    """Where the user's own units are."""
    root = os.environ.get("XDG_CONFIG_HOME")
    return (Path(root) if root else Path.home() / ".config") / "systemd/user"


def running(*, user: bool) -> bool:
    """Whether there is a systemd to talk to."""
    if not Path("/run/systemd/system").is_dir():
        return False
    return not user or (Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")) / "systemd/private").exists()


def find(paths: Paths) -> Unit | None:
    """The unit whose thord has these paths; None where systemd does not run it."""
    from control.paths import as_service, as_user

    if paths == as_service() and running(user=False):
        return next((Unit(folder / UNIT, False) for folder in SYSTEM_FOLDERS if (folder / UNIT).is_file()), None)
    if paths == as_user() and (user_folder() / UNIT).is_file() and running(user=True):
        return Unit(user_folder() / UNIT, True)
    return None
