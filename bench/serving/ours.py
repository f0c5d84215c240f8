"""Our engine in this process, without HTTP."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from engine.config.inference import Quantization
from engine.device import Placement
from engine.inference.constraints.constraint import Constraint
from engine.inference.engine import Engine
from engine.inference.requests import Delta, Event, Failed, Finished, GenerationParams, Request, Sampling
from engine.inference.versions import preparing
from engine.inference.versions.slots import WeightSlots
from serving.weights import Answers, Prompts

_ROWS = 16


class Listening:
    """Hands events out in the engine's own thread."""

    def happened(self, events: Sequence[tuple[Request, Event]]) -> None:
        for request, event in events:
            request.receive(event)

    def idle(self) -> None:
        """Nothing to do."""


class Ours:
    """An engine that serves one version.

    Attributes:
        weight_bytes: what its weights take.
        tokenizer: that of the version.
    """

    def __init__(self, folder: Path, dtype: torch.dtype, device: str, quantization: Quantization = "none") -> None:
        loaded = preparing.load(folder, Placement(torch.device(device), dtype), _ROWS, quantization)
        self.weight_bytes = loaded.weight_bytes
        self.tokenizer = loaded.tokenizer
        self._cache = loaded.cache
        slots = WeightSlots(60.0)
        slots.admit(loaded.version, 1.0)
        slots.install(loaded)
        slots.commit(loaded.version)
        self._engine = Engine(slots, Listening(), max_queue=1024)
        self._thread = threading.Thread(target=self._engine.run, daemon=True)
        self._thread.start()

    def generate(self, prompts: Prompts, length: int, constraint: Constraint | None = None) -> Answers:
        """Greedy answers of ``length`` to all prompts at once; those of a structure end where it does."""
        ends = frozenset(self.tokenizer.specials) if constraint is not None else frozenset[int]()
        waiting = [_Waiting(prompt, length, constraint, ends) for prompt in prompts]
        for each in waiting:
            self._engine.submit(each.request)
        return Answers([each.wait() for each in waiting], max(each.first for each in waiting))

    def arrivals(self, prompts: Prompts, times: Sequence[float], length: int) -> float:
        """Requests that come at these seconds; how long until all are answered."""
        began = time.perf_counter()
        waiting = []
        for prompt, due in zip(prompts, times, strict=True):
            time.sleep(max(0.0, began + due - time.perf_counter()))
            waiting.append(_Waiting(prompt, length))
            self._engine.submit(waiting[-1].request)
        for each in waiting:
            each.wait()
        return time.perf_counter() - began

    @property
    def cache_bytes(self) -> int:
        """What its cache has taken."""
        return self._cache.held_bytes

    def close(self) -> None:
        self._engine.stop()
        self._thread.join()


class _Waiting:
    def __init__(
        self,
        prompt: Sequence[int],
        length: int,
        constraint: Constraint | None = None,
        ends: frozenset[int] = frozenset(),
    ) -> None:
        self.first = 0.0
        self._over = threading.Event()
        self._failure: Failed | None = None
        params = GenerationParams(length, Sampling(temperature=0.0), eos_ids=ends, constraint=constraint)
        self.request = Request([prompt], params, self._receive)

    def wait(self) -> list[int]:
        self._over.wait()
        if self._failure is not None:
            raise RuntimeError(self._failure.message)
        return self.request.sequences[0].output

    def _receive(self, event: Event) -> None:
        if isinstance(event, Delta | Finished):
            self.first = self.first or time.perf_counter()
        if isinstance(event, Failed):
            self._failure = event
        if isinstance(event, Failed | Finished):
            self._over.set()
