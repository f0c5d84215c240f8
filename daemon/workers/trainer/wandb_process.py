"""Starts the process that passes a run on to Weights & Biases, and tells it when the run is over. Waits for nothing."""

import contextlib
import importlib.util
import subprocess
import sys
from pathlib import Path

from daemon import log
from daemon.settings.integrations import WandbSettings
from daemon.workers.wandb.order import Order

_COMMAND = (sys.executable, "-P", "-m", "daemon.workers.wandb")
_logger = log.get(__name__)


class WandbProcess:
    """The process of one run, where the settings want one. Whatever fails is one warning, and the run goes on.

    Args:
        settings: of ``[integrations.wandb]``.
        folder: of the run, which must be there when it starts.
        log_file: where the process logs to.
        command: how it is started.
    """

    def __init__(
        self, settings: WandbSettings, folder: Path, log_file: Path, command: tuple[str, ...] = _COMMAND
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._log_file = log_file
        self._command = command
        self._is_wanted = settings.enabled
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to follow; from the second call on nothing happens."""
        if not self._is_wanted:
            return
        self._is_wanted = False
        if importlib.util.find_spec("wandb") is None:
            _logger.warning(
                "integrations.wandb.enabled is true, but wandb is not installed: the run goes on without it "
                "(pip install 'thord[wandb]')"
            )
            return
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # so that it is killed as a whole, and not with the trainer
            )
            assert self._process.stdin is not None
            self._process.stdin.write(self._order().model_dump_json().encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            _logger.warning("the run goes on without Weights & Biases", reason=str(error))

    def close(self) -> None:
        """The run is over: the process passes on what is left, and ends."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _order(self) -> Order:
        number = self._folder.name
        return Order(
            folder=self._folder,
            project=self._settings.project,
            mode=self._settings.mode,
            name=f"cycle-{number}" if number.isdecimal() else number,
            log=self._log_file,
            finish_seconds=self._settings.finish_seconds,
        )
