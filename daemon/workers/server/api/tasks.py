"""Questions of tasks for the engine, and its answers as JSON: what `/predict` does with every kind of task."""

import asyncio
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from daemon.workers.server.answers import Result
from daemon.workers.server.api.schemas import PredictBody
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import InferenceService
from engine.data.tasks.task import Task
from engine.inference.requests import GenerationParams, PromptTooLongError, Sampling
from engine.inference.versions.loaded_model import PromptSpec
from engine.tasks.answering import Calibration, chosen, probabilities_of, said
from engine.tasks.asking import CONTENT_FREE, Asked, AskedWronglyError, Input, Refusal, asked, asked_all
from engine.tokenizers.base import Tokenizer


def task_of(body: PredictBody, tasks: Mapping[str, Task]) -> Task:
    """The task that a body names.

    Raises:
        ApiError: 400, there is none, or the body has fields that mean nothing to it.
    """
    task = tasks.get(body.task)
    if task is None:
        message = f"this thord has no task {body.task!r}; it has: {', '.join(tasks)} (tasks.NAME adds one)"
        raise ApiError(400, "unknown_task", message, param="task")
    given = next((name for name, value in _of_generation(body) if value is not None), None)
    if task.kind != "generate" and given is not None:
        message = f"{given}: task '{task.name}' generates no free text; leave it out"
        raise ApiError(400, "invalid_value", message, param=given)
    return task


def _of_generation(body: PredictBody) -> tuple[tuple[str, object], ...]:
    """Fields that mean something only where a text is generated."""
    return (
        ("max_tokens", body.max_tokens),
        ("temperature", body.temperature),
        ("top_k", body.top_k),
        ("top_p", body.top_p),
        ("seed", body.seed),
        ("stop_sequences", body.stop_sequences),
        ("stop_on_eos", body.stop_on_eos),
        ("num_return_sequences", body.num_return_sequences),
    )


def inputs_of(body: PredictBody) -> list[Input]:
    """The texts of a body, each with what belongs to it.

    Raises:
        ApiError: 400, there are not as many second texts as first ones.
    """
    texts = [body.input] if isinstance(body.input, str) else body.input
    pairs = [body.text_pair] * len(texts) if isinstance(body.text_pair, str) else body.text_pair or [""] * len(texts)
    if len(pairs) != len(texts):
        message = f"text_pair: {len(pairs)} texts for {len(texts)} inputs: give one to each, or one to all"
        raise ApiError(400, "invalid_value", message, param="text_pair")
    labels, candidates = tuple(body.labels or ()), tuple(body.candidates or ())
    return [Input(text, pair, labels, candidates) for text, pair in zip(texts, pairs, strict=True)]


async def questions_of(
    task: Task, inputs: Sequence[Input], service: InferenceService, spec: PromptSpec
) -> list[Asked | Refusal]:
    """What to ask the engine about each input, or why it cannot be asked about; worked out beside the event loop.

    Raises:
        ApiError: 400, the task answers none of them, and that is no fault of one of several texts.
    """
    try:
        found = await asyncio.to_thread(asked_all, task, inputs, spec.tokenizer, spec.context)
    except AskedWronglyError as error:
        raise ApiError(400, "invalid_value", str(error), param=error.field) from error
    if len(found) == 1 and isinstance(found[0], Refusal):
        raise _refused(found[0], service)
    return found


def _refused(refusal: Refusal, service: InferenceService) -> ApiError:
    """The answer to a question that cannot be asked."""
    match refusal.error:
        case AskedWronglyError() as error:
            return ApiError(400, "invalid_value", str(error), param=error.field)
        case PromptTooLongError() as error:
            service.metrics.refused.labels("too_long").inc()
            return ApiError(400, "context_length_exceeded", str(error), param="input")
        case error:
            return ApiError(400, "dialogue_refused", str(error), param="input")


def without_text(task: Task, inputs: Sequence[Input], tokenizer: Tokenizer) -> list[Asked]:
    """The question whose answer is the prior of a task's labels; none where it needs none."""
    if not inputs or not has_prior(task):
        return []
    nothing = Input(CONTENT_FREE, CONTENT_FREE if task.takes_pairs else "", inputs[0].labels)
    return [asked(task, nothing, tokenizer)]


def has_prior(task: Task) -> bool:
    """Whether the probabilities of labels without a text are needed too."""
    return task.kind == "classify" and task.prior_correction


async def params_of(
    task: Task, questions: Sequence[Asked], service: InferenceService, tokenizer: Tokenizer
) -> GenerationParams:
    """What the engine is asked for, where no free text is.

    Raises:
        ApiError: 400, the grammar of an answer costs too much; 503, too many are being compiled.
    """
    if task.kind in ("classify", "rank"):
        return GenerationParams(0, candidates=questions[0].candidates)
    structures = [each.structure for each in questions if each.structure is not None]
    constraints = [await service.structures.compiled(each, tokenizer, "input") for each in structures]
    return GenerationParams(
        max(each.most_tokens for each in questions),
        Sampling(temperature=0.0),
        eos_ids=frozenset(tokenizer.specials),
        constraints=tuple(constraints),
    )


def answers_of(
    task: Task,
    inputs: Sequence[Input],
    questions: Sequence[Asked],
    results: Sequence[Result],
    fitted: Mapping[str, Calibration],
) -> list[dict[str, JsonValue]]:
    """The answer to each input that was asked about; ``fitted`` is what was fitted for the version that answered."""
    if task.kind not in ("classify", "rank"):
        return [said(task, given, result.text) for given, result in zip(inputs, results, strict=True)]
    temperature = 1.0 if inputs[0].labels or task.name not in fitted else fitted[task.name].temperature
    calibration = Calibration(temperature, results[-1].candidate_logprobs if has_prior(task) else ())
    return [
        chosen(task, asks.choices, probabilities_of(result.candidate_logprobs, calibration))
        for _, asks, result in zip(inputs, questions, results, strict=False)
    ]
