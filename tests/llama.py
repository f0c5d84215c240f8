"""llama.cpp, by its C interface: what GGUF files are measured against."""

import contextlib
import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

llama_cpp = pytest.importorskip(
    "llama_cpp", reason="llama-cpp-python is not installed: pip install -c constraints.txt '.[peers]'"
)


from bench.serving.peers.llama_loading import load  # noqa: E402  (needs llama_cpp)


@llama_cpp.llama_log_callback
def _silent(level: int, text: bytes, data: object) -> None:
    """Nothing is printed."""


class Llama:
    """A model that llama.cpp has loaded."""

    def __init__(self, model: int) -> None:
        self._model = model
        self._vocabulary = llama_cpp.llama_model_get_vocab(model)
        self.ids_in_all: int = llama_cpp.llama_vocab_n_tokens(self._vocabulary)

    def encode(self, text: str, *, special: bool = False, begins: bool = False) -> list[int]:
        """Ids of a text; ``special``: what spells a special token is one; ``begins``: with what begins a text."""
        data = text.encode()
        room = (llama_cpp.llama_token * (len(data) + 8))()
        count = llama_cpp.llama_tokenize(self._vocabulary, data, len(data), room, len(room), begins, special)
        assert count >= 0
        return list(room[:count])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ordinary ids, as servers put it together from pieces."""
        room = ctypes.create_string_buffer(256)
        sizes = (
            (llama_cpp.llama_token_to_piece(self._vocabulary, number, room, len(room), 0, False), room)
            for number in ids
        )
        return b"".join(room.raw[:size] for size, room in sizes).decode(errors="replace")

    def ends(self, number: int) -> bool:
        """Whether a token ends an answer."""
        return bool(llama_cpp.llama_vocab_is_eog(self._vocabulary, number))

    def text_of(self, key: str) -> str:
        """What the file says under a key."""
        room = ctypes.create_string_buffer(1 << 16)
        count = llama_cpp.llama_model_meta_val_str(self._model, key.encode(), room, len(room))
        assert count >= 0, key
        return room.value.decode()

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Scores [T, V] in float32, with a cache in float32."""
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = options.n_batch = options.n_ubatch = max(64, len(ids))
        options.type_k = options.type_v = llama_cpp.GGML_TYPE_F32
        options.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        options.n_threads = options.n_threads_batch = 1
        context = llama_cpp.llama_init_from_model(self._model, options)
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        try:
            batch.n_tokens = len(ids)
            for place, number in enumerate(ids):
                batch.token[place], batch.pos[place], batch.logits[place] = number, place, True
                batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
            assert llama_cpp.llama_decode(context, batch) == 0
            rows = [llama_cpp.llama_get_logits_ith(context, place) for place in range(len(ids))]
            return np.stack([np.ctypeslib.as_array(row, shape=(self.ids_in_all,)).copy() for row in rows])
        finally:
            llama_cpp.llama_batch_free(batch)
            llama_cpp.llama_free(context)

    def greedy(self, ids: Sequence[int], count: int) -> list[int]:
        """So many tokens that follow, the likeliest each time."""
        found = list(ids)
        for _ in range(count):
            found.append(int(self.logits(found)[-1].argmax()))
        return found[len(ids) :]


@contextlib.contextmanager
def loaded(file: Path, *, words_only: bool = False) -> Iterator[Llama]:
    """A file as llama.cpp reads it; with ``words_only`` without its tensors."""
    llama_cpp.llama_log_set(_silent, ctypes.c_void_p())
    llama_cpp.llama_backend_init()
    model = load(file, vocabulary_only=words_only)
    try:
        yield Llama(model)
    finally:
        llama_cpp.llama_model_free(model)
