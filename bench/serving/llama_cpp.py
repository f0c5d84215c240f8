"""The peer llama.cpp, by its C interface."""

import ctypes
from pathlib import Path

import llama_cpp
import numpy as np

from serving.llama_loading import load
from serving.weights import Prompts


class LlamaCpp:
    """llama.cpp by its C interface, as its own tools use it: greedy, token ids in, token ids out."""

    def __init__(self, file: Path, rows: int, length: int, threads: int, *, exact: bool = False) -> None:
        llama_cpp.llama_log_set(_silent, ctypes.c_void_p())
        llama_cpp.llama_backend_init()
        self._model = load(file)
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = rows * length
        options.n_batch = options.n_ubatch = rows * length
        options.n_seq_max = rows
        if exact:  # its cache is float16 otherwise
            options.type_k = options.type_v = llama_cpp.GGML_TYPE_F32
        options.n_threads = options.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(self._model, options)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._batch = llama_cpp.llama_batch_init(rows * length, 0, 1)

    def generate(self, prompts: Prompts, length: int) -> list[list[int]]:
        """A static batch, greedy answers of ``length``."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        feed = [
            (row, place, token, place == len(prompt) - 1)
            for row, prompt in enumerate(prompts)
            for place, token in enumerate(prompt)
        ]
        answers: list[list[int]] = [[] for _ in prompts]
        for step in range(length):
            where = self._decode(feed)
            feed = []
            for row, prompt in enumerate(prompts):
                scores = llama_cpp.llama_get_logits_ith(self._context, where[row])
                token = int(np.ctypeslib.as_array(scores, shape=(self._vocabulary,)).argmax())
                answers[row].append(token)
                feed.append((row, len(prompt) + step, token, True))
        return answers

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
