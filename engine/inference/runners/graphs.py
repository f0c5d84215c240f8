"""CUDA graphs of decoding: the step that gives rows one token more, recorded once and replayed, so that no kernel of it
is launched by Python.

A graph computes on fixed memory in fixed shapes: a number of rows (`engine.inference.runners.shapes.bucket`), and
a number of cache positions that are read of each, those beyond its own masked. Lengths double, so that at most twice as
much is read as is used; reading every row to the end of the context would cost more bandwidth than the launches cost
time.

Graphs belong to one version: they are made while it is prepared, when none of its rows is in use, hold its weights and
its cache by address, and go with it. When the cache moves to a larger place, each is made anew at its next use. Each is
compared with the plain step before it may answer. Prompts, and every
shape without a graph, take the plain path; so does the whole version if anything here fails.

Shapes: B rows, D hidden, V vocabulary.
"""

import functools
import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from engine.inference.runners.shapes import buckets, doublings
from engine.models.attention import KeyValueCache
from engine.models.base import Cache, Decoder

SHORTEST = 256
"""Cache positions that the first graph reads; beneath, reading costs less than another graph."""
TOLERANCE = 4
"""Scores may differ by so many roundings of the largest: the shapes are the same, so mostly they do not at all."""

Capture = Callable[[Callable[[], Tensor]], tuple[Tensor, Callable[[], None]]]
"""Records a computation: where its result is, and what computes it again, into the same place."""
_spare_streams: list[torch.cuda.Stream] = []
"""Of the process, as are the workspaces that cuBLAS keeps for each stream that it was ever called on."""
_new_stream: Callable[[torch.device], torch.cuda.Stream] = torch.cuda.Stream  # which names no types
_logger = logging.getLogger(__name__)


class DifferentError(Exception):
    """A graph does not compute what the plain step does."""


class StepGraph:
    """One token more for each of some rows, of which the first ``length`` positions are read.

    Attributes:
        address: where the cache was when this was recorded.
    """

    def __init__(self, model: Decoder, cache: KeyValueCache, inputs_3B: Tensor, length: int, capture: Capture) -> None:
        """``inputs_3B`` as in `step`: recording writes there, of another token."""
        self.address = cache.pool.memory.data_ptr()
        self._inputs_3B = inputs_3B.to(cache.pool.memory.device, copy=True)
        self._inputs_3B[0] = 0
        tokens_B, rows_B, starts_B = self._inputs_3B
        beginnings = cache.beginnings(length)
        self._hidden_B1D, self._replay = capture(lambda: model.step(tokens_B[:, None], beginnings, rows_B, starts_B))

    def step(self, inputs_3B: Tensor) -> Tensor:
        """Hidden states [B, 1, D], given of each row its token, its place in the cache, and how much that holds."""
        self._inputs_3B.copy_(inputs_3B)
        self._replay()
        return self._hidden_B1D.clone()


class StepGraphs:
    """The graphs of one version, by rows and length. Without any, nothing fits."""

    def __init__(
        self,
        cache: Cache | None = None,
        graphs: Mapping[tuple[int, int], StepGraph] | None = None,
        make_anew: Callable[[Tensor, int], StepGraph] | None = None,
    ) -> None:
        """``make_anew`` makes that for a step and a length, after the cache has moved."""
        self._cache = cache
        self._graphs = dict(graphs or {})
        self._make_anew = make_anew

    def __len__(self) -> int:
        return len(self._graphs)

    def step(self, tokens: Sequence[int], rows: Sequence[int], starts: Sequence[int]) -> Tensor | None:
        """Hidden states [B, 1, D] of a bucket of rows that get one token each; None: no graph fits."""
        used = max(starts) + 1
        lengths = [length for count, length in self._graphs if count == len(rows) and length >= used]
        if not lengths or not isinstance(self._cache, KeyValueCache) or self._make_anew is None:
            return None
        for row, start in zip(rows, starts, strict=True):
            self._cache.make_room(row, start, start + 1)
        inputs_3B, shape = torch.tensor([tokens, rows, starts]), (len(rows), min(lengths))
        try:
            if self._graphs[shape].address != self._cache.pool.memory.data_ptr():
                self._graphs[shape] = self._make_anew(inputs_3B, min(lengths))
            return self._graphs[shape].step(inputs_3B)
        except (RuntimeError, DifferentError):  # the plain step writes the same again, so nothing is lost
            _logger.exception("a CUDA graph cannot be used: this version goes on without graphs")
            self._graphs.clear()
            return None


@torch.inference_mode()
def make(model: Decoder, cache: Cache, rows: int, capture: Capture, capture_anew: Capture | None = None) -> StepGraphs:
    """Graphs for up to ``rows`` rows of a version that nothing runs on yet; none where they cannot be had.

    ``capture_anew`` records in the engine's own thread, when the cache has moved; by default as ``capture``.
    """
    if not isinstance(cache, KeyValueCache):
        return StepGraphs()  # the family's step looks at numbers on the way

    def checked(capture: Capture, inputs_3B: Tensor, length: int) -> StepGraph:
        graph = StepGraph(model, cache, inputs_3B, length, capture)
        _check(graph, model, cache, inputs_3B, length)
        return graph

    found: dict[tuple[int, int], StepGraph] = {}
    try:
        cache.make_room(0, 0, cache.length)
        pages = cache.table.table_RP[0]
        cache.pool.memory[pages] = torch.randn_like(cache.pool.memory[pages])
        for count in buckets(rows):
            for length in (min(length, cache.length) for length in doublings(SHORTEST, cache.length)):
                numbers_B = torch.arange(count)
                inputs_3B = torch.stack(
                    (numbers_B % model.vocabulary, torch.zeros_like(numbers_B), length - 1 - numbers_B % length)
                )
                found[count, length] = checked(capture, inputs_3B, length)
    except Exception as error:  # whatever it is: the plain path needs none of this
        _logger.warning("no CUDA graphs for this version, it answers without them: %s", error)
        return StepGraphs()
    finally:
        cache.truncate(0, 0)
    _logger.info("%d CUDA graphs were made", len(found))
    return StepGraphs(cache, found, functools.partial(checked, capture_anew or capture))


def on_cuda(device: torch.device, alone: Callable[[], AbstractContextManager[None]]) -> Capture:
    """Captures on a stream and in a pool of memory of its own: graphs of one version never run at the same time.

    A stream of this version's own also has workspaces of its own, which graphs of other versions do not use. They stay
    when it is gone, so its stream serves another version then.

    Args:
        device: where to.
        alone: in its context nothing else uses the device.
    """
    lent, pool = _Lent(device), torch.cuda.graph_pool_handle()
    stream = lent.stream

    def capture(compute: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        graph = torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            compute()  # what happens only the first time, such as loading a kernel, must not be recorded
            with alone(), torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                result = compute()
        torch.cuda.current_stream(device).wait_stream(stream)
        return result, functools.partial(_replay, graph, lent)

    return capture


class _Lent:
    """A stream, for as long as there is anything that was recorded on it."""

    def __init__(self, device: torch.device) -> None:
        self.stream = _spare_streams.pop() if _spare_streams else _new_stream(device)
        weakref.finalize(self, _spare_streams.append, self.stream)


def _replay(graph: torch.cuda.CUDAGraph, _: _Lent) -> None:
    graph.replay()


def _check(graph: StepGraph, model: Decoder, cache: KeyValueCache, inputs_3B: Tensor, length: int) -> None:
    """Compare a replay with the plain step, which reads as much where one row is as long as the graph allows.

    Raises:
        DifferentError: scores are not close, or another token is the likeliest.
    """
    tokens_B, rows_B, starts_B = inputs_3B.to(cache.pool.memory.device)
    plain_BV = model.logits(model.step(tokens_B[:, None], cache, rows_B, starts_B)[:, 0]).float()
    found_BV = model.logits(graph.step(inputs_3B)[:, 0]).float()
    off, largest = float((found_BV - plain_BV).abs().max()), float(plain_BV.abs().max())
    bound = TOLERANCE * torch.finfo(cache.pool.memory.dtype).eps * largest
    if not off <= bound or not torch.equal(found_BV.argmax(-1), plain_BV.argmax(-1)):
        raise DifferentError(
            f"with {len(tokens_B)} rows of {length} positions, scores differ by {off:.3g} of {largest:.3g}"
        )
