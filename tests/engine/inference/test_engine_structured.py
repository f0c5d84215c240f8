"""Answers with a structure: they keep to it in any company, and what their masks cost delays nobody else."""

import json
import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch

from engine.inference.constraints.cache import CompiledStructures
from engine.inference.constraints.constraint import Allowed, Constraint, StructureError
from engine.inference.constraints.masks import MaskThreads, ThreadedMask
from engine.inference.constraints.structures import JsonStructure, RegexStructure
from engine.inference.requests import GenerationParams, Sampling
from engine.inference.versions.loaded_model import LoadedModel
from engine.tokenizers.base import Tokenizer
from tests.engine.inference.conftest import Heard, Running

SCHEMA = {
    "type": "object",
    "properties": {"a": {"enum": ["fox", "dog", "日本"]}, "n": {"type": "integer", "minimum": 0, "maximum": 999}},
    "required": ["a", "n"],
}
PROMPTS = ("the quick", "lazy dog", "äöü 日本")


def params(tokenizer: Tokenizer, constraint: Constraint | None, seed: int = 1, **more: object) -> GenerationParams:
    sampling = Sampling(temperature=1.5, seed=seed, top_logprobs=0)
    given = {"max_tokens": 60, "sampling": sampling, "eos_ids": frozenset(tokenizer.specials), **more}
    return GenerationParams(constraint=constraint, **given)


def prompt(tokenizer: Tokenizer, text: str) -> list[int]:
    return [*tokenizer.opening, *tokenizer.encode(text)]


def test_an_answer_keeps_to_its_schema_and_is_the_same_in_any_company(
    make_running: Callable[..., Running], loaded: LoadedModel, tokenizer: Tokenizer
) -> None:
    running = make_running(loaded)
    constraint = CompiledStructures().compiled(JsonStructure(SCHEMA), tokenizer)

    def ask(seed: int, **more: object) -> Heard:
        text = prompt(tokenizer, PROMPTS[seed % 3])
        return running.ask([text], params(tokenizer, None if seed % 4 == 3 else constraint, seed, **more))

    alone = [ask(seed).wait() for seed in range(12)]
    together = [each.wait() for each in [ask(seed) for seed in range(12)]]
    for seed, (one, other) in enumerate(zip(alone, together, strict=True)):
        assert one.tokens() == other.tokens()
        if seed % 4 != 3:
            answer = json.loads(one.text())
            assert answer["a"] in SCHEMA["properties"]["a"]["enum"]
            assert 0 <= answer["n"] <= 999
            assert one.finished().ended_by == "eos"


def test_a_greedy_answer_takes_the_likeliest_allowed_token_and_log_probabilities_are_the_models_own(
    make_running: Callable[..., Running], loaded: LoadedModel, tokenizer: Tokenizer
) -> None:
    constraint = CompiledStructures().compiled(RegexStructure("[a-f]{12}"), tokenizer)
    given = prompt(tokenizer, "the quick")
    greedy = Sampling(temperature=0, top_logprobs=0)
    heard = make_running(loaded).ask([given], params(tokenizer, constraint, sampling=greedy)).wait()
    matcher = constraint.matcher()
    ids = list(given)
    with torch.inference_mode():
        for scored in heard.scored():
            tokens = torch.tensor([ids])
            hidden = loaded.model.hidden(tokens, torch.arange(len(ids))[None], torch.zeros_like(tokens))
            logprobs = torch.log_softmax(loaded.model.logits(hidden[0, -1:])[0], -1)
            allowed = torch.from_numpy(matcher.allowed())
            assert scored.id == int(logprobs.masked_fill(~allowed, -torch.inf).argmax())
            assert abs(scored.logprob - float(logprobs[scored.id])) < 1e-4
            ids.append(scored.id)
            if scored.id not in tokenizer.specials:
                matcher.consume(scored.id)
    assert len(heard.text()) == 12


def test_an_answer_that_is_cut_inside_its_structure_ended_by_length(
    make_running: Callable[..., Running], loaded: LoadedModel, tokenizer: Tokenizer
) -> None:
    constraint = CompiledStructures().compiled(RegexStructure("a{50}"), tokenizer)
    heard = make_running(loaded).ask([prompt(tokenizer, "fox")], params(tokenizer, constraint, max_tokens=7)).wait()
    assert (heard.text(), heard.finished().ended_by) == ("a" * 7, "length")


class Held:
    """A structure that allows everything, and whose masks wait until it is let go. Afterwards it may fail."""

    def __init__(self, vocabulary: int, fails: str = "") -> None:
        self.go_on, self.asked = threading.Event(), threading.Event()
        self._all = np.ones(vocabulary, np.bool_)
        self._fails = fails
        self._threads = MaskThreads()

    def begin(self) -> ThreadedMask:
        return self._threads.mask(self, self._all)

    def consume(self, token: int) -> None:
        self.asked.set()
        assert self.go_on.wait(60)
        if self._fails:
            raise StructureError(self._fails)

    def allowed(self) -> Allowed:
        return self._all


def test_others_go_on_while_a_mask_is_worked_out(
    make_running: Callable[..., Running], loaded: LoadedModel, tokenizer: Tokenizer
) -> None:
    running, held = make_running(loaded), Held(tokenizer.vocabulary)
    given = prompt(tokenizer, "the quick")
    free = params(tokenizer, None, eos_ids=frozenset(), max_tokens=30)
    constrained = params(tokenizer, held, eos_ids=frozenset(), max_tokens=30)
    expected = running.ask([given], free).wait().tokens()
    waits = running.ask([given], constrained)
    assert held.asked.wait(60)
    assert running.ask([given], free).wait().tokens() == expected
    assert not waits.over.is_set()
    held.go_on.set()
    assert waits.wait().tokens() == expected


def test_a_structure_that_cannot_be_kept_to_ends_its_request_and_no_other(
    make_running: Callable[..., Running], loaded: LoadedModel, tokenizer: Tokenizer
) -> None:
    running, held = make_running(loaded), Held(tokenizer.vocabulary, fails="too complex")
    held.go_on.set()
    given: Sequence[int] = prompt(tokenizer, "the quick")
    other = running.ask([given], params(tokenizer, None, eos_ids=frozenset(), max_tokens=30))
    failed = running.ask([given], params(tokenizer, held, eos_ids=frozenset())).wait().failure
    assert failed is not None
    assert (failed.kind, failed.message) == ("structure", "too complex")
    assert len(other.wait().tokens()) == 30


def test_a_swap_leaves_an_answer_to_its_version(
    make_running: Callable[..., Running], loaded_of: Callable[[int], LoadedModel], tokenizer: Tokenizer
) -> None:
    running, held = make_running(loaded_of(1)), Held(tokenizer.vocabulary)
    given = prompt(tokenizer, "the quick")
    constrained = params(tokenizer, held, eos_ids=frozenset(), max_tokens=20)
    begun = running.ask([given], constrained)
    assert held.asked.wait(60)
    running.serve(loaded_of(2))
    held.go_on.set()
    after = running.ask([given], constrained).wait()
    assert (begun.wait().versions, after.versions) == ([1], [2])
    assert begun.tokens() != after.tokens()
    alone = make_running(loaded_of(1))
    assert alone.ask([given], constrained).wait().tokens() == begun.tokens()
