"""What happened."""

from collections.abc import AsyncIterator

from pydantic import JsonValue
from starlette.responses import JSONResponse, Response

from daemon.supervisor.api.ndjson import NdjsonResponse
from daemon.supervisor.api.operations import Call, Operation
from daemon.supervisor.api.permissions import Access
from daemon.supervisor.store.store import Store

_PAGE = 500
_YES = frozenset({"1", "true", "yes", "on"})


async def events(call: Call) -> Response:
    """Newest first; with ``follow`` oldest first, one a line, going on with what happens."""
    store, after, limit = call.context.learning.store, call.option("after", 0), call.limit()
    if call.request.query_params.get("follow", "").lower() in _YES:
        if "after" not in call.request.query_params:
            newest = await store.newest_events(limit or 1)
            after = newest[-1].id - 1 if newest and limit else (newest[0].id if newest else 0)
        return NdjsonResponse(_follow(store, after))
    if "after" in call.request.query_params:
        found = (await store.events_after(after, limit))[::-1]
    else:
        found = await store.newest_events(limit)
    return JSONResponse([event.to_json() for event in found])


async def _follow(store: Store, after: int) -> AsyncIterator[dict[str, JsonValue]]:
    while True:
        for event in await store.events_after(after, _PAGE):
            yield event.to_json()
            after = event.id
        await store.news_after(after)


OPERATIONS = (
    Operation(
        "GET",
        "/v1/events",
        Access.READ,
        "What happened",
        events,
        query={"after": "only events with a higher id", "limit": "how many", "follow": "stay, one object a line"},
    ),
)
