"""The Python client, as an application of a user's own uses it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from control import errors
from control.answers import Progress
from control.client import Thord
from tests.control import stand_in as thord
from tests.control.stand_in import StandIn


def test_one_object_serves_many_threads(stand_in: StandIn) -> None:
    client, meet = Thord(stand_in.home), threading.Barrier(8)

    def view(number: int) -> str:
        meet.wait()
        assert client.predict(f"text {number}", task="chat") == thord.PREDICTION
        return client.generate(f"prompt {number}", max_tokens=3)["text"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(view, range(8))) == ["Hello world"] * 8
    assert sorted(body["input"] for body in stand_in.bodies("/predict")) == [f"text {n}" for n in range(8)]


def test_training_is_followed_to_its_end(stand_in: StandIn) -> None:
    seen: list[Progress] = []
    cycle = Thord(stand_in.home).train(overrides={"epochs": 1}, wait=True, on_progress=seen.append)
    assert cycle == thord.CYCLE
    assert seen == thord.PROGRESS


def test_an_answer_can_be_read_while_it_is_made(stand_in: StandIn) -> None:
    pieces: list[str] = []
    answer = Thord(stand_in.home).chat([{"role": "user", "content": "Hi"}], on_text=pieces.append)
    assert pieces == ["Hello", " world"]
    assert answer["text"] == "Hello world"
    assert answer["version"] == "000012"
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_failures_are_classes(stand_in: StandIn) -> None:
    client = Thord(stand_in.home)
    stand_in.fail("POST", "/v1/rollback", 409, "conflict", "a swap is under way")
    with pytest.raises(errors.ThordError, match="a swap is under way") as failure:
        client.rollback()
    assert failure.value.code == "conflict"
    with pytest.raises(errors.NotFoundError):
        client.version("99")
    with pytest.raises(errors.UsageError, match="not a version"):
        client.version("newest")
    with pytest.raises(errors.NotRunningError):
        Thord(stand_in.home / "elsewhere").status()


def test_a_failure_in_the_middle_of_a_stream_is_not_taken_for_its_end(stand_in: StandIn) -> None:
    stand_in.broken_stream = True
    with pytest.raises(errors.ThordError, match="the engine broke"):
        Thord(stand_in.home).generate("Hi", on_text=lambda _: None)
