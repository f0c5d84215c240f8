"""What both demonstrations share: a home of their own, ``thorctl`` in view of the reader, claims that are checked."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from demo import text
from demo.traffic import Traffic

THORCTL = Path(sys.executable).with_name("thorctl")
QUIET = ("api.port=0", "schedule.enabled=false", "data.settle_seconds=0.2")
"""Settings of every demonstration: any free port, cycles only when asked for, files read at once."""


class Stage:
    """One run in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Print a heading with the time so far."""
        print(f"\n\033[1m[{time.monotonic() - self._began:5.1f} s] {text}\033[0m", flush=True)

    def thorctl(self, *words: str) -> None:
        """Run a command in view of the reader.

        Raises:
            CalledProcessError: it failed.
        """
        self._show(words)
        subprocess.run(self._command(*words), check=True)

    def asked(self, *words: str) -> dict[str, object]:
        """What a command says with ``--json``.

        Raises:
            CalledProcessError: it failed.
        """
        answer, status = self._json(words)
        if status:
            raise subprocess.CalledProcessError(status, words)
        return answer

    def failure(self, *words: str) -> dict[str, object] | None:
        """Run a command in view of the reader; its error, ``code`` and ``message``, where it failed."""
        self._show(words)
        answer, status = self._json(words)
        error = answer.get("error")
        return error if status and isinstance(error, dict) else None

    def start(self, *options: str, settings: tuple[str, ...] = ()) -> None:
        """Start the service."""
        self.thorctl("start", *options, *(word for setting in (*QUIET, *settings) for word in ("--set", setting)))

    def ingest(self, name: str, dialogues: list[text.Dialogue]) -> None:
        """Drop a file of conversations, one OpenAI record a line, into the inbox."""
        file = self.home / name
        file.write_text(text.to_json_lines(dialogues), encoding="utf-8")
        self.thorctl("ingest", str(file))

    def ask(self, question: str) -> str:
        """Ask the model, greedily; its answer."""
        answer = str(self.asked("chat", "--temperature", "0", "--max-tokens", "40", question)["text"])
        print(f"  you:   {question}\n  model: {answer}", flush=True)
        return answer

    def traffic(self, question: str, clients: int, pause: float) -> Traffic:
        """Clients of the public API, not started yet."""
        api = self.asked("status")["api"]
        assert isinstance(api, dict)
        return Traffic(str(api["url"]), clients, pause, question)

    def stop(self) -> bool:
        """Stop the service; whether no process is left."""
        self.thorctl("stop")
        left = subprocess.run(["pgrep", "-f", str(self.home)], check=False, stdout=subprocess.PIPE).stdout
        return left == b""

    def stop_at_once(self) -> None:
        """Stop the service if it runs, whatever happened before."""
        nowhere = subprocess.DEVNULL
        subprocess.run(self._command("stop", "--now"), check=False, stdout=nowhere, stderr=nowhere)

    def judge(self, claims: Mapping[str, bool]) -> int:
        """Print what was claimed and whether it was seen; 0 where all of it was."""
        self.say("Seen")
        for claim, held in claims.items():
            print(f"  {'yes' if held else 'NO '}  {claim}")
        return 0 if all(claims.values()) else 1

    def _command(self, *words: str) -> list[str]:
        return [str(THORCTL), "--home", str(self.home), *words]

    def _show(self, words: tuple[str, ...]) -> None:
        print(f"$ thorctl {' '.join(words)}", flush=True)

    def _json(self, words: tuple[str, ...]) -> tuple[dict[str, object], int]:
        done = subprocess.run(self._command(*words, "--json"), check=False, stdout=subprocess.PIPE)
        answer: dict[str, object] = json.loads(done.stdout or b"{}")
        return answer, done.returncode


def of_swap(traffic: Traffic, old: str, new: str) -> dict[str, bool]:
    """The claims about answers while versions were swapped."""
    for fault in traffic.faults[:5]:
        print(f"  fault: {fault}")
    return {
        "no answer failed, was cut or mixed two versions": traffic.faults == [],
        "both versions answered while the swap happened": set(traffic.by_version) == {old, new},
    }
