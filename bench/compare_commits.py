"""Compare what two commits of thord compute: a change of structure alone changes nothing of it.

    python bench/compare_commits.py BEFORE [AFTER]

Each commit runs the same scenario in a checkout and a home of its own, through `thorctl` and the public API alone, so
that the comparison survives any move inside the code. A few families learn two cycles each, the second one killed in
the middle and taken up again; the script records losses, weights' sums, evaluations, answers with log-probabilities,
embeddings and the `--json` outputs. Times, paths, process numbers and sizes on disk are left out. It prints every
difference and ends with status 1 where there is one.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

import harness

from demo.text import standard_library, tharsis, to_json_lines
from engine.config.renamed import RENAMED

FAMILIES = {
    "thor": ("model.hidden=64", "model.heads=4", "model.kv_heads=2", "model.feed_forward=128"),
    "gpt2": ("model.hidden=64", "model.heads=4"),
    "char_lstm": ("model.hidden=64",),
    "agiformer": ("tokenizer.kind=bytes", "model.hidden=64", "model.heads=4", "model.feed_forward=128"),
}
SETTINGS = (
    "api.port=0",
    "model.preset=tiny",
    "schedule.enabled=false",
    "data.settle_seconds=0.1",
    "tokenizer.vocabulary=512",
    "training.threads=1",
    "training.batch_size=4",
    "training.validate_every=10",
    "gate.draws=1000",
)
# What differs between two runs of one commit: times, places (in snapshots too), numbers of processes, loads, sizes on
# disk, and how far a run had come when it was asked.
VOLATILE = re.compile(
    r"(_at|_seconds|seconds|_ms|pid|port|url|path|home|folder|socket|host|free|rss|cpu|memory|load|uptime|per_second|bytes|"
    r"created|started|finished|next_run|last_run|commit|duration|elapsed|eta|fingerprint|id|size|time|"
    r"files|snapshot_sha256|progress)$"
)


_MESSAGES = [{"role": "user", "content": "What do you know about the harbour of Tharsis?"}]
QUESTIONS: tuple[tuple[str, str, dict[str, object]], ...] = (
    (
        "chat",
        "/v1/chat/completions",
        {"messages": _MESSAGES, "temperature": 0, "max_tokens": 24, "logprobs": True, "top_logprobs": 3},
    ),
    ("seeded chat", "/v1/chat/completions", {"messages": _MESSAGES, "seed": 7, "max_tokens": 24, "stop": ["e"]}),
    (
        "completion",
        "/v1/completions",
        {"prompt": "The library of Tharsis", "temperature": 0, "max_tokens": 16, "logprobs": 2, "echo": True},
    ),
    ("embedding", "/v1/embeddings", {"input": "The ferry to the island"}),
)


def main() -> int:
    """Run both commits and compare: 0 where they agree, 1 where not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", help="the commit that is the measure")
    parser.add_argument("after", nargs="?", default="HEAD", help="the commit to compare (default: HEAD)")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="thord-compare-") as folder:
        found = [
            {
                family: scenario(built(commit, Path(folder) / name), Path(folder) / name / f"home-{family}", family)
                for family in arguments.families
            }
            for name, commit in (("before", arguments.before), ("after", arguments.after))
        ]
    return report(flatten(found[0]), flatten(found[1]))


def built(commit: str, place: Path) -> Path:
    """The tree of ``commit`` with its kernel built; made once."""
    tree = place / "tree"
    if not tree.exists():
        harness.checkout(commit, tree)
        python(tree, "-m", "engine.native.build")
    return tree


def environment(tree: Path) -> dict[str, str]:
    """What has Python take the code of ``tree`` instead of what is installed."""
    return {**os.environ, "PYTHONPATH": str(tree)}


def python(tree: Path, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the interpreter of this environment on the code of ``tree``."""
    return subprocess.run(
        [sys.executable, *words], cwd=tree, env=environment(tree), check=check, capture_output=True, text=True
    )


class Home:
    """A thord of one commit on one home."""

    def __init__(self, tree: Path, home: Path) -> None:
        self.tree, self.home, self.url = tree, home, ""

    def ctl(self, *words: str) -> object:
        """What ``thorctl WORDS --json`` prints; also where its status says that a cycle was not promoted."""
        done = python(self.tree, "-m", "control.cli.main", "--home", self.home, "--json", *words, check=False)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise SystemExit(
                f"thorctl {' '.join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}"
            ) from None

    def ask(self, path: str, body: dict[str, object]) -> object:
        """The answer of the public API to ``body``, on the version that serves."""
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())

    def wait_for_cycle(self, number: str) -> None:
        """Until that cycle has ended, whatever came of it."""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            cycle = self.ctl("cycle", number)
            assert isinstance(cycle, dict)
            if cycle["ended_at"]:
                return
            time.sleep(1)
        raise SystemExit(f"cycle {number} did not end: {cycle}")

    def kill_trainer_at(self, step: int) -> None:
        """SIGKILL the trainer once it has come as far as ``step``; it is started again and goes on."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            state = self.ctl("status")
            assert isinstance(state, dict)
            trainer = state["workers"].get("trainer") or {}
            progress = (state.get("cycle") or {}).get("progress") or {}
            if trainer.get("pid") and int(progress.get("step") or 0) >= step:
                os.kill(int(trainer["pid"]), signal.SIGKILL)
                return
        raise SystemExit(f"training did not come to step {step}: {state}")


@contextlib.contextmanager
def running(tree: Path, home: Path, settings: Iterable[str]) -> Iterator[Home]:
    """A thord of ``tree`` with a home of its own, stopped at the end."""
    thord = Home(tree, home)
    options = [word for setting in settings for word in ("--set", setting)]
    started = python(
        tree, "-m", "control.cli.main", "--home", home, "start", "--profile", "tiny", *options, check=False
    )
    if started.returncode:
        raise SystemExit(f"thord does not start: {started.stdout}{started.stderr}")
    try:
        status = thord.ctl("status")
        assert isinstance(status, dict)
        thord.url = str(status["api"]["url"])
        yield thord
    finally:
        python(tree, "-m", "control.cli.main", "--home", home, "stop", "--now", check=False)


def scenario(tree: Path, home: Path, family: str) -> dict[str, object]:
    """What one commit computes for one family."""
    home.mkdir(parents=True)
    files = {name: home.parent / f"{name}.jsonl" for name in ("library", "town")}
    files["library"].write_text(to_json_lines(standard_library(160)))
    files["town"].write_text(to_json_lines(tharsis()[:128]))
    with running(tree, home, (*SETTINGS, f"model.family={family}", *FAMILIES[family])) as thord:
        found: dict[str, object] = {"ingest": thord.ctl("ingest", str(files["library"])), "data": thord.ctl("data")}
        found["first cycle"] = thord.ctl("train", "--steps", "200", "--wait")
        thord.ctl("ingest", str(files["town"]))
        thord.ctl("train", "--steps", "150")
        thord.kill_trainer_at(50)
        thord.wait_for_cycle("2")
        for name in ("cycle 1", "cycle 2", "cycles", "versions", "version 1", "version 2", "data"):
            found[name] = thord.ctl(*name.split())
        found["evaluation"] = thord.ctl("evaluate", "2", str(files["town"]))
        for name, path, body in QUESTIONS:
            found[name] = thord.ask(path, body)
        found["score"] = thord.ctl("score", "The lighthouse of Tharsis is kept by Maren Solberg.")
        return found


def flatten(found: object, path: str = "") -> dict[str, object]:
    """Each leaf under its path, with new names of settings, less what differs between two runs of one commit."""
    if isinstance(found, dict):
        table = path.rpartition("/")[2]
        pairs = ((_new_name(table, str(key)), value) for key, value in found.items() if not VOLATILE.search(str(key)))
    elif isinstance(found, list):
        pairs = ((str(number), value) for number, value in enumerate(found))
    else:
        return {path: found}
    return {place: leaf for key, value in pairs for place, leaf in flatten(value, f"{path}/{key}").items()}


def _new_name(table: str, key: str) -> str:
    """The new name of a renamed setting; the settings of a gate stand under ``settings`` in its figures."""
    names = (RENAMED.get(f"{each}.{key}") for each in (table, "gate" if table == "settings" else table))
    return next((name.rpartition(".")[2] for name in names if name), key)


def report(before: dict[str, object], after: dict[str, object]) -> int:
    """Print every difference and a summary; 1 where something changed or is gone."""
    changed = [name for name in before if name in after and before[name] != after[name]]
    gone, new = [name for name in before if name not in after], [name for name in after if name not in before]
    for name in changed:
        print(f"changed  {name}: {before[name]!r} -> {after[name]!r}")
    for name in gone:
        print(f"gone     {name}: {before[name]!r}")
    for name in new:
        print(f"new      {name}")
    print(f"{len(before)} values compared: {len(changed)} changed, {len(gone)} gone; {len(new)} are new")
    return 1 if changed or gone else 0


if __name__ == "__main__":
    sys.exit(main())
