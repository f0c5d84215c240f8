"""How hosts that work for thord reach it: their requests are passed on to the control socket, each in a thread."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from control.answers import Json
from control.errors import NoAnswerError, NotFoundError, NotRunningError, ThordError, UsageError
from control.http import Endpoint
from control.paths import Paths
from daemon.workers.server.errors import ApiError

_AT_ONCE = 8
"""A host beats while its claim is prepared; a few hosts do so at the same time."""
_CONFLICTS = frozenset({"not_claimable", "stale_attempt", "job_ended"})


class WorkPort:
    """Asks the supervisor on behalf of hosts."""

    def __init__(self, paths: Paths) -> None:
        self.state = paths.state
        self._control = Endpoint(paths.control_socket)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="work")

    async def get(self, target: str) -> dict[str, Json]:
        """What the control socket answers.

        Raises:
            ApiError: as `post`.
        """
        return await self._ask(lambda: self._control.get(target, dict[str, Json]))

    async def post(self, target: str, body: Mapping[str, Json], seconds: float) -> dict[str, Json]:
        """What the control socket answers within so many seconds.

        Raises:
            ApiError: 404, 409 and 422 as it says; 503 where it is away.
        """
        return await self._ask(lambda: self._control.post(target, dict[str, Json], body, seconds))

    async def _ask(self, question: Callable[[], dict[str, Json]]) -> dict[str, Json]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, question)
        except NotFoundError as error:
            raise ApiError(404, error.code, str(error)) from None
        except UsageError as error:
            raise ApiError(422, error.code, str(error)) from None
        except (NotRunningError, NoAnswerError) as error:
            raise ApiError(503, "supervisor_away", str(error), retry_after=2) from None
        except ThordError as error:
            raise ApiError(409 if error.code in _CONFLICTS else 503, error.code, str(error)) from None
