"""``/tokenizers``: tokenizers that are trained for runs."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse

from control.answers import Json
from control.job_answers import Job
from daemon.workers.server.api.runs.answering import Wait, accepted, asked_of, found, request_of
from daemon.workers.server.api.runs.answers import TokenizerAnswer, tokenizer_answer, tokenizer_id_of
from daemon.workers.server.api.runs.described import NO_DEFAULT_ERROR, Described, body_of
from daemon.workers.server.api.runs.runs import Runs
from daemon.workers.server.api.runs.schemas import TokenizerBody

_KINDS = {"sentencepiece": "sentencepiece-bpe"}
"""Documented methods that have another name in ``[tokenizer]``."""
_WITHOUT_EFFECT = ("min_frequency", "holdout_fraction", "seed")
"""Documented fields that nothing is done with; `headers.IGNORED_FIELDS` names those that were sent."""


def router(runs: Runs) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(tags=["tokenizers"])

    @routes.post(
        "/tokenizers/train",
        status_code=202,
        responses=NO_DEFAULT_ERROR,
        openapi_extra=Described({202: TokenizerAnswer, 200: TokenizerAnswer}, TokenizerBody),
    )
    async def train(http: Request, wait: Wait = 0) -> JSONResponse:
        body = await body_of(http, TokenizerBody, runs.service.body_limit)
        http.state.ignored = sorted({*http.state.ignored, *body.model_fields_set.intersection(_WITHOUT_EFFECT)})
        corpus = await runs.corpus(http, body.corpus_file_id, body.corpus_path)
        request: dict[str, Json] = {
            "kind": _KINDS.get(body.method, body.method),
            "vocabulary": body.vocab_size,
            "files": [str(corpus)],
            "labels": request_of(body),
        }
        job = await runs.submit(http, "tokenizer", request, asked_of(body), run_id=body.tokenizer_id)
        job = await runs.ended(job, wait)
        return accepted(job, _answer(job), f"/tokenizers/{tokenizer_id_of(job)}", seconds=5)

    @routes.get(
        "/tokenizers/{tokenizer_id}", responses=NO_DEFAULT_ERROR, openapi_extra=Described({200: TokenizerAnswer})
    )
    async def tokenizer(
        tokenizer_id: Annotated[str, Path(description="What it is called.", max_length=128)], wait: Wait = 0
    ) -> JSONResponse:
        return found(_answer(await runs.ended(await runs.tokenizer(tokenizer_id), wait)))

    def _answer(job: Job) -> TokenizerAnswer:
        return tokenizer_answer(job, str(runs.paths.tokenizer_artifact(tokenizer_id_of(job))))

    return routes
