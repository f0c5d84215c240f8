"""What jobs ask of a version in memory: texts that it generates, scores of texts, turns of chats."""

import asyncio
import math
import re
from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from control.answers import Json
from control.job_answers import Job
from control.paths import version_name
from daemon.workers.server.answers import PendingAnswer, Result
from daemon.workers.server.api.bodies import explained
from daemon.workers.server.api.generation import eos_ids, token_limit
from daemon.workers.server.api.logprobs import written
from daemon.workers.server.api.prompts import opening_of, prompt_within
from daemon.workers.server.api.request_body import RequestBody
from daemon.workers.server.api.runs.bodies import ChatTurnBody, GenerateBody, ScoreTextBody
from daemon.workers.server.chats.run_chats import RunChats
from daemon.workers.server.errors import ApiError
from daemon.workers.server.runs.file_roots import read_text
from daemon.workers.server.runs.runner import BusyError
from daemon.workers.server.service import InferenceService
from engine.data.samples import Message
from engine.inference.requests import GenerationParams, PromptTooLongError, QueueFullError, Sampling, Scored
from engine.inference.versions.loaded_model import LoadedModel
from engine.inference.versions.slots import VersionGoneError
from engine.tokenizers.base import BOS, Tokenizer

MAX_DETAILED_TOKENS = 16_384
"""Of a text of which each token is reported: the report lies in the store."""
_WINDOWS_AT_ONCE = 4
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RunComputer:
    """Computes jobs of the kinds ``generate``, ``score`` and ``chat``."""

    def __init__(self, service: InferenceService, chats: RunChats) -> None:
        self._service = service
        self._chats = chats

    async def result(self, job: Job, version: int) -> dict[str, Json]:
        """What a job asks for, of a version that is in memory.

        Raises:
            ApiError: it cannot be computed.
            BusyError: not now.
        """
        try:
            model = self._service.slots.get(version)
        except KeyError:
            raise BusyError(f"version {version_name(version)} has gone") from None
        try:
            match job["kind"]:
                case "generate":
                    return await self._generated(model, GenerateBody.model_validate(job["request"]), job)
                case "score":
                    return await self._scored(model, ScoreTextBody.model_validate(job["request"]), job)
                case _:
                    return await self._chatted(model, ChatTurnBody.model_validate(job["request"]), job)
        except ValidationError as error:  # the row was not made by this server's routes
            raise explained(error, RequestBody) from None

    async def _generated(self, model: LoadedModel, body: GenerateBody, job: Job) -> dict[str, Json]:
        text = await self._text(body.prompt_text, body.prompt_path, "prompt_path")
        tokenizer = model.tokenizer
        (ids,) = await self._service.tokens(tokenizer, [text])
        prompt = [*opening_of(tokenizer, text), *ids]
        params = GenerationParams(
            token_limit(body.max_new_tokens or 64, self._service.settings.inference.max_tokens),
            body.sampling(1.0, 1.0),
            stop=tuple(filter(None, body.stop_sequences or ())),
            eos_ids=eos_ids(tokenizer, ignore=body.stop_on_eos is False),
        )
        results = await self._answers(model, [prompt] * (body.num_return_sequences or 1), params, job)
        return {
            "outputs": [result.text for result in results],
            "steps": sum(result.generated for result in results),
            "eos_terminated": [result.ended_by == "eos" for result in results],
            "version": version_name(model.version),
        }

    async def _scored(self, model: LoadedModel, body: ScoreTextBody, job: Job) -> dict[str, Json]:
        text = await self._text(body.text, body.path, "path")
        (ids,) = await self._service.tokens(model.tokenizer, [text])
        detailed = body.detail_level == "per_char" or body.top_k is not None
        if detailed and len(ids) > MAX_DETAILED_TOKENS:
            message = f"the text has {len(ids)} tokens; details are reported of {MAX_DETAILED_TOKENS} at most"
            raise ApiError(422, "too_many_tokens", f"{message}: ask for detail_level 'summary' without top_k")
        scores = await self._token_scores(model, ids, body.top_k or 0, job)
        return await asyncio.to_thread(_report, body, model, scores, len(text.encode()))

    async def _token_scores(self, model: LoadedModel, ids: list[int], top_k: int, job: Job) -> list[Scored]:
        """The score of each token; of a text beyond the context, after half a context of what stands before."""
        params = GenerationParams(0, Sampling(temperature=0.0, top_logprobs=top_k), score_prompt=True)
        begin = model.tokenizer.special(BOS)
        spans = list(windows(len(ids), model.context - 1))
        found: list[Scored] = []
        for at in range(0, len(spans), _WINDOWS_AT_ONCE):
            some = spans[at : at + _WINDOWS_AT_ONCE]
            prompts = [[begin, *ids[first:end]] for first, _, end in some]
            results = await self._answers(model, prompts, params, job)
            for (first, new, _), result in zip(some, results, strict=True):
                found += result.prompt_scores[new - first :]
        return found

    async def _chatted(self, model: LoadedModel, body: ChatTurnBody, job: Job) -> dict[str, Json]:
        owner, run, request = client_of(job), str(job["request"].get("run") or ""), str(job["id"])
        if (answered := await self._chats.answered(owner, request)) is not None:
            return answered  # an attempt that was cut short had come so far
        session = await self._chats.find(owner, run, body.session_id or "")
        said = [Message("user", body.message)]
        limit = token_limit(body.max_new_tokens or 128, self._service.settings.inference.max_tokens)
        room = model.context - min(limit, model.context // 2)
        prompt = await prompt_within(model.tokenizer, session.messages, said, room)
        params = GenerationParams(limit, body.sampling(0.8, 0.95), eos_ids=eos_ids(model.tokenizer, ignore=False))
        (result,) = await self._answers(model, [prompt], params, job)
        answer: dict[str, Json] = {"response": result.text, "version": version_name(model.version)}
        turn = [*said, Message("assistant", result.text)]
        await self._chats.add(session, turn, model.version, request, answer)
        return answer

    async def _text(self, given: str | None, path: str | None, param: str) -> str:
        """The text of a request, its own or that of its file."""
        if given is not None:
            return given
        roots, limit = self._service.settings.api.file_roots, self._service.body_limit
        text = await asyncio.to_thread(read_text, path or "", roots, param, limit)
        if not text:
            raise ApiError(422, "invalid_value", f"{param}: the file is empty", param=param)
        return text

    async def _answers(
        self, model: LoadedModel, prompts: list[list[int]], params: GenerationParams, job: Job
    ) -> list[Result]:
        """What the engine makes of prompts, all by the one version."""
        try:
            answer = PendingAnswer(
                self._service.engine,
                self._service.metrics,
                prompts,
                params,
                client=f"job:{job['owner']}",
                pin=model.version,
                streamed=False,
                seconds=job["time_limit_seconds"],
            )
        except (QueueFullError, VersionGoneError) as error:
            raise BusyError(str(error)) from None
        except PromptTooLongError as error:
            raise ApiError(422, "context_length_exceeded", str(error)) from None
        try:
            return await answer.whole()
        except ApiError as error:
            if error.status == 503 and error.code != "out_of_memory":
                raise BusyError(error.message) from None
            raise
        finally:
            answer.close()


def client_of(job: Job) -> str:
    """The API key that a job was asked for with, as sessions know it; empty for whoever needs none."""
    return job["owner"] if _SHA256.fullmatch(job["owner"]) else ""


def windows(length: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Parts of ``length`` tokens, ``size`` at most in each: where it begins, where what is new begins, where it ends.

    Each token is new in one of them, and but for the first part half of each was seen before.
    """
    new = 0
    while new < length:
        first = max(new - size // 2, 0) if new else 0
        end = min(first + size, length)
        yield first, new, end
        new = end


def _report(body: ScoreTextBody, model: LoadedModel, scores: Sequence[Scored], size: int) -> dict[str, Json]:
    """Loss and surprisal in nats; ``bits_per_byte`` compares across tokenizers."""
    total = -sum(scored.logprob for scored in scores)
    loss = total / max(len(scores), 1)
    tokenizer = model.tokenizer
    result: dict[str, Json] = {
        "loss": loss,
        "perplexity": math.exp(min(loss, 700.0)),
        "bits_per_byte": total / math.log(2) / size,
        "version": version_name(model.version),
    }
    if body.detail_level == "per_char":
        result["tokens"] = [written(tokenizer, scored.id) for scored in scores]
        result["surprisal"] = [-scored.logprob for scored in scores]
    if body.top_k is not None:
        result["topk"] = [_top(tokenizer, scored) for scored in scores]
    return result


def _top(tokenizer: Tokenizer, scored: Scored) -> list[Json]:
    return [{"token": written(tokenizer, token), "logprob": logprob} for token, logprob in scored.top]
