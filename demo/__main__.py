"""The main job, step by step: start, learn, ask, learn something new while answers flow, ask again, stop.

Run by ``make demo``. Everything goes through ``thorctl`` and the public API, as a user's would.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from demo import text
from demo.traffic import Traffic

THORCTL = Path(sys.executable).with_name("thorctl")
SETTINGS = (
    "api.port=0",
    "schedule.enabled=false",
    "data.settle_seconds=0.2",
    "data.max_conversations_per_cycle=800",
    "data.replay_share=0.4",
    "training.validation_share=0",  # to the end: what is new has few conversations, each told once
)


class Demo:
    """One run in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.began = time.monotonic()

    def say(self, text: str) -> None:
        """A heading, with the time so far."""
        print(f"\n\033[1m[{time.monotonic() - self.began:5.1f} s] {text}\033[0m", flush=True)

    def thorctl(self, *words: str) -> None:
        """Run a command in view of the reader."""
        print(f"$ thorctl {' '.join(words)}", flush=True)
        subprocess.run([THORCTL, "--home", self.home, *words], check=True)

    def asked(self, *words: str) -> dict[str, object]:
        """What a command says with ``--json``."""
        command = [str(THORCTL), "--home", str(self.home), *words, "--json"]
        answer: dict[str, object] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        return answer

    def ingest(self, name: str, dialogues: list[text.Dialogue]) -> None:
        """Drop a file of conversations, one OpenAI record a line, into the inbox."""
        file = self.home / name
        file.write_text(text.to_json_lines(dialogues), encoding="utf-8")
        self.thorctl("ingest", str(file))

    def ask(self, question: str) -> str:
        """The model's answer, and who gave it."""
        answer = str(self.asked("chat", "--temperature", "0", "--max-tokens", "40", question)["text"])
        print(f"  you:   {question}\n  model: {answer}", flush=True)
        return answer


def main() -> int:
    """Run the demonstration; 0 when everything it claims was seen to happen."""
    home = Path(tempfile.mkdtemp(prefix="thord-demo-"))
    try:
        status = _run(Demo(home))
    except BaseException as error:  # Ctrl-C too: no thord goes on alone
        subprocess.run([THORCTL, "--home", home, "stop", "--now"], check=False, stdout=subprocess.DEVNULL)
        if not isinstance(error, subprocess.CalledProcessError):
            raise
        print(f"demo: thorctl ended with status {error.returncode}; logs are in {home / 'logs'}", file=sys.stderr)
        return 1
    shutil.rmtree(home, ignore_errors=True)
    return status


def _run(demo: Demo) -> int:
    place, fact = text.place_and_fact()
    question = text.QUESTION.format(place)

    demo.say("The service starts; nothing is learned yet")
    options = [word for setting in SETTINGS for word in ("--set", setting)]
    demo.thorctl("start", "--profile", "tiny", *options)
    demo.thorctl("status")

    demo.say("First conversations: questions about Python's standard library")
    demo.ingest("standard-library.jsonl", text.standard_library(500))
    demo.thorctl("data")

    demo.say("The first cycle: a tokenizer and a model from scratch, judged against a unigram baseline")
    demo.thorctl("train", "--wait", "--epochs", "8")
    demo.thorctl("cycle", "1")

    demo.say("An answer from version 1, which has never heard of the town of Tharsis")
    before = demo.ask(question)

    demo.say("New conversations about that town; the second cycle runs while four clients stream answers")
    demo.ingest("tharsis.jsonl", text.tharsis())
    api = demo.asked("status")["api"]
    assert isinstance(api, dict)
    with Traffic(str(api["url"]), clients=4, pause=0.2) as traffic:
        demo.thorctl("train", "--wait", "--epochs", "12")
        traffic.until_version_answers("000002", seconds=20)
    demo.thorctl("cycle", "2")
    print(f"  answers while it learned and swapped: {traffic.summary()}")

    demo.say("The same question again, in words that were in no training text")
    after = demo.ask(question)

    demo.say("What is known about it all")
    demo.thorctl("versions")
    demo.thorctl("data")

    demo.say("The service stops")
    demo.thorctl("stop")
    left = subprocess.run(["pgrep", "-f", str(demo.home)], check=False, stdout=subprocess.PIPE).stdout.split()

    claims = {
        "the model did not know the answer before": fact not in before,
        f"the model knows now: {fact}": fact in after,
        "no answer failed, was cut or mixed two versions": traffic.faults == [],
        "both versions answered while the swap happened": set(traffic.by_version) == {"000001", "000002"},
        "no process is left": left == [],
    }
    demo.say("Seen")
    for claim, held in claims.items():
        print(f"  {'yes' if held else 'NO '}  {claim}")
    for fault in traffic.faults[:5]:
        print(f"       {fault}")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
