"""Many texts in one request: a part at a time, all by one version, and in turn with what others ask."""

import asyncio
import math
from types import SimpleNamespace

import pytest

from daemon.workers.server.api.answering.embedding import embedded_ids
from daemon.workers.server.errors import ApiError

ROWS = 2


class Answer:
    prompt_tokens = 5

    def __init__(self, version: int, texts: list[list[int]]) -> None:
        self.version = version
        self.results = [SimpleNamespace(hidden_sums=[float(version), float(text[0])]) for text in texts]

    async def whole(self) -> list[SimpleNamespace]:
        return self.results

    def close(self) -> None:
        pass


class Service:
    """Answers each part as the script says: by a version, or with an error."""

    rows = ROWS

    def __init__(self, *script: int | str, seconds: float = 60.0) -> None:
        self.script = list(script)
        self.pins: list[int | None] = []
        self.settings = SimpleNamespace(api=SimpleNamespace(request_timeout_seconds=seconds))

    def pin(self, model: str | None) -> int | None:
        return int(model) if model else None

    def ask(self, _http: object, prompts: list[list[int]], _wish: object, *, pin: int | None, **_: object) -> Answer:
        self.pins.append(pin)
        assert len(prompts) <= ROWS
        now = self.script.pop(0)
        if isinstance(now, str):
            raise ApiError(503, now, now)
        return Answer(now, prompts)


def embed(service: Service, texts: int = 5, model: str | None = None) -> list[list[float]]:
    ids = [[number] for number in range(texts)]
    return asyncio.run(embedded_ids(service, None, ids, model, queue_pause=0.0)).vectors


def directions(version: int, texts: int = 5) -> list[object]:
    """Of what `Answer` sums up."""
    lengths = [math.hypot(version, number) for number in range(texts)]
    return [pytest.approx([version / length, number / length]) for number, length in enumerate(lengths)]


def test_every_part_is_by_the_version_of_the_first() -> None:
    service = Service(7, 7, 7)
    assert embed(service) == directions(7)
    assert service.pins == [None, 7, 7]


@pytest.mark.parametrize("gone", ["model_not_found", "version_replaced"])
def test_where_that_version_goes_all_begins_anew(gone: str) -> None:
    service = Service(7, 7, gone, 8, 8, 8)
    assert embed(service) == directions(8)
    assert service.pins == [None, 7, 7, None, 8, 8]


def test_a_version_that_was_asked_for_is_not_replaced() -> None:
    with pytest.raises(ApiError, match="model_not_found"):
        embed(Service(7, "model_not_found"), model="7")


def test_only_who_waits_for_the_rest_waits_for_the_queue() -> None:
    assert len(embed(Service(7, "queue_full", "queue_full", 7, 7))) == 5
    for model in (None, "7"):
        with pytest.raises(ApiError, match="queue_full"):
            embed(Service("queue_full"), model=model)


def test_it_ends_in_time() -> None:
    with pytest.raises(ApiError, match="request_timeout_seconds"):
        embed(Service(seconds=0.0))
