"""How fast thord answers, beside transformers and llama.cpp: the same weights, in turn, in one run.

``python bench/bench_serve.py [--only SECTION] [--shape NAME] [--format NAME] [--isa NAME --llama FOLDER]``. Peers that
are not installed are skipped, loudly. With ``--weights FOLDER`` a section alone takes less than two minutes: weights
are drawn and written at the first run, and used again.

``--isa avx2`` has ours and torch use no instructions beyond those; llama.cpp chooses its own when it is built, so
``--llama`` names a folder with libraries of the same version built likewise (``GGML_NATIVE=OFF``, ``GGML_AVX512=OFF``).

``accuracy`` needs ``--version FOLDER``, a version of a model that has learned something, and ``--text FILE``.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import processor
import torch
from serving import accuracy, contestants, memory, sameness, timing
from serving.cases import CASES
from serving.over_http import over_http
from serving.structure import cost_of_structure
from serving.weights import SHAPES, make

from engine.native import library

SECTIONS = ("check", *(case.name for case in CASES), "memory", "structure", "http", "accuracy")


def main() -> None:
    """Check that the work is the same, measure, print."""
    options = parsed()
    if options.isa:
        processor.restrict(options.isa)
    processor.require_kernels()
    if options.llama:
        os.environ["LLAMA_CPP_LIB_PATH"] = str(options.llama)
    shape, device = SHAPES[options.shape], options.device
    print(f"our kernel: {library.chosen()}; processor: {processor.name()}")
    if library.kernel() is None and device == "cpu":
        print("SKIPPED: our kernel, which is not built: python -m engine.native.build", file=sys.stderr)
    wanted = set(options.only or SECTIONS)
    if "accuracy" in wanted and options.version and options.text:
        accuracy.compare(options.version, options.text, options.windows)
    elif "accuracy" in wanted:
        print("SKIPPED: accuracy, which needs --version and --text", file=sys.stderr)
    cases = [case for case in CASES if case.name in wanted]
    if wanted == {"accuracy"}:
        return
    with tempfile.TemporaryDirectory(prefix="thord-bench-") as home:
        weights = make(options.weights or Path(home), shape, torch.bfloat16)
        if "check" in wanted:
            sameness.check(weights, shape, device)
        running = contestants.make(weights, shape, device, options.format, options.peer, cases) if cases else []
        for case in cases:
            timing.measure(case, running, shape, options.rounds, device)
        if "memory" in wanted and device == "cpu" and contestants.peer("llama_cpp") is not None:
            memory.compare(weights, shape)
        if "structure" in wanted:
            cost_of_structure(weights, shape, options.rounds, device)
        if "http" in wanted:
            over_http(weights, shape, device)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SECTIONS, action="append", help="a section; may be given more than once")
    parser.add_argument("--shape", choices=SHAPES, default="gpt2-124m")
    parser.add_argument("--format", choices=contestants.FORMATS, action="append", help="of weights; default: all")
    parser.add_argument("--peer", choices=("transformers", "llama.cpp"), action="append", help="default: both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--isa", help=processor.HELP)
    parser.add_argument("--llama", type=Path, help="a folder with the libraries of llama.cpp to compare with")
    parser.add_argument("--weights", type=Path, help="a folder where weights are kept from one run to the next")
    parser.add_argument("--version", type=Path, help="a version whose weights are quantized, for 'accuracy'")
    parser.add_argument("--text", type=Path, help="what it is to predict")
    parser.add_argument("--windows", type=int, default=16, help="of 512 tokens")
    options = parser.parse_args()
    options.format = options.format or list(contestants.FORMATS)
    options.peer = options.peer or ["transformers", "llama.cpp"]
    return options


if __name__ == "__main__":
    main()
