"""Requests of all kinds come and go under a scheduler with little memory: none is lost, and each is answered as alone.

The model is a function of the text so far, which the stand-in for a cache really keeps: an answer is right only if
rows, prompts that are found again, and the order of chunks are.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.inference.requests import (
    Bound,
    Delta,
    EndedBy,
    Event,
    Failed,
    Finished,
    GenerationParams,
    Request,
    Sampling,
)
from engine.inference.runner import Chosen, ModelInput, ModelOutput
from engine.inference.scheduling.cache_rows import CacheRows
from engine.inference.scheduling.scheduler import Scheduler

PAGE = 16
CONTEXT = 400
EOS = 0
TOKENS = 27


@dataclass
class Memory:
    """Pages that caches share; more than ``limit`` are never in use."""

    limit: int
    used: int = 0

    def take(self, pages: int) -> None:
        self.used += pages
        assert self.used <= self.limit


class Page:
    """What rows begin with in common they share."""

    rows = 1


class StandInCache:
    """Keeps what was written, and counts pages."""

    rewinds = True

    def __init__(self, memory: Memory, rows: int) -> None:
        self.content: list[list[int]] = [[] for _ in range(rows)]
        self._pages: list[list[Page]] = [[] for _ in range(rows)]
        self._memory = memory

    def row_bytes(self, row: int) -> int:
        return len(self._pages[row]) * PAGE

    def bytes_for(self, positions: int) -> int:
        return -(-positions // PAGE) * PAGE

    def memory_for(self, more: int) -> int:
        return more

    def copy(self, source: int, target: int, length: int) -> None:
        self.truncate(target, 0)
        for page in self._pages[source][: length // PAGE]:
            page.rows += 1
            self._pages[target].append(page)
        self.write(target, 0, self.content[source][:length])

    def truncate(self, row: int, length: int) -> None:
        keep = -(-length // PAGE)
        for page in self._pages[row][keep:]:
            page.rows -= 1
            self._memory.take(-1 if not page.rows else 0)
        del self._pages[row][keep:]
        del self.content[row][length:]

    def write(self, row: int, start: int, tokens: Sequence[int]) -> None:
        assert len(self.content[row]) == start
        self.content[row] += tokens
        missing = -(-len(self.content[row]) // PAGE) - len(self._pages[row])
        self._memory.take(max(missing, 0))
        self._pages[row] += [Page() for _ in range(missing)]


class Letters:
    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return bytes(96 + each for each in ids if each != EOS)


def next_token(version: int, text: Sequence[int]) -> int:
    return random.Random(f"{version}/{text}").randrange(TOKENS)


class StandInModel:
    """One version."""

    context = CONTEXT
    prompt_step = 32
    tokenizer = Letters()

    def __init__(self, version: int, memory: Memory, rows: int) -> None:
        self.version = version
        self.cache = StandInCache(memory, rows)
        self.rows = CacheRows(self.cache, rows)

    def run(self, work: ModelInput) -> ModelOutput:
        spans = [*(each.span for each in work.prefill), *work.decode]
        assert len({span.row for span in spans}) == len(spans), "no row steps twice"
        for span in spans:
            self.cache.truncate(span.row, span.start)
            self.cache.write(span.row, span.start, span.tokens)
        rows = [*(work.prefill[place].span.row for place in work.after), *(span.row for span in work.decode)]
        chosen = [Chosen(next_token(self.version, self.cache.content[row])) for row in rows]
        return ModelOutput([()] * len(work.prefill), [()] * len(work.prefill), chosen)


class StandInVersions:
    """Versions in memory, as many as were committed; the last one serves."""

    expects_one = True

    def __init__(self, memory: Memory, rows: int) -> None:
        self.users: dict[int, int] = {}
        self.overdue: set[int] = set()
        self._memory, self._rows = memory, rows
        self._models: dict[int, StandInModel] = {}
        self.commit()

    def commit(self) -> None:
        version = len(self._models) + 1
        self._models[version] = StandInModel(version, self._memory, self._rows)
        self.users[version] = 0

    @property
    def serving(self) -> StandInModel:
        return self._models[len(self._models)]

    @property
    def in_memory(self) -> list[StandInModel]:
        return list(self._models.values())

    def get(self, version: int) -> StandInModel:
        return self._models[version]

    def enter(self, pin: int | None) -> StandInModel:
        model = self._models[pin or len(self._models)]
        self.users[model.version] += 1
        return model

    def leave(self, version: int) -> None:
        self.users[version] -= 1
        assert self.users[version] >= 0

    def is_overdue(self, version: int) -> bool:
        return version in self.overdue

    def let_one_go(self) -> bool:
        return False

    def free_for_caches(self, version: int) -> int:
        return (self._memory.limit - self._memory.used) * PAGE


@dataclass
class Heard:
    """What one request was told."""

    events: list[Event] = field(default_factory=list)
    version: int = 0
    cancelled: bool = False

    def text(self, sequence: int) -> str:
        return "".join(each.text for each in self.events if isinstance(each, Delta) and each.sequence == sequence)

    def ends(self, sequence: int) -> list[Finished]:
        return [each for each in self.events if isinstance(each, Finished) and each.sequence == sequence]

    @property
    def failures(self) -> list[Failed]:
        return [each for each in self.events if isinstance(each, Failed)]


class World:
    """A scheduler, the versions under it, and what everybody hears."""

    def __init__(self, pages: int, rows: int) -> None:
        self.memory = Memory(pages)
        self.versions = StandInVersions(self.memory, rows)
        self.scheduler = Scheduler(self.versions)
        self.heard: dict[Request, Heard] = {}
        self.begun: list[Request] = []

    def submit(self, prompts: list[list[int]], params: GenerationParams, **options: object) -> Request:
        request = Request(prompts, params, lambda _: None, **options)
        if request.pin is not None:
            request.version = self.versions.enter(request.pin).version
        self.heard[request] = Heard()
        self.scheduler.add(request)
        return request

    def step(self, now: float = 0.0) -> None:
        self.scheduler.schedule(now)
        for version in self.scheduler.versions:
            iteration = self.scheduler.next_iteration(version)
            self.scheduler.settle(iteration, self.versions.get(version).run(iteration.work))
        for request, event in self.scheduler.take_events():
            heard = self.heard[request]
            assert not heard.cancelled, "who is gone hears nothing more"
            if isinstance(event, Bound):
                heard.events.clear()
                heard.version = event.version
                self.begun.append(request)
            heard.events.append(event)

    def run(self) -> None:
        for _ in range(10_000):
            if not self.scheduler.requests:
                break
            self.step()
        assert not self.scheduler.requests, "everybody was answered"
        assert self.scheduler.waiting == self.scheduler.running == 0
        assert not any(self.versions.users.values())
        assert not any(model.rows.busy for model in self.versions.in_memory)


def alone(version: int, prompt: Sequence[int], params: GenerationParams) -> tuple[str, int, EndedBy]:
    """The text of an answer, its tokens, and what ends it: by the plain loop."""
    ids, text = list(prompt), ""
    for count in range(1, min(params.max_tokens, CONTEXT - len(prompt)) + 1):
        token = next_token(version, ids)
        ids.append(token)
        if token in params.eos_ids:
            return text, count, "eos"
        if token in params.stop_ids:
            return text, count, "stop_token"
        text += Letters().decode_bytes([token]).decode()
        found = [text.find(stop) for stop in params.stop if stop in text]
        if found:
            return text[: min(found)], count, "stop_string"
    return text, min(params.max_tokens, CONTEXT - len(prompt)), "length"


def asked(draws: random.Random) -> tuple[list[list[int]], GenerationParams]:
    """Prompts that often begin alike, and any way to end."""
    beginning = [1 + draws.randrange(3)] * draws.choice([0, 128, 256])
    prompt = [*beginning, *(draws.randrange(1, TOKENS) for _ in range(draws.randrange(1, 60)))]
    params = GenerationParams(
        max_tokens=draws.choice([0, 1, 5, 30, 1000]),
        sampling=Sampling(temperature=0.0),
        stop=tuple(draws.choices(["ab", "c", "xyz"], k=draws.randrange(2))),
        eos_ids=frozenset({EOS}),
        stop_ids=frozenset({draws.randrange(1, TOKENS)} if draws.random() < 0.3 else ()),
    )
    return [prompt] * draws.choice([1, 1, 1, 3]), params


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_comes_and_goes_each_is_answered_once_and_as_if_alone(seed: int) -> None:
    draws = random.Random(seed)
    world = World(pages=draws.choice([30, 60, 200]), rows=draws.choice([1, 3, 6]))
    for _ in range(draws.randrange(5, 40)):
        match draws.choice(["ask", "ask", "ask", "step", "step", "cancel", "commit", "drain"]):
            case "ask":
                prompts, params = asked(draws)
                pin = 1 if draws.random() < 0.1 else None
                client, streams = draws.choice("abc"), draws.random() < 0.3
                world.submit(prompts, params, client=client, streamed=streams, pin=pin)
            case "cancel" if world.heard:
                request = draws.choice(list(world.heard))
                world.scheduler.cancel(request)
                world.heard[request].cancelled = True
            case "commit" if len(world.versions.in_memory) < 3:
                world.versions.commit()
            case "drain":
                world.versions.overdue = set(range(1, len(world.versions.in_memory)))
            case _:
                world.step()
    world.versions.overdue = set()
    world.run()
    for request, heard in world.heard.items():
        ends = [heard.ends(sequence.index) for sequence in request.sequences]
        if heard.failures:
            assert len(heard.failures) == 1
            assert heard.events[-1] is heard.failures[0]
            assert heard.failures[0].kind in {"drained", "no_memory"}
            continue
        if heard.cancelled and not all(ends):
            continue
        for sequence, (end,) in zip(request.sequences, ends, strict=True):
            text, generated, ended_by = alone(heard.version, sequence.prompt, request.params)
            assert (heard.text(sequence.index), end.generated, end.ended_by) == (text, generated, ended_by)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nobody_overtakes_within_a_client_and_nobody_is_lost(seed: int) -> None:
    draws = random.Random(seed)
    world = World(pages=draws.choice([40, 100]), rows=draws.choice([1, 4]))
    by_client: dict[str, list[Request]] = {"a": [], "b": [], "c": []}
    for _ in range(30):
        client = draws.choice("aaaaabc")
        prompt = [draws.randrange(1, TOKENS) for _ in range(draws.randrange(1, 50))]
        params = GenerationParams(draws.randrange(1, 40), Sampling(temperature=0.0))
        by_client[client].append(world.submit([prompt], params, client=client))
        if draws.random() < 0.3:
            world.step()
    world.run()
    for client, requests in by_client.items():
        assert [each for each in world.begun if each.client == client] == requests
    assert all(len(heard.ends(0)) == 1 for heard in world.heard.values())


def test_a_flood_delays_its_sender_most() -> None:
    world = World(pages=1000, rows=2)
    params = GenerationParams(5, Sampling(temperature=0.0))
    for _ in range(20):
        world.submit([[1, 2]], params, client="many")
    single = world.submit([[1, 2]], params, client="one")
    world.run()
    assert world.begun.index(single) <= 2


def test_prompts_are_read_once_and_found_again() -> None:
    world = World(pages=1000, rows=4)
    params = GenerationParams(1, Sampling(temperature=0.0))
    prompt = [1] * 300
    together = world.submit([prompt] * 3, params)
    world.run()
    later = world.submit([[*prompt, 2]], params)
    world.run()
    assert [world.heard[together].ends(n)[0].cached_tokens for n in range(3)] == [0, 300, 300]
    assert world.heard[later].ends(0)[0].cached_tokens == 256


def test_who_asks_for_more_memory_than_there_is_is_told_and_others_go_on() -> None:
    world = World(pages=10, rows=2)
    greedy = Sampling(temperature=0.0)
    refused = world.submit([[1, 2]], GenerationParams(300, greedy))
    answered = world.submit([[1, 2]], GenerationParams(50, greedy))
    world.run()
    assert [each.kind for each in world.heard[refused].failures] == ["no_memory"]
    assert world.heard[answered].ends(0)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_version_that_was_replaced_lets_go_only_of_what_nobody_has_seen(streamed: bool) -> None:
    world = World(pages=100, rows=2)
    request = world.submit([[1, 2]], GenerationParams(60, Sampling(temperature=0.0)), streamed=streamed)
    world.step()
    world.step()
    world.versions.commit()
    world.versions.overdue = {1}
    world.run()
    heard = world.heard[request]
    assert heard.version == (1 if streamed else 2)
    assert [each.kind for each in heard.failures] == (["drained"] if streamed else [])


def test_an_iteration_that_fails_ends_the_requests_of_its_version_alone() -> None:
    world = World(pages=100, rows=2)
    params = GenerationParams(5, Sampling(temperature=0.0))
    failing = world.submit([[1, 2]], params)
    world.step()
    world.versions.commit()
    other = world.submit([[1, 2]], params)
    world.scheduler.schedule(0.0)
    world.scheduler.abort(world.scheduler.next_iteration(1), Failed("internal", "the model failed"))
    world.run()
    assert [each.kind for each in world.heard[failing].failures] == ["internal"]
    assert world.heard[other].ends(0)
