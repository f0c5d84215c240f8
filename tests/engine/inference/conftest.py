"""An engine in this process, without HTTP, around small random models."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
import torch

from engine.artifacts import FileRecord
from engine.config.model import ModelSettings
from engine.inference.engine import Engine
from engine.inference.requests import (
    Bound,
    Delta,
    Event,
    Failed,
    Finished,
    GenerationParams,
    PromptScored,
    Request,
    Scored,
)
from engine.inference.runners import decoders
from engine.inference.versions.loaded_model import LoadedModel
from engine.inference.versions.slots import WeightSlots
from engine.manifest import WEIGHTS, VersionManifest
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers import bpe
from engine.tokenizers.base import Tokenizer
from engine.version import LoadedVersion, VersionConfig

ROWS = 5


def make_loaded(
    number: int, settings: ModelSettings, tokenizer: Tokenizer, rows: int = ROWS, *, native: bool = False
) -> LoadedModel:
    """A version of random weights, its number the seed. Strong layers: it does not just repeat its last token."""
    model = registry.build(settings, tokenizer.vocabulary, seed=number)
    with torch.no_grad():
        for name, weight in registry.module(model).named_parameters():
            weight.mul_(10.0 if "layers" in name and weight.ndim > 1 else 1.0)
    registry.module(model).eval().requires_grad_(requires_grad=False)
    manifest = VersionManifest.model_construct(
        version=number,
        tokenizer_sha256="t",
        created_at="2026-01-02T03:04:05+00:00",
        family="thor",
        parameters=1000,
        files={WEIGHTS: FileRecord(size=0, sha256=f"{number:064}")},
    )
    config = VersionConfig(family="thor", model=settings, vocabulary=tokenizer.vocabulary, tokenizer="bpe")
    decoder = decoders.prepare(model, torch.device("cpu"), "none") if native else model
    return LoadedModel(LoadedVersion(manifest, config, model, tokenizer), rows, decoder)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small models on a busy machine: threads would mostly wait for each other. Is undone as after every test."""
    torch.set_num_threads(1)


@dataclass
class Heard:
    """Everything one request was told."""

    events: list[Event] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    expected: int = 1
    request: Request | None = None

    def receive(self, event: Event) -> None:
        if isinstance(event, Bound):
            self.events.clear()
        self.events.append(event)
        if isinstance(event, Delta):
            self.begun.set()
        finished = sum(isinstance(each, Finished) for each in self.events)
        if isinstance(event, Failed) or finished == self.expected:
            self.over.set()

    def wait(self) -> "Heard":
        assert self.over.wait(60), self.events
        return self

    @property
    def versions(self) -> list[int]:
        return [event.version for event in self.events if isinstance(event, Bound)]

    @property
    def failure(self) -> Failed | None:
        return next((event for event in self.events if isinstance(event, Failed)), None)

    def tokens(self, sequence: int = 0) -> list[int]:
        """Needs a request that asks for log-probabilities."""
        return [token.id for token in self.scored(sequence)]

    def scored(self, sequence: int = 0) -> list[Scored]:
        pieces = [event for event in self.events if isinstance(event, Delta) and event.sequence == sequence]
        return [token for piece in pieces for token in piece.tokens]

    def text(self, sequence: int = 0) -> str:
        pieces = [event for event in self.events if isinstance(event, Delta) and event.sequence == sequence]
        return "".join(piece.text for piece in pieces)

    def prompt_scores(self, sequence: int = 0) -> list[Scored]:
        found = [event for event in self.events if isinstance(event, PromptScored) and event.sequence == sequence]
        return [token for event in found for token in event.tokens]

    def finished(self, sequence: int = 0) -> Finished:
        return next(event for event in self.events if isinstance(event, Finished) and event.sequence == sequence)


class Listening:
    """Hands events out in the engine's own thread, and holds it then until ``go_on`` is set, as it is at first."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()

    def happened(self, events: Sequence[tuple[Request, Event]]) -> None:
        for request, event in events:
            request.receive(event)
        assert self.go_on.wait(60)

    def idle(self) -> None:
        """As `engine.inference.engine.Listener`."""


class Running:
    """An engine whose thread runs."""

    def __init__(self, max_queue: int = 64, drain_seconds: float = 60.0) -> None:
        self.slots = WeightSlots(drain_seconds)
        self.listening = Listening()
        self.engine = Engine(self.slots, self.listening, max_queue)
        self._thread = threading.Thread(target=self.engine.run, daemon=True)

    def serve(self, loaded: LoadedModel) -> None:
        assert self.slots.admit(loaded.version, wait_seconds=30)
        self.slots.install(loaded)
        self.slots.commit(loaded.version)

    def ask(self, prompts: Sequence[Sequence[int]], params: GenerationParams, **options: object) -> Heard:
        heard = Heard(expected=len(prompts))
        heard.request = Request(prompts, params, heard.receive, **options)
        self.engine.submit(heard.request)
        return heard

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.engine.stop()
        self.listening.go_on.set()
        if self._thread.ident:
            self._thread.join(30)


@pytest.fixture
def make_running() -> Iterator[Callable[..., Running]]:
    """Engines that are stopped after the test; ``start=False`` leaves the thread to the test."""
    made: list[Running] = []

    def make(*models: LoadedModel, start: bool = True, **options: float) -> Running:
        running = Running(**options)
        made.append(running)
        for loaded in models:
            running.serve(loaded)
        if start:
            running.start()
        return running

    yield make
    for running in made:
        running.close()


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return bpe.train(
        ["the quick brown fox jumps over the lazy dog, äöü 日本 "] * 20, vocabulary=330, sample_bytes=1 << 20
    )


@pytest.fixture(scope="session")
def model_settings() -> ModelSettings:
    return ModelSettings(hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=64, context=96)


@pytest.fixture
def loaded(model_settings: ModelSettings, tokenizer: Tokenizer) -> LoadedModel:
    return make_loaded(1, model_settings, tokenizer)


@pytest.fixture
def loaded_of(model_settings: ModelSettings, tokenizer: Tokenizer) -> Callable[[int], LoadedModel]:
    return lambda number: make_loaded(number, model_settings, tokenizer)


@pytest.fixture
def continue_plainly() -> Callable[[LanguageModel, Sequence[int], int], list[int]]:
    """The plain loop: the whole text through the model for every token, no cache, no batch."""

    @torch.inference_mode()
    def continued(model: LanguageModel, prompt: Sequence[int], length: int) -> list[int]:
        ids = list(prompt)
        for _ in range(length):
            tokens = torch.tensor([ids])
            hidden = model.hidden(tokens, torch.arange(len(ids))[None], torch.zeros_like(tokens))
            ids.append(int(model.logits(hidden[0, -1:])[0].argmax()))
        return ids[len(prompt) :]

    return continued
