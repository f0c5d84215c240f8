"""thord from Python: what thorctl does, and what an application of yours may do with it.

    from control.client import Thord

    thord = Thord()                                   # or Thord(home="/srv/thord")
    thord.predict("Who are you?", task="chat")["generated_text"]
    thord.generate("Once upon a time", max_tokens=40)["text"]
    thord.train(wait=True)["state"]

An object of this class holds no connection and no thread, so it may be shared, for instance by the views of a Flask
application. Failures are the classes of `control.errors`. Nothing is imported but the standard library.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from control import answers, errors
from control.corpora import NAMED
from control.data_requests import DataRequests
from control.http import Endpoint, query
from control.job_requests import JobRequests
from control.paths import Paths, find_running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Unpack

    from control.answers import Json

Layout = Literal["hf", "checkpoint", "gguf", "peft"]
"""The layouts of models that can be imported."""
TEXTS_AT_ONCE = 64
"""Texts that are asked about in one request."""
TEXT_TOKENS = 256
"""How far a text is continued by default: it need not end by itself, as the answer in a chat does."""


class Sampling(TypedDict, total=False):
    """How the model samples its answer; an absent key means the service's default."""

    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int
    stop: list[str]


class About(TypedDict, total=False):
    """What may belong to a text: a second one, labels in place of the task's own, texts to put in order."""

    text_pair: str
    labels: list[str]
    candidates: list[str]


class Asking(Sampling, About, total=False):
    """What a prediction may be asked besides its text."""


class Message(TypedDict):
    """One turn of a chat; ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


class Thord(DataRequests, JobRequests):
    """One thord, reached over its sockets.

    Args:
        home: the folder given to ``--home``; without it, the service's places for root, else the user's own.
        socket: the control socket, where it is not where ``home`` says.
        paths: where everything is, for a process that knows; in place of ``home``.
    """

    def __init__(
        self, home: str | Path | None = None, socket: str | Path | None = None, *, paths: Paths | None = None
    ) -> None:
        self.paths: Paths = paths or find_running(str(home) if home else None)
        self.control_socket = Path(socket).absolute() if socket else self.paths.control_socket
        super().__init__(Endpoint(self.control_socket))
        self._server = Endpoint(self.control_socket.with_name(self.paths.server_socket.name))

    # The service -----------------------------------------------------------------------------------------------------

    def status(self) -> answers.Status:
        """What thord is doing; answered even while every worker is busy."""
        return self._control.get("/v1/status", answers.Status, timeout=5)

    def configuration(self) -> answers.Configuration:
        """The settings it runs with, and where each comes from."""
        return self._control.get("/v1/config", answers.Configuration)

    def stop(self, *, now: bool = False) -> None:
        """Ask it to stop, and return at once. It finishes what is under way, except with ``now``."""
        self._control.post("/v1/stop", dict[str, answers.Json], {"now": now})

    def reload(self) -> answers.Reloaded:
        """Read ``thord.toml`` again and apply what can change live."""
        return self._control.post("/v1/reload", answers.Reloaded)

    def start_worker(self, name: str) -> None:
        """Start a worker that was stopped or gave up."""
        self._control.post(f"/v1/workers/{name}/start", dict[str, answers.Json], timeout=120)

    def stop_worker(self, name: str) -> None:
        """Stop a worker; it stays down until it is started."""
        self._control.post(f"/v1/workers/{name}/stop", dict[str, answers.Json], timeout=120)

    def restart_worker(self, name: str) -> None:
        """Stop and start a worker."""
        self._control.post(f"/v1/workers/{name}/restart", dict[str, answers.Json], timeout=120)

    # Cycles ----------------------------------------------------------------------------------------------------------

    def train(
        self,
        train_files: Sequence[str | Path] = (),
        validation_files: Sequence[str | Path] = (),
        corpus: Sequence[str | Path] = (),
        overrides: Mapping[str, Json] | None = None,
        *,
        split: bool = False,
        base: str | None = None,
        wait: bool = False,
        on_progress: Callable[[answers.Progress], None] | None = None,
    ) -> answers.Cycle:
        """Start a cycle now.

        Args:
            train_files: learn from these files instead of the conversations that came in.
            validation_files: evaluate on these instead of the held-out ones.
            corpus: files or folders of plain text to learn from, or ``enwik8``.
            overrides: keys of ``[training]`` to change for this run, such as ``{"epochs": 1}``.
            split: learn the first 90 % of the bytes of each file, evaluate on the next 5 %, ignore the rest; always so
                with ``enwik8``.
            base: continue from this version instead of the one in service.
            wait: return when the cycle has ended instead of when it has begun.
            on_progress: called for every step reported, while waiting.

        Raises:
            ThordError: another cycle is under way, or nothing can be learned from.
        """
        body: dict[str, Json] = {
            "train_files": _absolute(train_files),
            "validation_files": _absolute(validation_files),
            "corpus": [name if name in NAMED else file for name, file in zip(corpus, _absolute(corpus), strict=True)],
            "split": split or any(name in NAMED for name in corpus),
            "base": None if base is None else version_number(base),
            "overrides": dict(overrides or {}),
        }
        cycle = self._control.post("/v1/cycles", answers.Cycle, body)
        return self.wait(cycle["id"], on_progress) if wait else cycle

    def wait(self, cycle: int, on_progress: Callable[[answers.Progress], None] | None = None) -> answers.Cycle:
        """Follow a cycle to its end; the cycle as it ended."""
        for line in self._control.lines("GET", f"/v1/cycles/{cycle}/follow"):
            news: answers.Followed = json.loads(line)
            if "cycle" in news:
                return news["cycle"]
            if on_progress and "progress" in news:
                on_progress(news["progress"])
        return self.cycle(cycle)

    def cycles(self, limit: int | None = None) -> list[answers.Cycle]:
        """Cycles, newest first."""
        return self._control.get(query("/v1/cycles", limit=limit), list[answers.Cycle])

    def cycle(self, number: int) -> answers.Cycle:
        """One cycle, with the figures of its gate."""
        return self._control.get(f"/v1/cycles/{number}", answers.Cycle)

    def cancel(self, number: int) -> answers.Cycle:
        """End a cycle before its time; what it held goes back to be learned later."""
        return self._control.post(f"/v1/cycles/{number}/cancel", answers.Cycle, timeout=120)

    def pause(self) -> answers.Schedule:
        """Keep cycles from starting by themselves, even after a restart; the one under way continues."""
        return self._control.post("/v1/pause", answers.Schedule)

    def resume(self) -> answers.Schedule:
        """Let cycles start by themselves again."""
        return self._control.post("/v1/resume", answers.Schedule)

    def evaluate(self, version: str, files: Sequence[str | Path] = ()) -> dict[str, Json]:
        """Evaluate a version (``current``: the one in service) on the held-out conversations, or on ``files``.

        This can take minutes.
        """
        number = None if version == "current" else version_number(version)
        body: dict[str, Json] = {"version": number, "files": _absolute(files)}
        return self._control.post("/v1/evaluations", dict[str, answers.Json], body, timeout=None)

    # Versions --------------------------------------------------------------------------------------------------------

    def versions(self) -> list[answers.Version]:
        """Every version, newest first."""
        return self._control.get("/v1/versions", list[answers.Version])

    def version(self, version: str) -> answers.Version:
        """One version."""
        return self._control.get(f"/v1/versions/{version_number(version)}", answers.Version)

    def promote(self, version: str, *, force: bool = False) -> answers.Version:
        """Put a version into service; with ``force`` even one that the gate rejected."""
        target = f"/v1/versions/{version_number(version)}/promote"
        return self._control.post(target, answers.Version, {"force": force}, timeout=None)

    def import_model(
        self, path: str | Path, layout: Layout = "hf", generation: Mapping[str, Json] | None = None
    ) -> answers.Version:
        """Take over a model in the layout of Hugging Face, a GGUF file, or the checkpoint of a run.

        Args:
            path: the folder or the file.
            layout: what it is.
            generation: keys of ``generation_config.json`` that replace the model's own.

        Returns:
            The version it became, which is not in service yet.
        """
        body: dict[str, Json] = {"folder": _absolute([path])[0], "layout": layout, "generation": dict(generation or {})}
        return self._control.post("/v1/imports", answers.Version, body, timeout=None)

    def fold(self, version: str) -> answers.Version:
        """Merge the adapter of a version into its base; the version it became, which is not in service yet."""
        return self._control.post(f"/v1/versions/{version_number(version)}/fold", answers.Version, timeout=None)

    def pin(self, version: str, *, pinned: bool = True) -> answers.Version:
        """Keep the weights of a version whatever its age, or, with ``pinned`` false, no longer."""
        return self._control.post(
            f"/v1/versions/{version_number(version)}/{'pin' if pinned else 'unpin'}", answers.Version
        )

    def retention(self) -> answers.Cleaning:
        """What `clean` would remove now, and why the rest stays."""
        return self._control.get("/v1/retention", answers.Cleaning, timeout=120)

    def clean(self) -> answers.Cleaning:
        """Remove what nothing needs, as ``[retention]`` says; what was removed."""
        return self._control.post("/v1/clean", answers.Cleaning, timeout=None)

    def rollback(self) -> answers.Version:
        """Put the version that served before back into service."""
        return self._control.post("/v1/rollback", answers.Version, timeout=None)

    # Events ----------------------------------------------------------------------------------------------------------

    def events(
        self, after: int | None = None, limit: int | None = None, *, follow: bool = False
    ) -> Iterator[answers.Event]:
        """Past events, oldest first; with ``follow`` also those to come, until thord stops."""
        if not follow:
            found = self._control.get(query("/v1/events", after=after, limit=limit), list[answers.Event])
            yield from sorted(found, key=lambda event: event["id"])
            return
        for line in self._control.lines("GET", query("/v1/events", after=after, limit=limit, follow="true")):
            event: answers.Event = json.loads(line)
            yield event

    # The model that serves -------------------------------------------------------------------------------------------

    def generate(
        self,
        prompt: str,
        *,
        model: str = "thor",
        on_text: Callable[[str], None] | None = None,
        **sampling: Unpack[Sampling],
    ) -> answers.Answer:
        """Continue a text, by 256 tokens at most where ``sampling`` has no ``max_tokens``.

        Args:
            prompt: the text.
            model: ``thor``, or ``thor@000012`` for that version only.
            on_text: called with each piece of the answer as it is made.
            sampling: see `Sampling`.
        """
        body: dict[str, Json] = {"model": model, "prompt": prompt, "max_tokens": TEXT_TOKENS, **_plain(sampling)}
        return self._complete("/v1/completions", body, on_text)

    def chat(
        self,
        messages: Sequence[Message],
        *,
        model: str = "thor",
        session: str | None = None,
        on_text: Callable[[str], None] | None = None,
        **sampling: Unpack[Sampling],
    ) -> answers.Answer:
        """Answer the last of ``messages``; the rest as for `generate`.

        In a ``session`` the server remembers what was said, and ``messages`` are only those that are new.
        """
        turns: list[Json] = [{"role": turn["role"], "content": turn["content"]} for turn in messages]
        body: dict[str, Json] = {"model": model, "messages": turns, **_plain(sampling)}
        if session is not None:
            body["session"] = session
        return self._complete("/v1/chat/completions", body, on_text)

    def predict(self, text: str, task: str, *, model: str = "thor", **asked: Unpack[Asking]) -> dict[str, Json]:
        """The model's answer to ``text`` as ``task``; docs/tasks.md lists tasks, and `Asking` what may be asked.

        Without a temperature it takes the likeliest token each time.
        """
        body: dict[str, Json] = {"task": task, "input": text, "model": model, **_plain(asked)}
        return self._server.post("/predict", dict[str, answers.Json], body, timeout=600)

    def predict_all(
        self, texts: Sequence[str], task: str, *, model: str = "thor", **asked: Unpack[Asking]
    ) -> list[dict[str, Json]]:
        """The answers to several texts, in order; the rest as `predict`."""
        found: list[dict[str, Json]] = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            some: list[Json] = [*texts[start : start + TEXTS_AT_ONCE]]
            body: dict[str, Json] = {"task": task, "input": some, "model": model, **_plain(asked)}
            found += self._server.post("/predict", answers.Predictions, body, timeout=None)["predictions"]
        return found

    def score(self, text: str, *, top_k: int | None = None) -> dict[str, Json]:
        """How well the model predicts ``text``: loss, perplexity, surprisal."""
        body: dict[str, Json] = {"text": text}
        if top_k is not None:
            body["top_k"] = top_k
        return self._server.post("/v1/score", dict[str, answers.Json], body, timeout=600)

    def _complete(self, target: str, body: dict[str, Json], on_text: Callable[[str], None] | None) -> answers.Answer:
        if on_text is None:
            completion = self._server.post(target, answers.Completion, body, timeout=None)
            choice = completion["choices"][0]
            return {
                "text": _text_of(choice),
                "version": _version_of(completion),
                "finish_reason": choice["finish_reason"],
                "usage": completion.get("usage"),
            }
        answer: answers.Answer = {"text": "", "version": "", "finish_reason": None, "usage": None}
        body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        for line in self._server.lines("POST", target, body):
            if not line.startswith(b"data:") or line.endswith(b"[DONE]"):
                continue
            part: answers.Completion = json.loads(line.removeprefix(b"data:"))
            if "error" in part:
                raise errors.ThordError(part["error"]["message"])
            answer["version"] = _version_of(part) or answer["version"]
            answer["usage"] = part.get("usage") or answer["usage"]
            for choice in part["choices"]:
                answer["finish_reason"] = choice["finish_reason"] or answer["finish_reason"]
                if piece := _text_of(choice):
                    answer["text"] += piece
                    on_text(piece)
        return answer


def _text_of(choice: answers.Choice) -> str:
    """The text in a choice of a completion, a chat, or a piece of either."""
    if "text" in choice:
        return choice["text"]
    turn = choice.get("message") or choice.get("delta") or {}
    return turn.get("content") or ""


def _version_of(completion: answers.Completion) -> str:
    return completion.get("system_fingerprint") or ""


def _plain(sampling: Sampling) -> dict[str, Json]:
    given: dict[str, Json] = json.loads(json.dumps(sampling))
    return given


def version_number(version: str) -> int:
    """The number in ``12``, ``000012`` or ``thor@000012``."""
    digits = str(version).rpartition("@")[2]
    if not digits.isdecimal():
        raise errors.UsageError(f"{version!r} is not a version; versions are numbers, see 'thorctl versions'")
    return int(digits)


def _absolute(files: Sequence[str | Path]) -> list[Json]:
    """Paths as the daemon, which has another working folder, can read them."""
    return [str(Path(file).expanduser().absolute()) for file in files]
