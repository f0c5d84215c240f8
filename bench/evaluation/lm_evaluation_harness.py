"""The peer: the model ``hf`` of lm-evaluation-harness, as its tasks of log-likelihood call it, in float32."""

import example_set
import torch
from lm_eval.models.huggingface import HFLM

from engine import device
from engine.data.encoded import Encoded

options = example_set.options()
torch.set_num_threads(device.physical_cores())
model = HFLM(str(options.weights), device="cpu", dtype=torch.float32, batch_size=options.batch)


def score(some: list[Encoded]) -> list[float]:
    requests = []
    for each in some:
        first = int(each.supervised.argmax())
        requests.append((None, each.ids[:first].tolist(), each.ids[first:].tolist()))
    return [found for found, _ in model._loglikelihood_tokens(requests, disable_tqdm=True)]


example_set.take_turns(score, example_set.read(options.examples))
