"""Logs: one JSON object a line into one file a process, rotated by size; a readable form on a terminal."""

import contextlib
import logging
import logging.handlers
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from daemon.settings.sections import SupervisionSettings
from daemon.without_module import without_module

with without_module("rich"):  # structlog would import it for coloured tracebacks: 3 MB of each process, never shown
    import structlog
    from structlog.typing import EventDict, Processor, WrappedLogger

bind = structlog.contextvars.bind_contextvars
"""Add these fields to every further line of this thread or task."""
bound = structlog.contextvars.bound_contextvars
"""Add these fields to the lines logged inside a ``with``."""


class RotatingLog(logging.handlers.RotatingFileHandler):
    """Rotates by size, and notices when somebody else (logrotate) moved the file away."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. A log that cannot be written loses lines and nothing else."""
        with contextlib.suppress(OSError):
            if self.stream is not None and self._moved_away(self.stream.fileno()):
                self.stream.close()
                self.stream = self._open()
        super().emit(record)

    def _moved_away(self, descriptor: int) -> bool:
        try:
            on_disk = Path(self.baseFilename).stat()
        except FileNotFoundError:
            return True
        ours = os.fstat(descriptor)
        return (on_disk.st_dev, on_disk.st_ino) != (ours.st_dev, ours.st_ino)


def configure(process: str, file: Path, settings: SupervisionSettings, *, console: bool = False) -> None:
    """Send this process's log to ``file`` and, with ``console``, to stderr in a form for people.

    Every line carries ``process``; whatever `bind` and `bound` were given (cycle, version) comes along.
    Lines of the standard library's loggers (uvicorn, apscheduler) take the same way.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _named(process),
        structlog.processors.StackInfoRenderer(),
    ]
    to_file = RotatingLog(
        file, maxBytes=settings.log_megabytes << 20, backupCount=settings.log_copies, encoding="utf-8", errors="replace"
    )
    to_file.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _as_json_has_it,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    handlers: list[logging.Handler] = [to_file]
    if console:
        to_console = logging.StreamHandler(sys.stderr)
        to_console.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=shared,
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
                ],
            )
        )
        handlers.append(to_console)
    logging.basicConfig(handlers=handlers, level=settings.log_level.upper(), force=True)
    logging.raiseExceptions = False
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


@contextlib.contextmanager
def also_to(file: Path) -> Iterator[None]:
    """Append what this process logs to ``file`` too, in the same form, inside a ``with``."""
    root = logging.getLogger()
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, encoding="utf-8", errors="replace")
    if root.handlers:
        handler.setFormatter(root.handlers[0].formatter)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _named(process: str) -> Processor:
    def add(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    return add


def _as_json_has_it(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace numbers that are not finite by null, because JSON cannot express them."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in event.items()
    }
