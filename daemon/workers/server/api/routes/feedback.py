"""``/v1/feedback``: what people think of an answer decides whether, and as what, it is learned."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.schemas import FeedbackBody
from daemon.workers.server.service import InferenceService


def router(service: InferenceService) -> APIRouter:
    """Make the router with the route of this module."""
    routes = APIRouter(tags=["feedback"])

    @routes.post("/v1/feedback", openapi_extra=described(FeedbackBody))
    async def feedback(http: Request) -> JSONResponse:
        body = await read(http, FeedbackBody, service.body_limit)
        learned = await service.conversation_log.judge(body.id, http.state.owner, body.rating, body.edit)
        service.metrics.feedback.labels(body.rating or "edit").inc()
        return JSONResponse({"id": body.id, "object": "feedback", "learned": learned})

    return routes
