"""Answers from a version's folder, in the process that asks: no service, no socket.

    from engine import predict

    with predict.load("models/versions/000012") as model:
        model.predict("What a day!", task="sentiment_analysis")["predicted_class"]
        model.predict_all(["Yes!", "No."], task="sentiment_analysis")

A `Predictor` has a thread of its own and may be asked by several.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from engine import memory
from engine.config.inference import InferenceSettings
from engine.config.tasks import TaskSettings, tasks_of
from engine.data.tasks.task import Task
from engine.inference.constraints.cache import CompiledStructures
from engine.inference.engine import Engine
from engine.inference.requests import (
    Bound,
    CandidatesScored,
    Delta,
    Event,
    Failed,
    Finished,
    GenerationParams,
    Request,
    Sampling,
)
from engine.inference.versions import preparing
from engine.inference.versions.loaded_model import LoadedModel
from engine.inference.versions.slots import WeightSlots
from engine.manifest import read_manifest
from engine.tasks import calibrating
from engine.tasks.answering import Calibration, chosen, probabilities_of, refused, said
from engine.tasks.asking import CONTENT_FREE, Asked, AskedWronglyError, Input, Refusal, asked, asked_all

MOST_TOKENS = 256
"""Of a generated answer whose length nobody names."""
_AT_ONCE = 256
"""Texts of a batch that are in the engine at the same time."""


class PredictionError(Exception):
    """No answer; the message says why."""


class _Recorded(BaseModel):
    """What a version's manifest says of the tasks it was trained with."""

    model_config = ConfigDict(extra="ignore")

    tasks: dict[str, TaskSettings] = {}


class _Listener:
    """Hands events to whoever asked."""

    def happened(self, events: Sequence[tuple[Request, Event]]) -> None:
        """As the Protocol."""
        for request, event in events:
            request.receive(event)

    def idle(self) -> None:
        """As the Protocol."""


class _Pending:
    """One request on its way: what it was told, and whether it is over."""

    def __init__(self, engine: Engine, prompts: Sequence[list[int]], params: GenerationParams) -> None:
        self.texts = [""] * len(prompts)
        self.logprobs: list[tuple[float, ...]] = [()] * len(prompts)
        self._failure = ""
        self._open = len(prompts)
        self._over = threading.Event()
        engine.submit(Request(prompts, params, self._receive))

    def wait(self) -> "_Pending":
        self._over.wait()
        if self._failure:
            raise PredictionError(self._failure)
        return self

    def _receive(self, event: Event) -> None:
        match event:
            case Bound():
                self.texts = [""] * len(self.texts)
            case Delta(sequence=sequence, text=text):
                self.texts[sequence] += text
            case CandidatesScored(sequence=sequence, logprobs=logprobs):
                self.logprobs[sequence] = logprobs
            case Finished():
                self._open -= 1
            case Failed(message=message):
                self._failure = message
            case _:
                pass
        if self._failure or not self._open:
            self._over.set()


class Predictor:
    """One version in memory, with the tasks it answers.

    Attributes:
        tasks: every task by its name.
        version: the number of the version.
    """

    def __init__(
        self, model: LoadedModel, tasks: Mapping[str, Task], calibrations: Mapping[str, Calibration] | None = None
    ) -> None:
        self.tasks = dict(tasks)
        self.version = model.version
        self._model = model
        self._calibrations = dict(calibrations or {})
        self._priors: dict[tuple[str, tuple[str, ...]], tuple[float, ...]] = {}
        self._structures = CompiledStructures()
        slots = WeightSlots(drain_seconds=60.0)
        slots.admit(model.version, wait_seconds=0.0)
        slots.install(model)
        slots.commit(model.version)
        self._engine = Engine(slots, _Listener(), max_queue=4 * _AT_ONCE)
        self._thread = threading.Thread(target=self._engine.run, name="engine", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread; nothing can be asked any more."""
        self._engine.stop()
        self._thread.join()

    def predict(
        self,
        text: str,
        task: str = "chat",
        *,
        text_pair: str = "",
        labels: Sequence[str] = (),
        candidates: Sequence[str] = (),
        max_tokens: int | None = None,
        temperature: float = 0.0,
    ) -> dict[str, JsonValue]:
        """The answer to a text.

        Args:
            text: what is asked about.
            task: its name.
            text_pair: the second text of a task about two.
            labels: to choose among instead of the task's own.
            candidates: what a task of kind ``rank`` puts in order.
            max_tokens: the longest answer of a task of kind ``generate``.
            temperature: 0 takes the likeliest token each time.

        Returns:
            ``predicted_class`` and ``probabilities``, a ``ranking``, ``spans``, ``tags``, or ``generated_text``.

        Raises:
            AskedWronglyError: there is no such task, or it is asked for something else than it answers.
            PredictionError: the model could not answer, for want of memory or because its numbers are not finite.
            PromptTooLongError: the text is longer than the model's context.
            QueueFullError: too many ask at once.
        """
        given = Input(text, text_pair, tuple(labels), tuple(candidates))
        found = self._task(task)
        [asks] = asked_all(found, [given], self._model.tokenizer, self._model.context)
        if isinstance(asks, Refusal):
            raise asks.error
        return self._answers(found, [(given, asks)], max_tokens, temperature)[0]

    def predict_all(
        self,
        texts: Sequence[str | Input],
        task: str = "chat",
        *,
        max_tokens: int | None = None,
        temperature: float = 0.0,
    ) -> list[dict[str, JsonValue]]:
        """The answers to several texts, in order; what else belongs to one is in an `Input`.

        In place of an answer to a text that cannot be asked about, such as an empty one, stands why: ``error`` with
        ``message`` and ``param``. What is wrong with all of them, such as missing labels, is raised. The rest as
        `predict`.
        """
        found = self._task(task)
        inputs = [each if isinstance(each, Input) else Input(each) for each in texts]
        asks = asked_all(found, inputs, self._model.tokenizer, self._model.context)
        able = [(given, asks) for given, asks in zip(inputs, asks, strict=True) if isinstance(asks, Asked)]
        answers: list[dict[str, JsonValue]] = []
        for start in range(0, len(able), _AT_ONCE):
            answers += self._answers(found, able[start : start + _AT_ONCE], max_tokens, temperature)
        in_order = iter(answers)
        return [refused(found, each) if isinstance(each, Refusal) else next(in_order) for each in asks]

    def _task(self, name: str) -> Task:
        found = self.tasks.get(name)
        if found is None:
            raise AskedWronglyError(f"there is no task '{name}'; there are {', '.join(self.tasks)}", "task")
        return found

    def logprobs(self, task: Task, inputs: Sequence[Input]) -> list[tuple[float, ...]]:
        """The log-probability of every label or candidate of each input; what `predict` raises of one is raised."""
        questions = [asked(task, given, self._model.tokenizer) for given in inputs]
        return self._scored(questions)

    def prior(self, task: Task, labels: tuple[str, ...]) -> tuple[float, ...]:
        """The log-probability of each label without a text; empty where the task's settings do not ask for it."""
        if not task.prior_correction:
            return ()
        key = (task.name, labels)
        if key not in self._priors:
            nothing = Input(CONTENT_FREE, CONTENT_FREE if task.takes_pairs else "", labels)
            [self._priors[key]] = self.logprobs(task, [nothing])
        return self._priors[key]

    def _answers(
        self, task: Task, asks_of: Sequence[tuple[Input, Asked]], max_tokens: int | None, temperature: float
    ) -> list[dict[str, JsonValue]]:
        inputs, questions = [given for given, _ in asks_of], [asks for _, asks in asks_of]
        if task.kind in ("classify", "rank"):
            scored = self._scored(questions)
            calibrations = [
                self._calibration(task, given, asks.choices) for given, asks in zip(inputs, questions, strict=True)
            ]
            return [
                chosen(task, asks.choices, probabilities_of(logprobs, calibration))
                for asks, logprobs, calibration in zip(questions, scored, calibrations, strict=True)
            ]
        texts = self._generate(questions, max_tokens, temperature).wait().texts
        return [said(task, given, text) for given, text in zip(inputs, texts, strict=True)]

    def _scored(self, questions: Sequence[Asked]) -> list[tuple[float, ...]]:
        """One request for those that follow each other with the same candidates."""
        runs: list[list[Asked]] = []
        for asks in questions:
            if runs and runs[-1][0].candidates == asks.candidates:
                runs[-1].append(asks)
            else:
                runs.append([asks])
        pending = [
            _Pending(self._engine, [asks.prompt for asks in run], GenerationParams(0, candidates=run[0].candidates))
            for run in runs
        ]
        return [logprobs for each in pending for logprobs in each.wait().logprobs]

    def _generate(self, questions: Sequence[Asked], max_tokens: int | None, temperature: float) -> _Pending:
        tokenizer = self._model.tokenizer
        structures = [asks.structure for asks in questions if asks.structure is not None]
        params = GenerationParams(
            max(asks.most_tokens for asks in questions) or max_tokens or MOST_TOKENS,
            Sampling(temperature=0.0 if structures else temperature),
            eos_ids=frozenset(tokenizer.specials),
            constraints=tuple(self._structures.compiled(each, tokenizer) for each in structures),
        )
        return _Pending(self._engine, [asks.prompt for asks in questions], params)

    def _calibration(self, task: Task, given: Input, choices: tuple[str, ...]) -> Calibration:
        if task.kind != "classify":
            return Calibration()
        fitted = self._calibrations.get(task.name, Calibration()) if not given.labels else Calibration()
        return Calibration(fitted.temperature, self.prior(task, choices))


def load(
    folder: str | Path,
    tasks: Mapping[str, TaskSettings] | None = None,
    settings: InferenceSettings | None = None,
) -> Predictor:
    """Load a version to be asked.

    Args:
        folder: of the version, such as ``models/current`` in the home of a thord.
        tasks: in place of those that the version was trained with; ready-made ones are always there.
        settings: device, precision, quantization and rows.

    Raises:
        UnfitVersionError: it is damaged.
        NotNowError: it cannot be read, or memory is short.
    """
    settings = settings or InferenceSettings()
    memory.keep_freed_memory()
    folder = Path(folder).resolve()
    preparing.check(folder, None)
    placement = preparing.place(folder, settings)
    model = preparing.load(folder, placement, settings.max_batch, settings.quantization)
    named = recorded_tasks(folder) if tasks is None else tasks
    return Predictor(model, tasks_of(named), calibrating.read(folder))


def recorded_tasks(folder: Path) -> dict[str, TaskSettings]:
    """The tasks that a version was trained with, as its manifest has them; none of an imported one."""
    try:
        return _Recorded.model_validate(read_manifest(folder).settings, strict=False).tasks
    except ValidationError:  # of a later thord
        return {}
