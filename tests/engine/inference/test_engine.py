"""The engine against a plain loop, its queue, its limits, and swaps in the middle of answers."""

import random
import threading
import time
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import device
from engine.config.model import ModelSettings
from engine.inference.engine import DeviceLostError
from engine.inference.requests import (
    Bound,
    Failed,
    GenerationParams,
    PromptTooLongError,
    QueueFullError,
    Sampling,
)
from engine.inference.versions.loaded_model import LoadedModel
from engine.inference.versions.slots import VersionGoneError
from engine.models.base import LanguageModel
from engine.native import library
from engine.tokenizers.base import Tokenizer
from tests.engine.inference.conftest import Heard, make_loaded

GREEDY = Sampling(temperature=0.0, top_logprobs=0)
Plain = Callable[[LanguageModel, Sequence[int], int], list[int]]


def prompts_of(seed: int, count: int, vocabulary: int, longest: int = 60) -> list[list[int]]:
    draws = random.Random(seed)
    return [[1, *(draws.randrange(8, vocabulary) for _ in range(draws.randrange(longest)))] for _ in range(count)]


def test_greedy_answers_are_those_of_a_plain_loop_in_any_company(
    make_running: Callable, loaded: LoadedModel, continue_plainly: Plain
) -> None:
    running = make_running(loaded)
    draws = random.Random(0)
    prompts = prompts_of(1, 24, loaded.model.vocabulary)
    lengths = [draws.randrange(1, 30) for _ in prompts]
    heard = []
    for prompt, length in zip(prompts, lengths, strict=True):
        heard.append(running.ask([prompt], GenerationParams(length, GREEDY)))
        if draws.random() < 0.3:
            draws.choice(heard).wait()  # others come and go in the middle of answers
    for prompt, length, each in zip(prompts, lengths, heard, strict=True):
        assert each.wait().tokens() == continue_plainly(loaded.model, prompt, length)


def test_log_probabilities_do_not_depend_on_company(make_running: Callable, loaded: LoadedModel) -> None:
    running = make_running(loaded)
    prompts = prompts_of(2, 12, loaded.model.vocabulary)
    alone = [running.ask([prompt], GenerationParams(20, GREEDY)).wait().scored() for prompt in prompts]
    together = [running.ask([prompt], GenerationParams(20, GREEDY)) for prompt in prompts]
    for each, expected in zip(together, alone, strict=True):
        found = each.wait().scored()
        assert [token.id for token in found] == [token.id for token in expected]
        assert [token.logprob for token in found] == pytest.approx([token.logprob for token in expected], abs=1e-5)


def test_with_the_kernel_no_bit_depends_on_company(
    make_running: Callable, tokenizer: Tokenizer, continue_plainly: Plain
) -> None:
    """Prompts of all lengths, longer than an iteration reads, come and go beside answers, in the same calls."""
    if library.kernel() is None:
        pytest.skip("the kernel is not built on this machine: python -m engine.native.build")
    shape = ModelSettings(hidden=64, layers=2, heads=4, kv_heads=2, feed_forward=64, context=400)
    plain = make_loaded(1, shape, tokenizer)
    loaded = make_loaded(1, shape, tokenizer, native=True)
    prompts = prompts_of(6, 14, tokenizer.vocabulary, longest=370)
    running = make_running(loaded)
    alone = [running.ask([prompt], GenerationParams(20, GREEDY)).wait() for prompt in prompts]
    for prompt, each in zip(prompts, alone, strict=True):
        assert each.tokens() == continue_plainly(plain.model, prompt, 20)
    fresh = make_running(make_loaded(1, shape, tokenizer, native=True))
    heard = []
    for place, prompt in enumerate(prompts):
        heard.append(fresh.ask([prompt], GenerationParams(20, GREEDY)))
        if place % 4 == 3:
            heard[place - 2].wait()
    for each, expected in zip(heard, alone, strict=True):
        assert each.wait().scored() == expected.scored()


def test_seeded_samples_do_not_depend_on_company(make_running: Callable, loaded: LoadedModel) -> None:
    running = make_running(loaded)
    prompts = prompts_of(3, 10, loaded.model.vocabulary)
    asked = [
        GenerationParams(20, Sampling(temperature=1.3, top_p=0.95, seed=n, top_logprobs=0)) for n in range(len(prompts))
    ]
    alone = [running.ask([p], w).wait().tokens() for p, w in zip(prompts, asked, strict=True)]
    together = [running.ask([p], w) for p, w in zip(prompts, asked, strict=True)]
    assert [each.wait().tokens() for each in together] == alone
    assert len({tuple(tokens) for tokens in alone}) == len(alone)


def test_choices_of_one_seed_differ_and_repeat(make_running: Callable, loaded: LoadedModel) -> None:
    running = make_running(loaded)
    params = GenerationParams(12, Sampling(temperature=1.0, seed=5, top_logprobs=0))
    first, second = (running.ask([[1, 20, 30]] * 3, params).wait() for _ in range(2))
    found = [first.tokens(index) for index in range(3)]
    assert found == [second.tokens(index) for index in range(3)]
    assert found[0] != found[1] != found[2]


def test_prompts_are_scored_like_the_whole_text_at_once(
    make_running: Callable, model_settings: ModelSettings, tokenizer: Tokenizer, loaded: LoadedModel
) -> None:
    running = make_running(loaded)
    prompt = prompts_of(4, 1, tokenizer.vocabulary)[0] + [9] * 30
    heard = running.ask([prompt], GenerationParams(0, Sampling(top_logprobs=2), score_prompt=True)).wait()
    tokens = torch.tensor([prompt])
    with torch.inference_mode():
        hidden = loaded.model.hidden(tokens, torch.arange(len(prompt))[None], torch.zeros_like(tokens))
        reference = torch.log_softmax(loaded.model.logits(hidden[0]), -1)
    scored = heard.prompt_scores()
    assert [each.id for each in scored] == prompt[1:]
    assert [each.logprob for each in scored] == pytest.approx(
        [float(reference[place, token]) for place, token in enumerate(prompt[1:])], abs=1e-4
    )
    assert heard.finished().generated == 0


def test_special_tokens_and_limits_end_a_sequence(
    make_running: Callable, loaded: LoadedModel, continue_plainly: Plain
) -> None:
    running = make_running(loaded)
    prompt = [1, 40, 41]
    plain = continue_plainly(loaded.model, prompt, 40)
    third = plain[3]
    heard = running.ask([prompt], GenerationParams(40, GREEDY, stop_ids=frozenset({third}))).wait()
    assert heard.tokens() == plain[: plain.index(third) + 1]
    assert heard.finished().ended_by == "stop_token"
    assert running.ask([prompt], GenerationParams(4, GREEDY)).wait().finished().ended_by == "length"
    to_the_end = running.ask([prompt], GenerationParams(10_000, GREEDY)).wait()
    assert to_the_end.finished().generated == loaded.context - len(prompt)


def test_stop_strings_end_the_text_before_them(
    make_running: Callable, loaded: LoadedModel, continue_plainly: Plain, tokenizer: Tokenizer
) -> None:
    running = make_running(loaded)
    prompt = [1, 50]
    text = tokenizer.decode(continue_plainly(loaded.model, prompt, 30))
    stop = text[5:8]
    heard = running.ask([prompt], GenerationParams(30, GREEDY, stop=(stop,))).wait()
    assert heard.text() == text[: text.index(stop)]
    assert heard.finished().ended_by == "stop_string"


def test_a_prompt_that_is_too_long_names_both_numbers(make_running: Callable, loaded: LoadedModel) -> None:
    running = make_running(loaded)
    with pytest.raises(PromptTooLongError, match=r"96 tokens.*96"):
        running.ask([[9] * 96], GenerationParams(1, GREEDY))
    assert running.ask([[9] * 95], GenerationParams(5, GREEDY)).wait().finished().generated == 1


def test_a_full_queue_refuses(make_running: Callable, loaded: LoadedModel) -> None:
    running = make_running(loaded, start=False, max_queue=3)
    waiting = [running.ask([[1, 9]], GenerationParams(2, GREEDY)) for _ in range(8)]  # five rows and three that wait
    with pytest.raises(QueueFullError):
        running.ask([[1, 9]], GenerationParams(2, GREEDY))
    running.start()
    for heard in waiting:
        heard.wait()
    running.ask([[1, 9]], GenerationParams(2, GREEDY)).wait()


def test_a_flood_delays_its_sender_most(make_running: Callable, loaded: LoadedModel) -> None:
    """Five rows: who comes last, but alone, gets one of the first."""
    running = make_running(loaded, start=False)
    flood = [running.ask([[1, 9]], GenerationParams(5, GREEDY), client="many") for _ in range(20)]
    single = running.ask([[1, 9]], GenerationParams(5, GREEDY), client="one")
    running.start()

    def began(heard: Heard) -> float:
        bound = next(event for event in heard.wait().events if isinstance(event, Bound))
        return heard.request.submitted_at + bound.queued_seconds

    assert sum(began(each) < began(single) for each in flood) < 5


def test_nothing_serves_yet(make_running: Callable) -> None:
    running = make_running()
    with pytest.raises(VersionGoneError):
        running.ask([[1]], GenerationParams(1, GREEDY))


def test_a_cancelled_request_frees_its_rows(make_running: Callable, loaded: LoadedModel) -> None:
    running = make_running(loaded)
    long = [running.ask([[1, 9]], GenerationParams(90, GREEDY)) for _ in range(5)]
    behind = running.ask([[1, 9]], GenerationParams(3, GREEDY))
    for heard in long:
        running.engine.cancel(heard.request)
        running.engine.cancel(heard.request)
    behind.wait()
    running.ask([[1, 9]] * 5, GenerationParams(3, GREEDY)).wait()
    assert sorted(loaded.rows.free) == list(range(5))
    assert running.engine.running == running.engine.waiting == 0


def test_a_deadline_ends_a_request(make_running: Callable, loaded: LoadedModel) -> None:
    running = make_running(loaded)
    heard = running.ask([[1, 9]], GenerationParams(90, GREEDY), deadline=time.monotonic() - 1).wait()
    assert heard.failure.kind == "timeout"


def test_long_prompts_do_not_stop_running_answers(make_running: Callable, loaded: LoadedModel) -> None:
    """Between any two tokens of an answer at most one iteration's worth of prompt is read."""
    running = make_running(loaded, start=False)
    answer = running.ask([[1, 9]], GenerationParams(40, GREEDY))
    for prompt in prompts_of(9, 12, loaded.model.vocabulary, longest=90):
        running.ask([prompt], GenerationParams(1, GREEDY))
    running.start()
    assert answer.wait().finished().generated == 40


# Swaps ---------------------------------------------------------------------------------------------------------------


def test_requests_end_on_the_version_they_began_on(
    make_running: Callable, loaded_of: Callable[[int], LoadedModel], continue_plainly: Plain
) -> None:
    models = {number: loaded_of(number) for number in (1, 2)}
    running = make_running(models[1])
    before = running.ask([[1, 9, 10]], GenerationParams(80, GREEDY))
    assert before.begun.wait(30)
    running.serve(models[2])
    after = running.ask([[1, 9, 10]], GenerationParams(30, GREEDY))
    pinned = running.ask([[1, 9, 10]], GenerationParams(30, GREEDY), pin=1)
    for heard, number, length in ((before, 1, 80), (after, 2, 30), (pinned, 1, 30)):
        assert heard.wait().versions == [number]
        assert heard.tokens() == continue_plainly(models[number].model, [1, 9, 10], length)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_swaps_under_load_change_no_answer(
    seed: int, make_running: Callable, loaded_of: Callable[[int], LoadedModel], continue_plainly: Plain
) -> None:
    draws = random.Random(seed)
    running = make_running(loaded_of(1))
    models = {1: running.slots.get(1).model}
    serving_at_submission, heard = [], []
    for _ in range(30):
        if draws.random() < 0.25:
            number = draws.randrange(1, 5)
            if running.slots.admit(number, wait_seconds=30):
                running.slots.install(loaded_of(number))
            running.slots.commit(number)
            models[number] = running.slots.get(number).model
        prompts = prompts_of(draws.randrange(1000), draws.randrange(1, 4), 300, longest=20)
        heard.append((prompts, running.ask(prompts, GenerationParams(draws.randrange(1, 25), GREEDY))))
        serving_at_submission.append(running.slots.serving.version)
    for prompts, each in heard:
        assert each.wait().failure is None
        (version,) = each.versions
        last = len(prompts) - 1
        tokens = each.tokens(last)
        assert tokens == continue_plainly(models[version], prompts[last], len(tokens))
    assert len(running.slots.addressable) <= 2


def test_two_versions_in_use_make_a_third_wait(make_running: Callable, loaded_of: Callable[[int], LoadedModel]) -> None:
    running = make_running(loaded_of(1), loaded_of(2), start=False)
    held = running.slots.enter(1)
    with pytest.raises(TimeoutError, match="no room"):
        running.slots.admit(3, wait_seconds=0.05)
    with pytest.raises(VersionGoneError):
        running.slots.enter(1)  # it is about to go
    threading.Timer(0.05, running.slots.leave, [held.version]).start()
    assert running.slots.admit(3, wait_seconds=30)
    assert running.slots.addressable == (2,)


def test_after_the_drain_deadline_nobody_gets_a_mixed_answer(
    make_running: Callable, loaded_of: Callable[[int], LoadedModel], continue_plainly: Plain
) -> None:
    models = {number: loaded_of(number) for number in (1, 2, 3)}
    running = make_running(models[1], start=False, drain_seconds=0.0)
    stream = running.ask([[1, 9]], GenerationParams(94, GREEDY), streamed=True)
    whole = running.ask([[1, 9]], GenerationParams(94, GREEDY))
    running.listening.go_on.clear()
    running.start()
    assert stream.begun.wait(30)
    assert whole.begun.wait(30)
    running.serve(models[2])
    with pytest.raises(TimeoutError, match="no room"):
        running.slots.admit(3, wait_seconds=0)  # needs the slot that both hold
    running.listening.go_on.set()
    running.serve(models[3])
    assert stream.wait().failure == Failed("drained", "version 000001 was replaced and its time to finish is over")
    assert whole.wait().failure is None
    assert whole.versions != [1]
    assert whole.tokens() == continue_plainly(models[whole.versions[0]].model, [1, 9], 94)


def test_a_broken_model_fails_its_requests_and_nothing_else(
    make_running: Callable, loaded_of: Callable[[int], LoadedModel]
) -> None:
    broken, good = loaded_of(1), loaded_of(2)
    with torch.no_grad():
        next(iter(broken.model.parameters())).fill_(float("nan"))
    running = make_running(broken)
    assert running.ask([[1, 9]], GenerationParams(5, GREEDY)).wait().failure.kind == "internal"
    running.serve(good)
    assert running.ask([[1, 9]], GenerationParams(5, GREEDY)).wait().failure is None
    assert sorted(broken.rows.free) == list(range(5))


def test_a_version_that_breaks_when_it_is_about_to_go_fails_its_last_request_and_nothing_else(
    make_running: Callable, loaded_of: Callable[[int], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {number: loaded_of(number) for number in (1, 2, 3)}
    running = make_running(models[1], start=False)
    stream = running.ask([[1, 9]], GenerationParams(94, GREEDY), streamed=True)
    running.listening.go_on.clear()
    running.start()
    assert stream.begun.wait(30)
    running.serve(models[2])
    with pytest.raises(TimeoutError, match="no room"):
        running.slots.admit(3, wait_seconds=0)  # the first one goes with its last request
    monkeypatch.setattr(models[1].runner, "run", lambda *_: 1 / 0)
    running.listening.go_on.set()
    assert stream.wait().failure.kind == "internal"
    assert running.ask([[1, 9]], GenerationParams(5, GREEDY)).wait().failure is None


def test_the_engine_ends_where_its_device_is_lost(
    make_running: Callable, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new process takes its place; in this one every request would fail from now on."""

    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    running = make_running(loaded, start=False)
    heard = running.ask([[1, 9]], GenerationParams(5, GREEDY))
    monkeypatch.setattr(loaded.model, "step", fail)
    monkeypatch.setattr(device, "is_lost", lambda _: True)
    with pytest.raises(DeviceLostError):
        running.engine.run()
    assert heard.wait().failure.kind == "internal"


def test_stopping_tells_everybody(make_running: Callable, loaded: LoadedModel) -> None:
    running = make_running(loaded, start=False)
    heard = running.ask([[1, 9]], GenerationParams(5, GREEDY))
    running.engine.stop()
    running.start()
    assert heard.wait().failure.kind == "stopping"
    assert not any(isinstance(event, Bound) for event in heard.events)
