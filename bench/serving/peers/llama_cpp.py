"""The peer llama.cpp, by its C interface."""

import ctypes
import time
from collections.abc import Sequence
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from serving.peers.llama_loading import load
from serving.weights import Answers, Prompts


class LlamaCpp:
    """llama.cpp by its C interface, as its own tools use it: greedy, token ids in, token ids out."""

    def __init__(self, file: Path, rows: int, length: int, threads: int, *, exact: bool = False) -> None:
        """With room for so many rows of this length."""
        llama_cpp.llama_log_set(_silent, ctypes.c_void_p())
        llama_cpp.llama_backend_init()
        self._model = load(file)
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = options.n_batch = rows * length
        options.n_seq_max = rows
        if exact:  # its cache is float16 otherwise
            options.type_k = options.type_v = llama_cpp.GGML_TYPE_F32
        options.n_threads = options.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(self._model, options)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._batch = llama_cpp.llama_batch_init(rows * length, 0, 1)

    def generate(self, prompts: Prompts, length: int) -> Answers:
        """A static batch, greedy answers of ``length``."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        feed = [
            (row, place, token, place == len(prompt) - 1)
            for row, prompt in enumerate(prompts)
            for place, token in enumerate(prompt)
        ]
        answers: list[list[int]] = [[] for _ in prompts]
        first = 0.0
        for step in range(length):
            where = self._decode(feed)
            feed = []
            for row, prompt in enumerate(prompts):
                scores = llama_cpp.llama_get_logits_ith(self._context, where[row])
                token = int(np.ctypeslib.as_array(scores, shape=(self._vocabulary,)).argmax())
                answers[row].append(token)
                feed.append((row, len(prompt) + step, token, True))
            first = first or time.perf_counter()
        return Answers(answers, first)

    def scores(self, prompt: Sequence[int]) -> NDArray[np.float32]:
        """Of each token of a prompt, over the vocabulary."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        self._decode([(0, place, token, True) for place, token in enumerate(prompt)])
        scores = llama_cpp.llama_get_logits(self._context)
        return np.ctypeslib.as_array(scores, shape=(len(prompt), self._vocabulary)).copy()

    def _decode(self, feed: list[tuple[int, int, int, bool]]) -> dict[int, int]:
        batch = self._batch
        batch.n_tokens = len(feed)
        where = {}
        for index, (row, place, token, wanted) in enumerate(feed):
            batch.token[index], batch.pos[index] = token, place
            batch.n_seq_id[index], batch.seq_id[index][0], batch.logits[index] = 1, row, wanted
            if wanted:
                where[row] = index
        if llama_cpp.llama_decode(self._context, batch):
            raise RuntimeError("llama_decode failed")
        return where

    def close(self) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)


@llama_cpp.llama_log_callback
def _silent(level: int, text: bytes, data: object) -> None:
    """Nothing is printed."""


def quantize(source: Path, target: Path, kind: str, *, pure: bool = True) -> None:
    """A file with matrices in ``kind`` (Q8_0, Q4_0), of one in bfloat16, by llama.cpp itself.

    ``pure``: all matrices; otherwise llama.cpp chooses better formats for some.

    Raises:
        RuntimeError: llama.cpp does not do it.
    """
    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")
    options.pure = pure
    llama_cpp.llama_log_set(_silent, ctypes.c_void_p())
    if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(options)):
        raise RuntimeError(f"llama.cpp does not quantize {source}")
