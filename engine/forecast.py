"""What a model needs and gives on this machine, found by training it for a few steps, or a part of it if it is large.

Memory and time of a step grow evenly with layers and with rows, so probes of one and two layers and few rows, each a
process of its own, tell those of the whole. What a version holds in the server is counted; one more probe tells what
torch takes besides to compute it, which layers share.

``python -m engine.forecast FILE`` prints a `Forecast` as JSON for the settings in FILE (JSON as well, with the tables
``model``, ``tokenizer`` and ``training``).
"""

import argparse
import gc
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from engine import cgroup, device, flops, memory
from engine.adapters import adapter as adapters
from engine.adapters import method
from engine.adapters.config import AdapterConfig
from engine.adapters.network import FrozenBase
from engine.artifacts import ArtifactError
from engine.config.inference import InferenceSettings
from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.config.training import Method, TrainingSettings
from engine.data import shard
from engine.data.batches import Rows
from engine.data.encoded import Encoded
from engine.device import ImpossiblePlacementError, Placement
from engine.families.table import FAMILIES
from engine.inference.runners import decoders
from engine.inference.runners.shapes import SMALLEST_BUCKET, buckets, lengths
from engine.inference.scheduling.batching import CHUNK
from engine.inference.versions import footprint, precision
from engine.manifest import read_manifest
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers.base import SPECIAL_TOKENS
from engine.training import recipe
from engine.training.activation_checkpointing import NoBlocksError
from engine.training.checkpoint import Checkpoints, Progress
from engine.training.loop import Loop
from engine.training.objectives.base import ReferenceModel
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.recipe import Recipe, Start, Task
from engine.training.reporting.reporter import Figures, Silent

_SHARE_TO_USE = 0.8
"""Of the memory that is free; the rest is for the service beside it."""
_LARGE_STEP = 2e12
"""Operations beyond which only a part is trained: some seconds on a processor, next to nothing on a GPU."""
_PART_LAYERS, _PART_ROWS = (1, 2), (1, 3)
_STEPS = 3
_MUCH_DATA = 1 << 20
"""Rows."""
_AROUND_THE_LOOP = 10 << 20
"""What a run takes besides: its data, checkpoints, publishing."""


class Question(BaseModel):
    """The settings that matter; other tables are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: ModelSettings
    tokenizer: TokenizerSettings
    training: TrainingSettings
    inference: InferenceSettings = InferenceSettings()
    version_folder: Path | None = None
    """Of the version that the model is of, where there is one: a run on an import is carried out another way."""

    @property
    def vocabulary(self) -> int:
        """Of the tokenizer; bytes learn none."""
        return len(SPECIAL_TOKENS) + 256 if self.tokenizer.kind == "bytes" else self.tokenizer.vocabulary

    @property
    def recipe(self) -> Recipe:
        """How a run over much data would be carried out."""
        parameters = registry.parameter_count(self.model, self.vocabulary)
        base = None if self.version_folder is None else read_manifest(self.version_folder)
        start: Start = "imported" if base is not None and base.is_pretrained else "own"
        chosen = method.resolved(self.training, base)
        task = Task(start=start, rows=_MUCH_DATA, validated=False, parameters=parameters, method=chosen)
        return recipe.decide(task, self.training)


@dataclass(frozen=True)
class Forecast:
    """Bytes, counts and tokens a second.

    Attributes:
        training_bytes: the peak with ``batch_size`` rows, beyond what torch takes by itself.
        inference_bytes: a version in the server: its weights, what is remembered of its rows in ordinary use (see
            `engine.inference.versions.footprint`), and what torch takes to compute it.
        inference_rows: those rows, but for one that is for padding.
        batch_size: rows in a microbatch that fit, at most those asked for; 0 where not even one does.
        gemm_flops: operations a second in matrix products of the model's own shapes.
        share_of_gemm: what of them training comes to.
    """

    family: str
    method: Method
    parameters: int
    device: str
    dtype: str
    available_bytes: int
    training_bytes: int
    inference_bytes: int
    inference_rows: int
    batch_size: int
    accumulation: int
    tokens_per_second: float
    gemm_flops: float
    share_of_gemm: float


@dataclass(frozen=True)
class Probe:
    """A few steps without checkpoints.

    Attributes:
        peak_bytes: beyond what was there before.
        seconds: the fastest step took.
        saved_bytes: what a checkpoint holds, copied while steps go on where there is room.
    """

    peak_bytes: float
    seconds: float
    saved_bytes: float


class ProbeFailedError(Exception):
    """Not even a part of the model could be trained here; the message is what its process said last."""


def forecast(question: Question) -> Forecast:
    """What this machine can do.

    Raises:
        ImpossiblePlacementError: this machine does not have the device, or it cannot compute in that precision.
        ProbeFailedError: see there.
    """
    model, vocabulary, training = question.model, question.vocabulary, question.recipe
    placement = device.resolve(training.device, training.precision, model.family)
    parameters = registry.parameter_count(model, vocabulary)
    is_large = 6 * parameters * training.batch_size * training.sequence_length > _LARGE_STEP
    layers_tried = _PART_LAYERS if is_large else (model.shape.layers,)
    rows_tried = _PART_ROWS if is_large else (1, training.batch_size)
    probes = {at: _probe_apart(question, *at) for at in itertools.product(layers_tried, rows_tried)}
    available = _available_bytes(placement.device)

    def of_whole(values: dict[tuple[int, int], float], rows: int) -> float:
        return extend(values, model.shape.layers, rows)

    def peak(rows: int) -> float:
        return _AROUND_THE_LOOP + of_whole({at: each.peak_bytes for at, each in probes.items()}, rows)

    fitting = training.batch_size
    while fitting and peak(fitting) > _SHARE_TO_USE * available:
        fitting //= 2
    rows = max(1, fitting)
    seconds = of_whole({at: each.seconds for at, each in probes.items()}, rows)
    copies = of_whole({at: each.saved_bytes for at, each in probes.items()}, rows)
    rate = rows * training.sequence_length / seconds
    peak_rate = flops.peak(model, vocabulary, rows * training.sequence_length, placement)
    return Forecast(
        family=model.family,
        method=training.method,
        parameters=parameters,
        device=placement.device.type,
        dtype=placement.dtype_name,
        available_bytes=available,
        training_bytes=int(with_copies(peak(rows), copies, placement.device)),
        inference_bytes=_held_bytes(question) + _overhead_apart(question),
        inference_rows=question.inference.max_batch,
        batch_size=fitting,
        accumulation=training.gradient_accumulation * training.batch_size // rows,
        tokens_per_second=rate,
        gemm_flops=peak_rate,
        share_of_gemm=flops.per_token(model, vocabulary, training.sequence_length) * rate / peak_rate,
    )


def probe(question: Question, layers: int, rows: int) -> Probe:
    """Train so many of the model's layers for a few steps of so many rows, in this process, which does nothing else."""

    class Stopwatch(Silent):
        def stepped(self, figures: Figures) -> None:
            times.append(time.perf_counter())

    class Unsaved(Checkpoints):
        def save(self, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor], progress: Progress) -> None:
            saved.append(sum(tensor.nbytes for group in (weights, optimizer) for tensor in group.values()))

    times: list[float] = []
    saved: list[int] = []
    vocabulary, length = question.vocabulary, question.training.sequence_length
    placement = device.resolve(question.training.device, question.training.precision, question.model.family)
    settings = question.recipe.model_copy(
        update={"batch_size": rows, "gradient_accumulation": 1, "max_steps": _STEPS, "early_stopping_patience": 0}
    )
    if settings.threads:
        torch.set_num_threads(settings.threads)
    before = psutil.Process().memory_info().rss
    part = question.model.model_copy(update={"layers": layers})
    model = registry.build(part, vocabulary, seed=0)
    if settings.method == "lora":
        _learn_beside(model, settings, placement)
    objective = MaskedCrossEntropy(reference=_reference(model, part, settings, placement))
    with tempfile.TemporaryDirectory() as folder, Unsaved(Path(folder) / "checkpoints", keep=2) as checkpoints:
        # As in practice, a row holds several documents, each step others: torch keeps what each shape needs.
        splits = [max(1, length * at // (rows * _STEPS + 1)) for at in range(1, rows * _STEPS + 1)]
        sizes = itertools.chain.from_iterable((split, length - split) for split in splits)
        documents = (
            Encoded(np.arange(size + 1, dtype=np.int32) % vocabulary, np.ones(size + 1, np.bool_)) for size in sizes
        )
        data = Rows(shard.write(Path(folder) / "data", documents), length)
        Loop(model, objective, data, None, settings, placement, checkpoints, Stopwatch()).run()
    peak = torch.cuda.max_memory_reserved() if placement.device.type == "cuda" else memory.peak_bytes() - before
    return Probe(peak, min(after - before for before, after in itertools.pairwise(times)), max(saved))


def _learn_beside(model: LanguageModel, settings: Recipe, placement: Placement) -> None:
    """Have an adapter learn in place of all weights."""
    weights, lora = registry.module(model).state_dict(), settings.lora
    adapter = adapters.new(model, AdapterConfig(rank=lora.rank, alpha=lora.alpha), seed=0)
    quantization = lora.quantization or "none"
    FrozenBase(model, weights, adapter.maps, placement.device, placement.dtype, quantization).under(model, adapter)


def _reference(
    model: LanguageModel, part: ModelSettings, settings: Recipe, placement: Placement
) -> ReferenceModel | None:
    """What the model is to stay close to, as a run holds it: a model beside it, or the same base as an adapter's."""
    if not settings.kl_weight:
        return None
    reference = registry.build(part, model.vocabulary, seed=0)
    module = registry.module(reference)
    if settings.method == "lora":
        shared = registry.module(model).state_dict()
        registry.fill(reference, {name: shared[name] for name in module.state_dict()})
    else:
        module.to(placement.device, placement.dtype)
    module.eval().requires_grad_(False)
    return ReferenceModel(reference, settings.kl_weight)


@torch.inference_mode()
def overhead(question: Question) -> int:
    """What one of the model's layers takes to answer in every shape of the server, beyond its weights and its cache.

    In this process, which does nothing else: code that is read from disk, and products that torch compiles and keeps.
    """
    answering = question.inference
    placement = precision.of_model(question.model, answering)
    torch.set_num_threads(1)  # memory is asked for, and a busy machine answers one thread sooner
    where, before = placement.device, psutil.Process().memory_info().rss
    model = registry.build(question.model.model_copy(update={"layers": 1}), question.vocabulary, seed=0)
    registry.module(model).to(where, placement.dtype).eval().requires_grad_(False)
    decoder = decoders.prepare(model, where, answering.quantization)
    cache = decoder.make_cache(1, model.context)
    del model
    short = [(1, 0, length) for length in lengths(cache) if length <= cache.length]
    long = [(1, start, CHUNK) for start in range(0, cache.length - CHUNK + 1, CHUNK)]
    last = cache.length - 1 if cache.rewinds else 0
    decoded = [(size, last, 1) for size in buckets(answering.max_batch)]
    for rows, start, length in short + long + decoded:
        row_B = torch.zeros(rows, dtype=torch.long, device=where)
        tokens_BT = torch.zeros(rows, length, dtype=torch.long, device=where)
        hidden_BTD = decoder.step(tokens_BT, cache, row_B, row_B + start)
        decoder.logits(hidden_BTD[:, -1].expand(max(rows, SMALLEST_BUCKET), -1))
    gc.collect()
    memory.return_freed_memory()
    taken = torch.cuda.memory_reserved() if where.type == "cuda" else psutil.Process().memory_info().rss - before
    return max(0, taken - footprint.of_weights(decoder) - cache.held_bytes)


def with_copies(peak: float, saved: float, where: torch.device) -> float:
    """What is taken while a checkpoint is written beside the steps: from copies in main memory, if there is room.

    The rule is that of `engine.training.checkpoint`.
    """
    room = cgroup.memory().available - peak
    return peak + saved if where.type == "cpu" and 2 * saved < room else peak


def extend(at: dict[tuple[int, int], float], layers: int, rows: int) -> float:
    """From values at a few layers and rows, by c + l * layers + (r + m * layers) * rows; nothing shrinks with more."""
    by_rows: dict[int, dict[int, float]] = {}
    for (its_layers, its_rows), value in at.items():
        by_rows.setdefault(its_rows, {})[its_layers] = value
    return _along({count: _along(values, layers) for count, values in by_rows.items()}, rows)


def _along(values: dict[int, float], here: int) -> float:
    """The line through the first and the last of some values; one value is the same everywhere."""
    first, last = min(values), max(values)
    slope = max(0.0, values[last] - values[first]) / max(1, last - first)
    return values[first] + slope * (here - first)


def _probe_apart(question: Question, layers: int, rows: int) -> Probe:
    return Probe(**json.loads(_in_a_process(question, "--probe", f"{layers},{rows}")))


def _overhead_apart(question: Question) -> int:
    return int(_in_a_process(question, "--overhead"))


def _in_a_process(question: Question, *options: str) -> str:
    """What `probe` or `overhead` print where nothing was computed before, so that what they see is their own."""
    command = [sys.executable, "-m", "engine.forecast", *options, "-"]
    ended = subprocess.run(command, input=question.model_dump_json(), capture_output=True, text=True, check=False)
    if ended.returncode:
        raise ProbeFailedError((ended.stderr.strip().splitlines() or [f"it ended with status {ended.returncode}"])[-1])
    return ended.stdout


def _available_bytes(where: torch.device) -> int:
    return torch.cuda.mem_get_info()[0] if where.type == "cuda" else cgroup.memory().available


def _held_bytes(question: Question) -> int:
    answering = question.inference
    placement = precision.of_model(question.model, answering)
    return footprint.of_model(
        question.model, question.vocabulary, placement, answering.max_batch, answering.quantization
    )


def main() -> int:
    """See the module. 0, or 1 (2 for wrong settings) and the reason on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m engine.forecast", description="What a model needs on this machine."
    )
    parser.add_argument("file", type=argparse.FileType(), help="settings as JSON; - reads standard input")
    parser.add_argument("--sizes", action="store_true", help="print the names of the family's sizes, smallest first")
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    parser.add_argument("--overhead", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    memory.keep_freed_memory()
    try:
        question = Question.model_validate_json(options.file.read())
        if options.probe:
            layers, rows = map(int, options.probe.split(","))
            answer: object = asdict(probe(question, layers, rows))
        elif options.sizes:
            answer = list(FAMILIES[question.model.family].presets)
        elif options.overhead:
            answer = overhead(question)
        else:
            answer = asdict(forecast(question))
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, f['loc']))}: {f['msg'].removeprefix('Value error, ')}" for f in error.errors())
        print("; ".join(faults), file=sys.stderr)
        return 2
    except (ArtifactError, ImpossiblePlacementError, NoBlocksError, ProbeFailedError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
