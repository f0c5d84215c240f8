"""What llama.cpp takes in a process of its own: ``python -m serving.peers.llama_memory FILE ROWS LENGTH PROMPT``.

As many sequences as rows, each a prompt of PROMPT random tokens and greedy tokens up to LENGTH positions, which is also
what the context is made for: llama.cpp allocates its cache whole, so this is the least it can take for them.

Prints JSON.
"""

import ctypes
import json
import random
import re
import sys
from pathlib import Path

import llama_cpp
import numpy as np

from serving.peers.llama_loading import load

_said: list[str] = []


@llama_cpp.llama_log_callback
def _listen(level: int, text: bytes, data: object) -> None:
    del level, data
    _said.append(text.decode(errors="replace"))


def resident_bytes() -> int:
    """Of this process."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) << 10


def reported(what: str) -> int:
    """Bytes of buffers that llama.cpp says it has made."""
    found = re.findall(rf"{what} buffer size\s*=\s*([\d.]+) MiB", "".join(_said))
    return int(sum(map(float, found)) * (1 << 20))


def decode(context: object, batch: object, feed: list[tuple[int, int, int]]) -> None:
    """Take tokens (row, position, id) into the cache; the last of a row is followed by scores."""
    batch.n_tokens = len(feed)
    for index, (row, place, token) in enumerate(feed):
        batch.token[index], batch.pos[index], batch.n_seq_id[index], batch.seq_id[index][0] = token, place, 1, row
        batch.logits[index] = index + 1 == len(feed) or feed[index + 1][0] != row
    if llama_cpp.llama_decode(context, batch):
        raise SystemExit("llama_decode failed")


def main() -> None:
    """Load, fill, and say what was taken."""
    file, rows, length, prompt = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    llama_cpp.llama_log_set(_listen, ctypes.c_void_p())
    llama_cpp.llama_backend_init()
    before = resident_bytes()
    model = load(file)
    options = llama_cpp.llama_context_default_params()
    options.n_ctx, options.n_seq_max, options.n_batch = rows * length, rows, max(prompt, rows)
    context = llama_cpp.llama_init_from_model(model, options)
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    batch = llama_cpp.llama_batch_init(max(prompt, rows), 0, 1)
    draws = random.Random(0)
    newest = []
    for row in range(rows):
        decode(context, batch, [(row, place, draws.randrange(8, 256)) for place in range(prompt)])
        newest.append(_likeliest(context, prompt - 1, vocabulary))
    for place in range(prompt, length):
        decode(context, batch, [(row, place, token) for row, token in enumerate(newest)])
        newest = [_likeliest(context, row, vocabulary) for row in range(rows)]
    resident = resident_bytes()
    answer = {
        "weights": reported("model"),
        "cache": reported("KV"),
        "computing": reported("compute"),
        "grown": resident - before,
        "resident": resident,
    }
    print(json.dumps(answer))


def _likeliest(context: object, index: int, vocabulary: int) -> int:
    scores = llama_cpp.llama_get_logits_ith(context, index)
    return int(np.ctypeslib.as_array(scores, shape=(vocabulary,)).argmax())


if __name__ == "__main__":
    main()
