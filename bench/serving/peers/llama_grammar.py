"""llama.cpp with its own grammar, as its own server uses it.

A token is drawn first, and only where the grammar does not take it is the whole vocabulary asked.
"""

import ctypes
import json
from collections.abc import Mapping
from pathlib import Path

import llama_cpp
import numpy as np
from llama_cpp.llama_grammar import json_schema_to_gbnf

from serving.peers.llama_cpp import LlamaCpp
from serving.weights import Prompts

_ONE = llama_cpp.llama_token_data * 1


class LlamaGrammar(LlamaCpp):
    """Greedy answers held to a JSON schema; each ends where it is whole, or at ``length``."""

    def __init__(self, file: Path, rows: int, length: int, threads: int, schema: Mapping[str, object]) -> None:
        super().__init__(file, rows, length, threads)
        self._words = llama_cpp.llama_model_get_vocab(self._model)
        self._rules = json_schema_to_gbnf(json.dumps(schema)).encode()
        self._all = np.zeros(self._vocabulary, dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])

    def constrained(self, prompts: Prompts, length: int) -> list[list[int]]:
        """The tokens of each answer, what ended it included."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        grammars = [llama_cpp.llama_sampler_init_grammar(self._words, self._rules, b"root") for _ in prompts]
        answers: list[list[int]] = [[] for _ in prompts]
        feed = [
            (row, place, token, place == len(prompt) - 1)
            for row, prompt in enumerate(prompts)
            for place, token in enumerate(prompt)
        ]
        while feed:
            where = self._decode(feed)
            feed = []
            for row, index in where.items():
                token = self._chosen(grammars[row], index)
                answers[row].append(token)
                if llama_cpp.llama_vocab_is_eog(self._words, token) or len(answers[row]) == length:
                    continue
                llama_cpp.llama_sampler_accept(grammars[row], token)
                feed.append((row, len(prompts[row]) + len(answers[row]) - 1, token, True))
        for grammar in grammars:
            llama_cpp.llama_sampler_free(grammar)
        return answers

    def _chosen(self, grammar: int, index: int) -> int:
        pointer = llama_cpp.llama_get_logits_ith(self._context, index)
        logits = np.ctypeslib.as_array(pointer, shape=(self._vocabulary,))
        likeliest = int(logits.argmax())
        one = _ONE(llama_cpp.llama_token_data(likeliest, float(logits[likeliest]), 0.0))
        self._apply(grammar, ctypes.cast(one, llama_cpp.llama_token_data_p), 1)
        if one[0].logit != float("-inf"):
            return likeliest
        self._all["id"] = np.arange(self._vocabulary)
        self._all["logit"] = logits
        self._apply(grammar, self._all.ctypes.data_as(llama_cpp.llama_token_data_p), self._vocabulary)
        return int(self._all["logit"].argmax())

    def _apply(self, grammar: int, data: object, size: int) -> None:
        candidates = llama_cpp.llama_token_data_array(data=data, size=size, selected=-1, sorted=False)
        llama_cpp.llama_sampler_apply(grammar, ctypes.byref(candidates))
