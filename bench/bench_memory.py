"""What the server holds in memory, beside llama.cpp with the same weights and tokens in the same run.

``python bench/bench_memory.py [--gguf FILE]``: imports the starter model (from FILE, else as ``thorctl import starter``
fetches it), and measures the server process: idle, with sixteen clients at 512 tokens each, with one conversation that
ends at the end of the context, and while a second version is prepared beside it.

llama.cpp gets the version as thord exports it, in bf16, and a context for just those tokens, sixteen times 512: it
allocates its cache whole, so that is the least it can take for them. Compared is what both say of weights and cache;
and what their processes have grown by, which on llama.cpp's side includes the buffers that it computes in, on ours
those and all that answering over HTTP takes.
"""

import argparse
import concurrent.futures
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import harness
import httpx
import processor

ROWS, LENGTH, PROMPT, CONTEXT = 16, 512, 480, 8192
SETTINGS = ("inference.precision=bf16", f"inference.max_batch={ROWS}")
GIGABYTE = 1e9


class Watch:
    """The most that a process had, and that it says of its cache, while this runs."""

    def __init__(self, pid: int, client: httpx.Client) -> None:
        self.resident = self.proportional = self.cache = 0
        self._pid, self._client = pid, client
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Watch":
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self._look()

    def _look(self) -> None:
        resident, proportional = memory_of(self._pid)
        self.resident, self.proportional = max(self.resident, resident), max(self.proportional, proportional)
        self.cache = max(self.cache, figure(self._client, "cache_bytes"))


def memory_of(pid: int) -> tuple[int, int]:
    """Resident bytes of a process, and the same with what it shares with others divided among them."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    resident, proportional = (int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) << 10 for name in ("Rss", "Pss"))
    return resident, proportional


def figure(client: httpx.Client, name: str) -> int:
    """A gauge of the server."""
    return int(float(re.search(rf"^thord_server_{name} (\S+)", client.get("/metrics").text, re.M)[1]))


def answer(client: httpx.Client, seed: int, prompt: int, length: int) -> None:
    """Have a prompt of random tokens continued up to ``length`` tokens in all."""
    draws = random.Random(seed)
    body = {
        "model": "thor",
        "prompt": [draws.randrange(100, 40000) for _ in range(prompt)],
        "max_tokens": length - prompt,
        "temperature": 0,
        "ignore_eos": True,
    }
    found = client.post("/v1/completions", json=body).raise_for_status().json()
    if found["usage"]["total_tokens"] != length:
        raise SystemExit(f"{length} tokens were asked for: {found['usage']}")


def prepared(service: harness.Thord) -> list[float]:
    """Seconds that each version took to be prepared."""
    lines = (json.loads(line) for line in (service.home / "logs/server.log").read_text().splitlines())
    times = [line["seconds"] for line in lines if line["event"] == "a version is prepared"]
    return [seconds for seconds in times if seconds > 0.5]  # a flip back to what is in memory is no preparation


def main() -> None:
    """Measure, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, help="the file of the starter model")
    options = parser.parse_args()
    processor.require_kernels()
    source = ("gguf", str(options.gguf.resolve())) if options.gguf else ("starter",)
    with harness.thord(*SETTINGS) as service, tempfile.TemporaryDirectory() as folder:
        pid = int(service.json("status")["workers"]["server"]["pid"])
        transport = httpx.HTTPTransport(uds=str(service.home / "run/server.sock"))
        with httpx.Client(transport=transport, base_url="http://thord", timeout=1200) as client:
            empty, _ = memory_of(pid)
            service.ctl("import", *source, "--promote")
            file = Path(folder) / "bf16.gguf"
            service.ctl("export", "gguf", "1", "--out", str(file), "--type", "bf16")
            time.sleep(2)
            idle, idle_shared = memory_of(pid)
            weights = figure(client, "weight_bytes")
            with Watch(pid, client) as full, concurrent.futures.ThreadPoolExecutor(ROWS) as pool:
                list(pool.map(lambda seed: answer(client, seed, PROMPT, LENGTH), range(ROWS)))
            with Watch(pid, client) as long:
                answer(client, 99, CONTEXT - 16, CONTEXT)
            service.ctl("import", *source, "--promote")
            [cold, beside, *_] = prepared(service)
        theirs = llama_cpp(file)
    rows = [
        ["no version", f"{empty / GIGABYTE:.3f}", "", ""],
        ["idle", f"{idle / GIGABYTE:.3f}", f"{idle_shared / GIGABYTE:.3f}", "0"],
        *(
            [name, f"{each.resident / GIGABYTE:.3f}", f"{each.proportional / GIGABYTE:.3f}", f"{each.cache / 1e6:.1f}"]
            for name, each in ((f"{ROWS} clients at {LENGTH}", full), (f"one at {CONTEXT}", long))
        ),
    ]
    harness.table("the server", rows, ["", "resident, GB", "proportional, GB", "cache, MB"])
    print(f"\nweights {weights / 1e6:.1f} MB; prepared in {cold:.1f} s, beside a version in {beside:.1f} s")
    goal("idle", idle / GIGABYTE, 0.9, "GB")
    goal(f"{ROWS} clients at {LENGTH} tokens", full.resident / GIGABYTE, 1.3, "GB")
    goal("prepare", cold, 5.0, "s")
    if theirs is None:
        return
    print("llama.cpp: " + ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in theirs.items()))
    held = (weights + full.cache) / (theirs["weights"] + theirs["cache"])
    goal("weights and cache, ours / llama.cpp", round(held, 4), 1.0)  # llama.cpp gives hundredths of a MiB
    goal("what the process grew by, ours / llama.cpp", (full.resident - empty) / theirs["grown"], 1.0)


def goal(name: str, value: float, most: float, unit: str = "") -> None:
    """Say whether it is reached."""
    print(f"{name}: {value:.4f} {unit} (goal at most {most}): {harness.verdict(reached=value <= most)}")


def llama_cpp(file: Path) -> dict[str, int] | None:
    """What llama.cpp holds; null, and a word about it, where it is not installed."""
    command = [sys.executable, "-m", "serving.peers.llama_memory", file, *map(str, (ROWS, LENGTH, PROMPT))]
    ended = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    if ended.returncode:
        print(f"SKIPPED: llama.cpp: {ended.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    found: dict[str, int] = json.loads(ended.stdout)
    return found


if __name__ == "__main__":
    main()
