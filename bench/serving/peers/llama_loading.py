"""How benchmarks and tests have llama.cpp load a file."""

import os
from pathlib import Path

import llama_cpp


def load(file: Path, *, vocabulary_only: bool = False) -> int:
    """The model of a GGUF file, with its weights as they are in the file.

    Otherwise llama.cpp lays them out anew for some processors, in buffers of extra types; on a Xeon with AMX that was
    seen to end the process with an illegal instruction. Libraries of one's own may do so: they are built for what is
    measured.

    Raises:
        RuntimeError: llama.cpp cannot load the file.
    """
    options = llama_cpp.llama_model_default_params()
    options.vocab_only = vocabulary_only
    options.use_extra_bufts = "LLAMA_CPP_LIB_PATH" in os.environ
    model = llama_cpp.llama_model_load_from_file(str(file).encode(), options)
    if not model:
        raise RuntimeError(f"llama.cpp cannot load {file}")
    return int(model)
