"""Speed and memory of a version, measured by a process of its own: its peak is that of the version alone."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from control.paths import Paths
from daemon import log
from daemon.messages import Evaluate
from daemon.settings.sections import Tables
from engine.config.inference import InferenceSettings
from engine.evaluation import budgets as budget_rules
from engine.evaluation.budgets import Budget, Speed

_LOOK_SECONDS = 0.2
_logger = log.get(__name__)


def budgets(paths: Paths, command: Evaluate, settings: Tables, advance: Callable[[str], None]) -> dict[str, Budget]:
    """What the budgets of the gate come to; empty where none is set.

    Both versions are measured in turn, twice, and the faster one counts: other programs only slow down.
    """
    if not budget_rules.are_set(settings.gate):
        return {}
    numbers = [number for number in (command.version, command.incumbent) if number is not None]
    best: dict[int, Speed] = {}
    for number in [*numbers, *numbers]:
        speed = measure(paths.version(number), settings.inference, advance)
        if speed is not None and speed["tokens_per_second"] > best.get(number, {}).get("tokens_per_second", 0):
            best[number] = speed
    incumbent = None if command.incumbent is None else best.get(command.incumbent)
    return budget_rules.judge(best.get(command.version), incumbent, settings.gate, is_first=command.incumbent is None)


def measure(folder: Path, settings: InferenceSettings, advance: Callable[[str], None]) -> Speed | None:
    """The figures of `engine.inference.benchmark`; null, with a line in the log, where there are none.

    What ``advance`` raises ends the measurement.
    """
    command = [sys.executable, "-m", "engine.inference.benchmark", str(folder), settings.model_dump_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as process:
        try:
            while True:
                advance(f"measuring the speed of version {folder.name}")
                try:
                    printed, complaint = process.communicate(timeout=_LOOK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        _logger.warning("the speed could not be measured", version=folder.name, reason=complaint.strip()[-500:])
        return None
    found: dict[str, float] = json.loads(printed)
    return found
