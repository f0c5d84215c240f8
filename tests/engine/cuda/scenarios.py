"""Run beside a pretended GPU, as a process of its own: what happens on it and, with the same seeds, on the processor.

``python -m tests.engine.cuda.scenarios LIBRARY`` prints a JSON object of findings by name.
"""

import contextlib
import ctypes
import functools
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from unittest import mock

if __name__ == "__main__":
    ctypes.CDLL(sys.argv[1])  # before torch looks for devices

import numpy as np
import torch

from engine import device, flops, version
from engine.config.evaluation import EvaluationSettings, GateSettings
from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.config.training import TrainingSettings
from engine.data import shard, snapshot
from engine.data.batches import Rows
from engine.data.encoded import Encoded
from engine.data.samples import Dialogue, Message
from engine.device import ImpossiblePlacementError, Placement
from engine.evaluation import evaluate
from engine.families.table import FamilyName
from engine.inference.engine import Engine
from engine.inference.requests import (
    Delta,
    Event,
    Failed,
    Finished,
    GenerationParams,
    PromptScored,
    PromptSummed,
    Request,
    Sampling,
)
from engine.inference.runners import graphs
from engine.inference.versions import preparing
from engine.inference.versions.slots import WeightSlots
from engine.models import registry
from engine.tokenizers.bytes import ByteTokenizer
from engine.training import run
from engine.training.checkpoint import Checkpoints
from engine.training.loop import Loop
from engine.training.objectives.base import ReferenceModel
from engine.training.objectives.cross_entropy import Loss
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.recipe import Recipe
from engine.training.reporting.reporter import Figures, Silent, Stopped
from engine.training.spec import RunPaths, RunSpec
from tests.daemon.workers.server.harness import make_version
from tests.engine.cuda.pretended import Gpu, gpu
from tests.engine.training.conftest import MODEL, TRAINING, Recording, dialogues

DECODER = {"hidden": 32, "layers": 2, "heads": 4, "context": 192}
FAMILIES = {
    "thor": {**DECODER, "kv_heads": 2, "feed_forward": 64},
    "gpt2": DECODER,
    "char_lstm": {"hidden": 32, "layers": 2, "context": 192},
    "agiformer": {**DECODER, "feed_forward": 64, "window": 9},
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
STEPS, MICROBATCHES = 2, 2
EVERYTHING = {"ema_decay": 0.9, "label_smoothing": 0.1, "optimizer": "muon", "activation_checkpointing": "full"}
VOCABULARY = ByteTokenizer().vocabulary


def settings_of(family: str, **others: object) -> ModelSettings:
    return ModelSettings.model_validate({"family": family, **FAMILIES[family], **others})


class Losses(Silent):
    def __init__(self) -> None:
        self.found: list[tuple[float, float]] = []

    def stepped(self, figures: Figures) -> None:
        self.found.append((figures.loss, figures.gradient_norm))


def train(family: str, placement: Placement, *, anchored: bool = False, **training: object) -> list[object]:
    """Losses and gradient norms, and how the weights end."""
    model = registry.build(settings_of(family), VOCABULARY, seed=1)
    settings = Recipe.model_validate(
        {
            "epochs": 1.0,
            "batch_size": 2,
            "gradient_accumulation": MICROBATCHES,
            "sequence_length": 64,
            "max_steps": STEPS,
            "learning_rate": 3e-4,
            "validate_every": STEPS,
            "checkpoint_every": STEPS,
            "inspect_every": 2 * STEPS if anchored else 0,
            **training,
        }
    )
    anchor = None
    if anchored:
        other = registry.build(settings_of(family), VOCABULARY, seed=2)
        registry.module(other).to(placement.device, placement.dtype).eval().requires_grad_(requires_grad=False)
        anchor = ReferenceModel(other, 0.5)
    losses = Losses()
    with tempfile.TemporaryDirectory() as folder, Checkpoints(Path(folder) / "checkpoints", keep=2) as checkpoints:
        objective = MaskedCrossEntropy(settings.label_smoothing, anchor)
        rows = _rows(Path(folder) / "data")
        outcome = Loop(model, objective, rows, rows, settings, placement, checkpoints, losses).run()
    return [*losses.found, sum(float(weight.double().abs().sum()) for weight in outcome.weights.values())]


def _rows(folder: Path) -> Rows:
    """Several documents in most of them."""
    draws = np.random.default_rng(0)
    documents = [
        Encoded(draws.integers(0, VOCABULARY, size).astype(np.int32), draws.random(size) < 0.7)
        for size in (20, 30, 40, 60, 12, 33, 9, 65, 50, 44)
    ]
    return Rows(shard.write(folder, documents), 64)


PARAMS = [
    GenerationParams(10, Sampling(temperature=0.0, top_logprobs=2)),
    GenerationParams(10, Sampling(top_k=7, seed=3, top_logprobs=0)),
    GenerationParams(10, Sampling(seed=7, top_logprobs=0)),
    GenerationParams(
        10,
        Sampling(
            temperature=1.2,
            top_p=0.9,
            min_p=0.01,
            seed=4,
            presence_penalty=0.3,
            frequency_penalty=0.2,
            repetition_penalty=1.2,
            logit_bias={9: 2.0, 10: -3.0},
            top_logprobs=0,
        ),
    ),
    GenerationParams(0, score_prompt=True),
    GenerationParams(0, sum_hidden=True),
]


class Listening:
    """Ends the engine when all is said."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.open = 0
        self.said: list[tuple[int, Event]] = []

    def happened(self, events: Sequence[tuple[Request, Event]]) -> None:
        self.said += ((request.number, event) for request, event in events)
        self.open -= sum(isinstance(event, Failed | Finished) for _, event in events)
        if self.open <= 0 and self.engine:
            self.engine.stop()

    def idle(self) -> None:
        pass


def serve(folder: Path, placement: Placement) -> list[object]:
    """What is answered to all requests at once, by an engine in this thread."""
    model = preparing.load(folder, placement, rows=6)
    slots = WeightSlots(60.0)
    slots.admit(model.version, 1.0)
    slots.install(model)
    slots.commit(model.version)
    listening = Listening()
    listening.engine = engine = Engine(slots, listening, max_queue=64)
    numbers = []
    for length, params in enumerate(PARAMS):
        prompts = [[1, *range(9, 29 + 25 * length)]] * (2 if length == 1 else 1)  # two share one prompt
        request = Request(prompts, params, lambda event: None)
        listening.open += len(prompts)
        numbers.append(request.number)
        engine.submit(request)
    engine.run()
    return [_said(number, listening.said) for number in numbers]


def _said(number: int, said: Sequence[tuple[int, Event]]) -> list[object]:
    told: list[object] = []
    for _, event in (pair for pair in said if pair[0] == number):
        match event:
            case Delta() | PromptScored():
                told += [(token.id, token.logprob) for token in event.tokens]
            case PromptSummed():
                told += event.sums
            case Failed():
                told.append(event.message)
            case _:
                pass
    return told


def captured(where: torch.device, alone: object) -> graphs.Capture:
    """As if: the computation is kept, and done again."""

    def capture(compute: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, Callable[[], object]]:
        result = compute()
        return result, lambda: result.copy_(compute())

    return capture


def judge(folder: Path, placement: Placement) -> dict[str, float]:
    def load() -> version.LoadedVersion:
        return version.load(folder, placement)

    held_out = [
        Dialogue(messages=(Message("user", f"What is {at}?"), Message("assistant", "It is " + "x" * at)))
        for at in range(6)
    ]
    settings = EvaluationSettings(sample_tokens=8)
    judged = evaluate.judge(load, load, held_out, lambda: iter(()), settings, GateSettings(), quantization="int8")
    return judged.metrics


def both(
    compute: Callable[[Placement], object], dtype: torch.dtype, trained: FamilyName | None = None
) -> dict[str, object]:
    """On the GPU and here, where this processor computes that too, and what was noticed there."""
    with gpu() as pretended:
        there = compute(Placement(torch.device("cuda"), dtype))
    found = {"there": there, "looks": pretended.looks, "whole": pretended.whole, "truths": pretended.truths}
    here = Placement(torch.device("cpu"), dtype)
    with contextlib.suppress(ImpossiblePlacementError):
        device.check_training(here, trained)
        found["here"] = compute(here)
    return found


def stopped_and_resumed(**training: object) -> list[str]:
    """The sums of the weights that a run publishes, undisturbed and stopped on its way."""
    settings = TrainingSettings.model_validate(TRAINING.model_dump() | {"device": "cuda", "max_steps": 2} | training)
    plan = RunSpec(
        cycle=1, version=1, base=None, model=MODEL, tokenizer=TokenizerSettings(kind="bytes"), training=settings,
        settings={},
    )  # fmt: skip
    examples = [snapshot.Example(one, one.identity, "new") for one in dialogues()[:24]]
    save_from_here = functools.partial(_save_from_main_memory, version.save_file)
    sums = []
    with tempfile.TemporaryDirectory() as name, gpu(), mock.patch.object(version, "save_file", save_from_here):
        snapshot.write(Path(name) / "snapshot", examples, [])
        for stops in ([], [1]):
            folder = Path(name) / f"{len(stops)} stops"
            places = RunPaths(folder / "run", Path(name) / "snapshot", None, folder / "versions" / "000001")
            for stop in stops:
                with contextlib.suppress(Stopped):
                    run.learn(plan, places, Recording(stop_at=stop))
            sums.append(run.learn(plan, places, Recording()).files["model.safetensors"].sha256)
    return sums


def _save_from_main_memory(
    save: Callable[[dict[str, torch.Tensor], Path], None], tensors: Mapping[str, torch.Tensor], file: Path
) -> None:
    """As safetensors does by itself, but for tensors that are only pretended to be elsewhere."""
    save({name: tensor.to("cpu") for name, tensor in tensors.items()}, file)


def lstm_in_bf16() -> list[bool]:
    """Whether its states under autocast are those without, which are in float32."""
    model = registry.build(settings_of("char_lstm"), VOCABULARY, seed=1)
    tokens = torch.arange(60).view(2, 30)
    with gpu():
        registry.module(model).to("cuda")
        inputs = [tokens.to("cuda")] * 2
        found = []
        for documents in (torch.zeros_like(tokens), (tokens >= 15).long()):
            plain = model.hidden(*inputs, documents.to("cuda"))
            with torch.autocast("cuda", torch.bfloat16):
                found.append(bool(torch.equal(model.hidden(*inputs, documents.to("cuda")), plain)))
    return found


def softmaxes(where: str) -> int:
    """How many it takes for the loss of a microbatch."""
    with gpu() as pretended:
        scores = torch.zeros(256, 50_000).to(where)
        Loss(smoothing=0.1).take(scores, torch.zeros(256, dtype=torch.long).to(where), None, 1.0)
        return sum("_log_softmax" in str(call) for call in pretended.calls)


def products_between_waits() -> float:
    waits: list[int] = []

    def wait(pretended: Gpu) -> None:
        waits.append(sum("mm" in str(call) for call in pretended.calls))

    with gpu() as pretended:
        torch.cuda.synchronize = lambda device=None: wait(pretended)
        flops.peak(settings_of("gpt2"), VOCABULARY, 8, Placement(torch.device("cuda"), torch.float32))
    return waits[-1] / len(waits)


def main() -> None:
    torch.set_num_threads(1)
    graphs.on_cuda, graphs.SHORTEST = captured, 64
    found: dict[str, object] = {
        "resumed": stopped_and_resumed(precision="bf16", activation_checkpointing="selective"),
        "resumed adamw8bit": stopped_and_resumed(precision="auto", optimizer="adamw8bit"),
        "lstm in bf16": lstm_in_bf16(),
        "softmaxes": softmaxes("cuda"),
        "products between waits": products_between_waits(),
    }
    for family in FAMILIES:
        for name, dtype in DTYPES.items():
            found[f"train {family} {name}"] = both(
                lambda placement, family=family: train(family, placement), dtype, family
            )
        more = {
            name: value
            for name, value in EVERYTHING.items()
            if family != "char_lstm" or name != "activation_checkpointing"
        }
        found[f"train {family} everything"] = both(
            lambda placement, family=family, more=more: train(family, placement, anchored=True, **more), torch.float32
        )
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "000001"
            make_version(folder, 1, ByteTokenizer(), settings_of(family))
            found[f"serve {family}"] = both(lambda placement, folder=folder: serve(folder, placement), torch.float32)
            found[f"judge {family}"] = both(lambda placement, folder=folder: judge(folder, placement), torch.float32)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
