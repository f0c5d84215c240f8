"""The peer: the model ``hf`` of lm-evaluation-harness, which scores every label of every text."""

import example_rows
import torch
from example_rows import Question
from lm_eval.models.huggingface import HFLM

from engine import device

options = example_rows.options()
torch.set_num_threads(device.physical_cores())
dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[options.dtype]
model = HFLM(str(options.weights), device="cpu", dtype=dtype, batch_size=options.batch)


def classify(some: list[Question]) -> list[int]:
    requests = [(("", ""), each.prompt, label) for each in some for label in each.labels]
    scores = iter([found for found, _ in model._loglikelihood_tokens(requests, disable_tqdm=True)])
    found = []
    for each in some:
        logprobs = [next(scores) for _ in each.labels]
        found.append(max(range(len(logprobs)), key=logprobs.__getitem__))
    return found


_, questions = example_rows.read(options.questions)
example_rows.take_turns(classify, questions)
