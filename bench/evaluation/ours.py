"""Our evaluator's likelihoods of a version, in float32."""

import example_set
import torch

from engine import device, memory, version
from engine.data.encoded import Encoded
from engine.evaluation.likelihood import Document, measure

options = example_set.options()
memory.keep_freed_memory()
torch.set_num_threads(device.physical_cores())
model = version.load(options.weights, device.resolve("cpu", "fp32")).model


def score(some: list[Encoded]) -> list[float]:
    documents = [Document(each, 1) for each in some]
    found = measure(model, documents, length=example_set.LONGEST, batch_size=options.batch)
    return [-nats for nats in found.nats_C.tolist()]


example_set.take_turns(score, example_set.read(options.examples))
