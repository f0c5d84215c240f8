"""How fast thord answers, beside transformers and llama.cpp: the same weights, in turn, in one run.

``python bench/bench_serve.py [--shape NAME] [--rounds N] [--device cuda] [--isa NAME --llama FOLDER]``. Tokens a
second, prompts included; the machine's memory bandwidth is measured in between. Peers that are not installed are
skipped, loudly.

``--isa avx2`` has ours and torch use no instructions beyond those; llama.cpp chooses its own when it is built, so
``--llama`` names a folder with libraries of the same version built likewise (``GGML_NATIVE=OFF``, ``GGML_AVX512=OFF``).
"""

import argparse
import importlib
import os
import platform
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import harness
import torch
from serving.ours import Ours
from serving.over_http import over_http
from serving.weights import SHAPES, Shape, Weights, draw, make

from engine.config.inference import Quantization
from engine.inference.roofline import bandwidth
from engine.native import library, variants

CLIENTS = 16
LONG = 256
"""Tokens of the prompts that are measured by themselves."""
ARRIVALS = {"16 arriving, 50 ms": 0.05, "16 arriving, 25 ms": 0.025}
"""Seconds from one client to the next, on average. Nobody can end before the last one came and was answered."""
GOALS = (
    ("one client", "ours", "transformers", 1.6),
    ("batch of 8", "ours", "transformers", 1.3),
    *((case, "ours", "transformers", 3.0) for case in ARRIVALS),
    ("one client", "ours int8", "ours", 1.5),
    *(
        (case, ours, theirs, goal)
        for ours, theirs in (("ours", "llama.cpp"), ("ours int8", "llama.cpp q8_0"), ("ours int4", "llama.cpp q4_0"))
        for case, goal in (("one client", 1.0), ("batch of 8", 1.2), (f"prompts of {LONG}", 1.0))
    ),
)


def main() -> None:
    """Check that the work is the same, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="gpt2-124m")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--only-check", action="store_true", help="that the work is the same; nothing is measured")
    parser.add_argument("--isa", help="a variant of our kernel, for ours and torch")
    parser.add_argument("--llama", type=Path, help="a folder with the libraries of llama.cpp to compare with")
    parser.add_argument("--no-http", action="store_true", help="only in the engine")
    options = parser.parse_args()
    if options.isa:
        _restrict(options.isa)
    if options.llama:
        os.environ["LLAMA_CPP_LIB_PATH"] = str(options.llama)
    shape = SHAPES[options.shape]
    print(f"our kernel: {library.chosen()}; processor: {processor()}")
    if library.kernel() is None and options.device == "cpu":
        print("SKIPPED: our kernel, which is not built: python -m engine.native.build", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="thord-bench-") as home:
        weights = make(Path(home), shape, torch.bfloat16)
        check(weights, shape, options.device)
        if options.only_check:
            return
        measure(weights, shape, options.rounds, options.device)
        if not options.no_http:
            over_http(weights, shape, options.device)


def _restrict(isa: str) -> None:
    """Have our kernel, torch and its libraries use no other instructions. All of them read this at their first call."""
    wide = isa.startswith("avx512")
    os.environ[variants.FORCED] = isa
    os.environ["ATEN_CPU_CAPABILITY"] = "avx512" if wide else "avx2"
    os.environ["MKL_ENABLE_INSTRUCTIONS"] = "AVX512" if wide else "AVX2"
    os.environ["ONEDNN_MAX_CPU_ISA"] = {"avxvnni": "AVX2_VNNI", "avx512bf16": "AVX512_CORE_BF16"}.get(
        isa, "AVX512_CORE" if wide else "AVX2"
    )


def processor() -> str:
    """Its name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def check(weights: Weights, shape: Shape, device: str) -> None:
    """In float32 everybody says the same."""
    prompts = draw(random.Random(0), shape, 2, shape.prompt)
    length = min(16, shape.answer)
    ours = Ours(weights.version, torch.float32, device)
    said = ours.generate(prompts, length)
    ours.close()
    if (transformers := peer("transformers")) is not None:
        theirs = transformers.Transformers(weights.hugging_face, torch.float32, device).generate(prompts, length)
        if said != theirs:
            raise SystemExit(f"not the same work: ours say {said}, transformers {theirs}")
        print(f"checked: in float32 the greedy tokens of ours and transformers are equal ({length} each)")
    if device == "cpu" and (llama := peer("llama_cpp")) is not None:
        file = weights.version.parent / "f32.gguf"
        peer("gguf_file").write(weights.version / "model.safetensors", file, shape, "F32")
        other = llama.LlamaCpp(file, len(prompts), shape.prompt + length, torch.get_num_threads(), exact=True)
        theirs = other.generate(prompts, length)
        other.close()
        alike = sum(
            a == b for ours_, others in zip(said, theirs, strict=True) for a, b in zip(ours_, others, strict=True)
        )
        # Only the first tokens must be equal: llama.cpp looks GELU up in a table of float16.
        if [answer[0] for answer in said] != [answer[0] for answer in theirs]:
            raise SystemExit(f"not the same work: ours say {said}, llama.cpp {theirs}")
        print(f"checked: llama.cpp in float32 says {alike} of the same {length * len(prompts)} tokens")


def measure(weights: Weights, shape: Shape, rounds: int, device: str) -> None:
    """Everybody in turn, and the table."""
    kinds: dict[str, Quantization] = {"ours": "none", "ours int8": "int8", "ours int4": "int4"}
    ours = {name: Ours(weights.version, torch.bfloat16, device, quantization=kind) for name, kind in kinds.items()}
    long = f"prompts of {LONG}"
    cases = ("one client", "batch of 8", long, *ARRIVALS)
    runs: dict[str, dict[str, Callable[[], float]]] = {case: {} for case in cases}
    for name, each in ours.items():
        _add(runs, name, each.generate, shape, each.arrivals)
    if (transformers := peer("transformers")) is not None:
        theirs = transformers.Transformers(weights.hugging_face, torch.bfloat16, device)
        _add(runs, "transformers", theirs.generate, shape, theirs.arrivals)
    if device == "cpu" and (llama := peer("llama_cpp")) is not None:
        for name, kind in {"llama.cpp": "BF16", "llama.cpp q8_0": "Q8_0", "llama.cpp q4_0": "Q4_0"}.items():
            file = weights.version.parent / f"{kind}.gguf"
            peer("gguf_file").write(weights.version / "model.safetensors", file, shape, kind)
            length = max(shape.prompt + shape.answer, LONG)
            _add(runs, name, llama.LlamaCpp(file, 8, length, torch.get_num_threads()).generate, shape)
    tokens = {"one client": shape.answer, "batch of 8": 8 * shape.answer, long: LONG}
    tokens |= dict.fromkeys(ARRIVALS, CLIENTS * shape.answer)
    rates: dict[str, dict[str, float]] = {}
    bandwidths = [bandwidth(torch.device(device)) / 1e9]
    for case, callers in runs.items():
        seconds: dict[str, list[float]] = {name: [] for name in callers}
        for round_ in range(rounds + 1):
            for name, call in callers.items():
                taken = call()
                if round_:  # the first warms up
                    seconds[name].append(taken)
            bandwidths.append(bandwidth(torch.device(device)) / 1e9)
        rates[case] = {name: tokens[case] / harness.median(each) for name, each in seconds.items()}
    everybody = list(dict.fromkeys(name for rates_ in rates.values() for name in rates_))
    rows = [[name, *(f"{rates[case][name]:.1f}" if name in rates[case] else "" for case in runs)] for name in everybody]
    harness.table(f"tokens a second, bf16 where nothing else is said, {device}", rows, ["", *runs])
    print(f"\nmemory bandwidth in between: median {harness.median(bandwidths):.1f} GB/s")
    for case, name, other, goal in GOALS:
        if name in rates[case] and other in rates[case]:
            ratio = rates[case][name] / rates[case][other]
            verdict = "reached" if ratio >= goal else "NOT REACHED"
            print(f"{case}: {name} / {other} = {ratio:.2f} (goal {goal}): {verdict}")
    for each in ours.values():
        each.close()


def _add(
    runs: dict[str, dict[str, Callable[[], float]]],
    name: str,
    generate: Callable[..., object],
    shape: Shape,
    arrive: Callable[..., float] | None = None,
) -> None:
    draws = random.Random(2)  # the same prompts for everybody
    for case, count, length, answer in (
        ("one client", 1, shape.prompt, shape.answer),
        ("batch of 8", 8, shape.prompt, shape.answer),
        (f"prompts of {LONG}", 1, LONG, 1),
    ):

        def call(count: int = count, length: int = length, answer: int = answer) -> float:
            new = draw(draws, shape, count, length)
            return harness.seconds(lambda: generate(new, answer))

        runs[case][name] = call
    if arrive is None:
        return
    for case, between in ARRIVALS.items():
        times = arrivals(between)
        runs[case][name] = lambda times=times: arrive(draw(draws, shape, CLIENTS, shape.prompt), times, shape.answer)


def arrivals(between: float) -> list[float]:
    """When each client comes, the same for everybody: a Poisson process, ``between`` seconds apart on average."""
    draws = random.Random(1)
    times = [0.0]
    while len(times) < CLIENTS:
        times.append(times[-1] + draws.expovariate(1 / between))
    return times


def peer(name: str):
    """A peer's module; null, and a word about it, where it is not installed."""
    try:
        return importlib.import_module(f"serving.{name}")
    except (ImportError, OSError, RuntimeError) as error:
        print(f"SKIPPED: {name}: {error}", file=sys.stderr)
        return None


if __name__ == "__main__":
    main()
