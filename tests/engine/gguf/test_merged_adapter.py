"""What was learned as an adapter answers in llama.cpp as in thord: merged into its base, and written as one file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engine import version
from engine.data.samples import Message
from engine.device import Placement
from engine.gguf import exporting, importing
from engine.inference.requests import GenerationParams, Sampling
from engine.inference.runners import decoders
from engine.inference.versions.loaded_model import LoadedModel
from engine.models import registry
from engine.training import run
from engine.training.spec import RunPaths
from tests.engine.gguf.conftest import VersionOf
from tests.engine.inference.conftest import make_running
from tests.engine.training.conftest import MakePlan, Recording, conversations, places, plan
from tests.llama import loaded

__all__ = ["conversations", "make_running", "places", "plan"]  # fixtures
CPU = Placement(torch.device("cpu"), torch.float32)
QUESTIONS = ("What is abs?", "What is zip?", "What is sorted?", "Who are you?")
GREEDY = GenerationParams(24, Sampling(temperature=0.0, top_logprobs=0))


@pytest.mark.parametrize("name", ["llama-tied", "gemma2-by-head"])
def test_greedy_answers_are_the_same(
    name: str, version_of: VersionOf, places: RunPaths, plan: MakePlan, make_running: Callable, tmp_path: Path
) -> None:
    """By the kernel, where it computes the layout; also after the file was imported again."""
    _, base = version_of(name)
    base.parent.joinpath("versions").mkdir()
    base = base.rename(tmp_path / "versions" / "000001")
    paths = RunPaths(tmp_path / "run", places.snapshot, base, base.with_name("000002"))
    spec = plan(2, 1, method="lora", max_steps=6, learning_rate=5e-3, precision="fp32")
    run.learn(spec, paths, Recording())
    exporting.write(paths.target, tmp_path / "out.gguf", "f32")
    importing.take(tmp_path / "out.gguf", tmp_path / "back", 3)
    answers = []
    for folder in (paths.target, tmp_path / "back"):
        ours = version.load(folder, CPU)
        registry.module(ours.model).requires_grad_(requires_grad=False)
        decoder = decoders.prepare(ours.model, CPU.device, "none")
        running = make_running(LoadedModel(ours, len(QUESTIONS), decoder))
        prompts = [ours.tokenizer.encode_prompt([Message("user", question)]) for question in QUESTIONS]
        heard = [running.ask([prompt], GREEDY) for prompt in prompts]
        answers.append([one.wait().tokens() for one in heard])
    with loaded(tmp_path / "out.gguf") as llama:
        expected = [llama.greedy(prompt, GREEDY.max_tokens) for prompt in prompts]
    assert answers == [expected, expected]
    exporting.write(base, tmp_path / "before.gguf", "f32")
    with loaded(tmp_path / "before.gguf") as llama:
        assert [llama.greedy(prompt, GREEDY.max_tokens) for prompt in prompts] != expected
