"""``/tokenize``, ``/detokenize``, ``/tokenizer_info``: the tokenizer, for clients that count or cut by tokens."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import JsonValue

from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.chat_schemas import TokenizeBody
from daemon.workers.server.api.logprobs import written
from daemon.workers.server.api.prompts import check_tokens, form_of, prompt_of, turns_of
from daemon.workers.server.api.schemas import DetokenizeBody
from daemon.workers.server.api.tool_use import ToolUse
from daemon.workers.server.service import InferenceService
from engine.tokenizers.base import BOS, EOS, PAD, Tokenizer


def router(service: InferenceService) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(tags=["tokens"])

    @routes.post("/tokenize", openapi_extra=described(TokenizeBody))
    async def tokenize(http: Request) -> JSONResponse:
        body = await read(http, TokenizeBody, service.body_limit)
        spec = await service.prompt_spec()
        tokenizer = spec.tokenizer
        if body.messages is not None:
            turns = ToolUse(told=body.tools or ()).introduced(turns_of(body.messages))
            ids = await prompt_of(tokenizer, turns, form_of(body, tokenizer, http.state.ignored))
        elif (special := _special(tokenizer, body.prompt or "")) is not None:
            ids = [special]
        else:
            opening = tokenizer.opening if body.add_special_tokens else ()
            ids = [*opening, *(await service.tokens(tokenizer, [body.prompt or ""]))[0]]
        answer: dict[str, JsonValue] = {"tokens": [*ids], "count": len(ids), "max_model_len": spec.context}

        def write() -> JSONResponse:
            if body.return_token_strs:
                answer["token_strs"] = [written(tokenizer, token) for token in ids]
            return JSONResponse(answer)

        return await asyncio.to_thread(write)

    @routes.post("/detokenize", openapi_extra=described(DetokenizeBody))
    async def detokenize(http: Request) -> JSONResponse:
        body = await read(http, DetokenizeBody, service.body_limit)
        spec = await service.prompt_spec()
        check_tokens(body.tokens, spec.vocabulary, "tokens")
        text = await asyncio.to_thread(spec.tokenizer.decode, body.tokens)
        return JSONResponse({"prompt": text})

    @routes.get("/tokenizer_info")
    async def info() -> JSONResponse:
        spec = await service.prompt_spec()
        tokenizer = spec.tokenizer
        named = {f"{name}_token": _name(tokenizer, token) for name, token in (("bos", BOS), ("eos", EOS), ("pad", PAD))}
        return JSONResponse(
            {
                "tokenizer_class": tokenizer.kind,
                "vocab_size": spec.vocabulary,
                "model_max_length": spec.context,
                "chat_template": tokenizer.chat_template,
                **named,
            }
        )

    return routes


def _special(tokenizer: Tokenizer, text: str) -> int | None:
    """The special token of this name: clients ask for its id so. Inside of texts such names are ordinary text."""
    return next((token for token, name in tokenizer.specials.items() if name == text), None)


def _name(tokenizer: Tokenizer, token: str) -> str | None:
    try:
        return tokenizer.specials.get(tokenizer.special(token))
    except KeyError:
        return None
