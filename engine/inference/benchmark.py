"""How fast a version answers, and how much memory it takes to do so, measured in a process that does nothing else.

``python -m engine.inference.benchmark FOLDER INFERENCE``: a version, and the table ``[inference]`` as JSON. Prints a
`SpeedFigures` as JSON.
"""

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from engine.artifacts import ArtifactError
from engine.config.inference import InferenceSettings
from engine.inference.engine import Engine
from engine.inference.requests import Delta, Event, Failed, Finished, GenerationParams, Request, Sampling
from engine.inference.versions import preparing
from engine.inference.versions.loaded_model import LoadedModel
from engine.inference.versions.preparing import NotNowError, UnfitVersionError
from engine.inference.versions.slots import WeightSlots
from engine.tokenizers.encode import encode_text

_PROMPT = "Once upon a time there was a fox who lived at the edge of a wood and knew every path in it. " * 8
_PROMPT_TOKENS, _ANSWER_TOKENS, _ROUNDS = 64, 64, 5


@dataclass(frozen=True)
class SpeedFigures:
    """One client, greedy answers. The speed is that of the tokens after the first, the median of a few answers.

    Attributes:
        peak_memory_bytes: of the process, or what was allocated on a GPU: weights, cache, and the program itself.
    """

    load_seconds: float
    first_token_seconds: float
    tokens_per_second: float
    peak_memory_bytes: int
    weight_bytes: int
    prompt_tokens: int
    answer_tokens: int


def benchmark(folder: Path, settings: InferenceSettings) -> SpeedFigures:
    """Load a version and have it answer.

    Raises:
        UnfitVersionError: it cannot be loaded.
        NotNowError: there is too little memory, or it cannot be read.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    began = time.perf_counter()
    placement = preparing.place(folder, settings)
    model = preparing.load(folder, placement, settings.max_batch, settings.quantization)
    loaded = time.perf_counter() - began
    length = min(_ANSWER_TOKENS, model.context // 2)
    prompt = encode_text(model.tokenizer, _PROMPT)[: min(_PROMPT_TOKENS, model.context - length)]
    timed = _answers(model, prompt, length)
    return SpeedFigures(
        load_seconds=loaded,
        first_token_seconds=statistics.median(first for first, _ in timed),
        tokens_per_second=statistics.median((length - 1) / (whole - first) for first, whole in timed),
        peak_memory_bytes=_peak_memory(placement.device),
        weight_bytes=model.weight_bytes,
        prompt_tokens=len(prompt),
        answer_tokens=length,
    )


class _Ears:
    """Hands each event to its request, in the engine's thread."""

    def happened(self, events: Sequence[tuple[Request, Event]]) -> None:
        for request, event in events:
            request.receive(event)

    def idle(self) -> None:
        """Nothing to do."""


class _Timer:
    """When the first token of an answer came, and its end."""

    def __init__(self) -> None:
        self.first = 0.0
        self.failure: Failed | None = None
        self.over = threading.Event()

    def receive(self, event: Event) -> None:
        if isinstance(event, Delta) and not self.first:
            self.first = time.perf_counter()
        if isinstance(event, Failed):
            self.failure = event
        if isinstance(event, Failed | Finished):
            self.over.set()


def _answers(model: LoadedModel, prompt: Sequence[int], length: int) -> list[tuple[float, float]]:
    """Seconds to the first token and to the last, of a few answers after one that warms up."""
    slots = WeightSlots(60.0)
    slots.admit(model.version, 1.0)
    slots.install(model)
    slots.commit(model.version)
    engine = Engine(slots, _Ears(), max_queue=1)
    thread = threading.Thread(target=engine.run, name="engine", daemon=True)
    thread.start()
    timed = []
    for number in range(_ROUNDS + 1):
        timer, began = _Timer(), time.perf_counter()
        different = [*prompt[number + 1 :], *prompt[: number + 1]]  # none can be taken from the cache of another
        engine.submit(Request([different], GenerationParams(length, Sampling(temperature=0.0)), timer.receive))
        timer.over.wait()
        if timer.failure is not None:
            raise NotNowError(timer.failure.message)
        timed.append((timer.first - began, time.perf_counter() - began))
    engine.stop()
    thread.join()
    return timed[1:]


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):  # the peak that getrusage knows may be that of the process that started this one
            return int(line.split()[1]) << 10
    return 0


def main() -> int:
    """0, or 1 and the reason on standard error."""
    parser = argparse.ArgumentParser(description="Measure how fast a version answers.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("inference", type=InferenceSettings.model_validate_json, metavar="INFERENCE")
    options = parser.parse_args()
    try:
        print(json.dumps(asdict(benchmark(options.folder, options.inference))))
    except (ArtifactError, UnfitVersionError, NotNowError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
