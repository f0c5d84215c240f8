"""The suites of the settings, read."""

from collections.abc import Callable

from daemon import log
from daemon.settings.sections import Tables
from daemon.workers.reading import limits_of
from engine.evaluation.suites import suite
from engine.evaluation.suites.files import BadFilesError
from engine.evaluation.suites.suite import Suite

_logger = log.get(__name__)


def read(settings: Tables, advance: Callable[[str], None]) -> list[Suite]:
    """All that can be read. One that guards must be.

    Raises:
        BadFilesError: the files of a suite with a tolerance cannot be measured on.
    """
    limits, found = limits_of(settings.data, settings.all_tasks), list[Suite]()
    for name, each in settings.evaluation.suites.items():
        try:
            found.append(suite.read(name, each, limits, advance))
        except BadFilesError as error:
            if each.tolerance is not None:
                raise BadFilesError(f"suite '{name}' guards, so nothing can be promoted without it: {error}") from error
            _logger.warning("suite left out", suite=name, reason=str(error))
    return found
