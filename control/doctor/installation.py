"""Checks of the installation: the interpreter and the packages."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from control.doctor.context import Finding
from control.paths import source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from control.doctor.context import Context

_PACKAGES = (
    "pydantic",
    "structlog",
    "apscheduler",
    "uvicorn",
    "starlette",
    "fastapi",
    "watchdog",
    "psutil",
    "safetensors",
    "tokenizers",
    "numpy",
)


def python(_: Context) -> Iterator[Finding]:
    """Which interpreter runs thord."""
    yield Finding("python", "ok", f"Python {'.'.join(map(str, sys.version_info[:3]))} in {sys.prefix}")


def packages(_: Context) -> Iterator[Finding]:
    """Whether every package that thord imports is installed."""
    from importlib.util import find_spec

    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        yield Finding("packages", "fail", f"missing: {', '.join(missing)}", f"{sys.prefix}/bin/pip install {source()}")
    else:
        yield Finding("packages", "ok", "all there")
