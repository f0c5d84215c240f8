"""Turns are taken by client."""

from engine.inference.requests import GenerationParams, Request, SequenceState
from engine.inference.scheduling.fair_queue import FairQueue


def sequences(client: str, count: int) -> list[SequenceState]:
    return Request([[1]] * count, GenerationParams(1), lambda _: None, client=client).sequences


def drain(queue: FairQueue) -> list[SequenceState]:
    taken = []
    while (sequence := queue.pop(lambda _: True)) is not None:
        taken.append(sequence)
    return taken


def test_one_after_the_other_within_a_client_and_in_turns_between_them() -> None:
    queue = FairQueue()
    flood, one, two = sequences("flood", 4), sequences("one", 1), sequences("two", 2)
    for sequence in (*flood, *one, *two):
        queue.push(sequence)
    assert len(queue) == 7
    assert drain(queue) == [flood[0], one[0], two[0], flood[1], two[1], flood[2], flood[3]]
    assert len(queue) == 0


def test_who_does_not_fit_does_not_hold_up_others() -> None:
    queue = FairQueue()
    stuck, free = sequences("stuck", 1)[0], sequences("free", 1)[0]
    queue.push(stuck)
    queue.push(free)
    assert queue.pop(lambda sequence: sequence is not stuck) is free
    assert queue.pop(lambda sequence: sequence is not stuck) is None
    assert len(queue) == 1


def test_who_comes_back_is_first() -> None:
    queue = FairQueue()
    waiting, back = sequences("waiting", 1)[0], sequences("back", 1)[0]
    queue.push(waiting)
    queue.push_front(back)
    assert drain(queue) == [back, waiting]


def test_removal_finds_everybody() -> None:
    queue = FairQueue()
    gone, stays = sequences("a", 2), sequences("a", 1)
    for sequence in (gone[0], stays[0], gone[1]):
        queue.push(sequence)
    queue.remove(gone[0].request)
    assert len(queue) == 1
    assert drain(queue) == stays
