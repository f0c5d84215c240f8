"""What the routes stand on: which version a request means, whether it may be answered now, the way to the engine."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from fastapi import Request

from control.paths import version_name
from daemon.messages import ServiceHealth
from daemon.settings.sections import Tables
from daemon.workers.server.access.policy import AccessPolicy
from daemon.workers.server.answers import PendingAnswer
from daemon.workers.server.chats.conversation_log import ConversationLog
from daemon.workers.server.chats.database import ChatDatabase
from daemon.workers.server.chats.responses import Responses
from daemon.workers.server.chats.sessions import Sessions
from daemon.workers.server.errors import ApiError
from daemon.workers.server.metrics import Metrics
from daemon.workers.server.structures import StructureCompiler
from engine.inference.engine import Engine
from engine.inference.requests import GenerationParams, PromptTooLongError, QueueFullError
from engine.inference.versions.loaded_model import LoadedModel, PromptSpec
from engine.inference.versions.preparing import NotNowError, UnfitVersionError
from engine.inference.versions.slots import VersionGoneError, WeightSlots
from engine.tasks import calibrating
from engine.tasks.answering import Calibration
from engine.tokenizers.base import Tokenizer

MODEL = "thor"
_MOST_CALIBRATIONS = 64
"""Versions whose calibrations are remembered."""
_NAMES = frozenset({MODEL, "thord"})
_VERSION = re.compile(r"(?P<number>[0-9]{1,9})|(?P<previous>previous)|current")


class InferenceService:
    """Everything that one server answers with.

    Attributes:
        access: who may use it.
        rows: sequences that a version computes at once.
        unready: why nothing can be answered; empty while a version serves.
        health: how the whole service is, as the supervisor said last.
        stopping: no new requests.
        sessions: chats that are remembered.
        responses: places in them that a later request may go on from.
        conversation_log: chats that will be learned.
        structures: what answers can be held to.
        visit: has a version in memory for a while; false: there is no room now. None: versions come by swaps alone.
        version_folder: where a version is; none where only its weights are there.
        decided: set once it is known whether there is a version to serve.
    """

    def __init__(
        self,
        settings: Tables,
        slots: WeightSlots,
        engine: Engine,
        metrics: Metrics,
        chats: ChatDatabase,
        served: Path,
        access: AccessPolicy,
    ) -> None:
        self.settings = settings
        self.access = access
        self.rows = settings.inference.max_batch  # of every version in memory, whatever a reload says: see Swapper
        self.slots = slots
        self.engine = engine
        self.metrics = metrics
        self.unready = "the server is starting"
        self.health: ServiceHealth | None = None
        self.stopping = threading.Event()
        self.decided = asyncio.Event()
        self.sessions = Sessions(chats, settings.sessions)
        self.responses = Responses(self.sessions)
        self.structures = StructureCompiler()
        self.version_folder: Callable[[int], Path] | None = None
        self.visit: Callable[[int], Awaitable[bool]] | None = None
        self._calibrations: dict[int, dict[str, Calibration]] = {}
        self.conversation_log = ConversationLog(chats, served, settings.conversation_log, metrics)

    def apply(self, settings: Tables) -> None:
        """Take over what can change while the server runs: keys, limits, deadlines."""
        self.settings = settings
        self.access.apply(settings.api)
        self.slots.drain_seconds = settings.inference.drain_seconds
        self.engine.max_queue = settings.inference.max_queue
        self.sessions.settings = settings.sessions
        self.conversation_log.apply(settings.conversation_log)

    @property
    def body_limit(self) -> int:
        """Bytes that a request's body may have."""
        return self.settings.api.max_body_megabytes << 20

    async def prompt_spec(self, model: str | None = None) -> PromptSpec:
        """What prompts must be written for: the version that serves, or the one whose successor is being loaded; else
        the one that ``model`` insists on, which is loaded first where it is kept but not in memory.

        Raises:
            ApiError: 503, none does, and why; there is no room for it now; or the server is stopping. 404, there is no
                such model.
        """
        await self.decided.wait()
        if self.stopping.is_set():
            raise ApiError(503, "stopping", "the server is stopping", retry_after=2, close=True)
        if (pin := self.pin(model)) is not None:
            return await self._spec_of(pin)
        spec = self.slots.prompt_spec
        if spec is None:
            raise ApiError(503, "no_version", self.unready, retry_after=5)
        return spec

    async def _spec_of(self, version: int) -> PromptSpec:
        with contextlib.suppress(KeyError):
            return self.slots.get(version).prompt_spec
        is_kept = self.version_folder is not None and await asyncio.to_thread(self.version_folder(version).is_dir)
        if self.visit is None or not is_kept:
            raise self._not_in_memory(version)
        try:
            if await self.visit(version):
                return self.slots.get(version).prompt_spec
            why = "another version is in its place"
        except UnfitVersionError as error:
            raise _no_model(f"version {version_name(version)} cannot be loaded: {error}") from None
        except (NotNowError, KeyError) as error:
            why = str(error)
        message = f"version {version_name(version)} cannot be loaded beside {MODEL!r} now: {why}"
        raise ApiError(503, "model_not_loaded", message, param="model", retry_after=5)

    def _not_in_memory(self, version: int) -> ApiError:
        held = ", ".join(f"{MODEL}@{version_name(each)}" for each in self.slots.addressable)
        return _no_model(f"version {version_name(version)} is not in memory; those are: {held}")

    def calibrations(self, version: int) -> dict[str, Calibration]:
        """What was fitted for the tasks of a version; read once, since it is there before the version serves."""
        if version not in self._calibrations and self.version_folder is not None:
            if len(self._calibrations) >= _MOST_CALIBRATIONS:
                self._calibrations.clear()
            self._calibrations[version] = calibrating.read(self.version_folder(version))
        return self._calibrations.get(version, {})

    def models(self) -> dict[str, LoadedModel]:
        """What can be asked, by the names that clients know: what serves first, then every version in memory."""
        serving = self.slots.serving
        found = {} if serving is None else dict.fromkeys((MODEL, *self.settings.api.aliases), serving)
        for version in sorted(self.slots.addressable, reverse=True):
            with contextlib.suppress(KeyError):  # it has just gone
                found[f"{MODEL}@{version_name(version)}"] = self.slots.get(version)
        return found

    def model(self, name: str) -> LoadedModel:
        """The one that a client calls ``name``.

        Raises:
            ApiError: 404, there is none, or it is not in memory.
        """
        pin = self.pin(name)
        with contextlib.suppress(KeyError):
            found = self.slots.serving if pin is None else self.slots.get(pin)
            if found is not None:
                return found
        raise _no_model(f"the model {name!r} is not in memory")

    def pin(self, model: str | None) -> int | None:
        """The version that a model's name insists on; None: whichever serves.

        Raises:
            ApiError: 404, there is no such model, or its version is not in memory.
        """
        name, at, version = (model or MODEL).rpartition("@") if "@" in (model or "") else (model or MODEL, "", "")
        named = _VERSION.fullmatch(version if at else "current")
        if named is None or not self.is_called(name):
            message = f"the model {model!r} does not exist; this is a server of {MODEL!r} (api.aliases adds names)"
            raise _no_model(message)
        if named["previous"]:
            previous = self.slots.previous
            if previous is None:
                raise _no_model("no previous version is in memory")
            return previous
        return int(named["number"]) if named["number"] else None

    def is_called(self, name: str) -> bool:
        """Whether this is the model: clients put a provider before its name, or a tag after it."""
        plain = name.lower()
        aliases = {alias.lower() for alias in self.settings.api.aliases}
        return plain in aliases or plain.removeprefix("openai/").removesuffix(":latest") in _NAMES | aliases

    async def tokens(self, tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts, worked out beside the event loop."""
        return await asyncio.to_thread(lambda: [tokenizer.encode(text) for text in texts])

    def ask(
        self,
        http: Request,
        prompts: list[list[int]],
        params: GenerationParams,
        *,
        model: str | None,
        param: str = "prompt",
        pin: int | None = None,
        streamed: bool = False,
        seconds: float | None = None,
    ) -> PendingAnswer:
        """Hand prompts, which came in the field ``param``, to the engine. Whoever asks must close the answer.

        ``pin`` insists on a version, whatever ``model`` says. The answer is given up after ``seconds``, or
        ``api.request_timeout_seconds`` where those are less.

        Raises:
            ApiError: it cannot be answered: 400, 404, 429 or 503.
        """
        pin = self.pin(model) if pin is None else pin
        limit = self.settings.inference.max_queue + self.rows
        if len(prompts) > limit:  # it would be told to come again for ever
            self.metrics.refused.labels("too_many").inc()
            message = (
                f"{len(prompts)} texts (prompts x n); one request may have {limit} (inference.max_queue + max_batch)"
            )
            raise ApiError(400, "too_many_texts", message)
        longest = self.settings.api.request_timeout_seconds
        try:
            answer = PendingAnswer(
                self.engine,
                self.metrics,
                prompts,
                params,
                client=str(http.state.client),
                pin=pin,
                streamed=streamed,
                seconds=longest if seconds is None else min(seconds, longest),
            )
        except QueueFullError as error:
            self.metrics.refused.labels("queue_full").inc()
            raise ApiError(429, "queue_full", f"the server is busy: {error}", retry_after=1) from None
        except PromptTooLongError as error:
            self.metrics.refused.labels("too_long").inc()
            raise ApiError(400, "context_length_exceeded", str(error), param=param) from None
        except VersionGoneError:
            if pin is None:
                raise ApiError(503, "no_version", self.unready, retry_after=5) from None
            raise self._not_in_memory(pin) from None
        answer.watch(http.receive)
        return answer


def _no_model(message: str) -> ApiError:
    return ApiError(404, "model_not_found", message, param="model")
