"""A running server worker, small random versions for it, and the truth about what they answer."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import httpx
import openai
import torch

from control.paths import Paths, socket_address
from daemon.messages import Commit, Message, Prepare, Prepared, Serving
from daemon.settings.sections import Tables
from engine import artifacts, version
from engine.config.model import ModelSettings
from engine.data.samples import Message as Turn
from engine.device import Placement
from engine.manifest import Lineage
from engine.models import registry
from engine.tokenizers.base import BOS, Tokenizer
from engine.version import LoadedVersion

M = TypeVar("M", bound=Message)
CPU = Placement(torch.device("cpu"), torch.float32)
SMALL = ModelSettings(hidden=64, layers=2, heads=4, kv_heads=2, feed_forward=128, context=192)
SLOW = ModelSettings(hidden=120, layers=6, heads=4, kv_heads=2, feed_forward=512, context=8192)
"""No kernel computes such heads: an answer as long as the context takes many times what swaps and drains take. Weights
take 6 MiB, the cache 22 and 22 more for every row."""
TEXT = "The quick brown fox jumps over the lazy dog. Zwölf Boxkämpfer jagen Viktor quer über den großen Deich. 日本語 "


def make_version(folder: Path, number: int, tokenizer: Tokenizer, settings: ModelSettings = SMALL) -> None:
    """Publish a version of random weights, its number the seed. Strong layers: it does not just repeat itself."""
    model = registry.module(registry.build(settings, tokenizer.vocabulary, seed=number))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(10.0 if "layers" in name and weight.ndim > 1 else 1.0)
    provenance = Lineage(number, number - 1 or None, number, "0" * 64, number, {}, 0.0, {})
    version.publish(folder, model.state_dict(), settings, tokenizer, provenance)


def server_settings(**tables: dict[str, object]) -> Tables:
    inference = {"device": "cpu", "precision": "fp32", "max_batch": 8, "threads": 1, **tables.pop("inference", {})}
    return Tables.model_validate({"inference": inference, **tables})


class Worker(Protocol):
    """What these tests use of what ``spawn_worker`` gives."""

    pid: int
    log: str

    def send(self, message: Message) -> None: ...
    def ask(self, command: Message, kind: type[M], timeout: float = ...) -> M: ...
    def expect(self, kind: type[M], where: Callable[[M], bool] = ..., timeout: float = ...) -> M: ...
    def received(self, kind: type[M]) -> list[M]: ...
    def forget(self) -> None: ...
    def reload(self, settings: Tables) -> None: ...
    def stop(self, grace_seconds: float = ...) -> int: ...
    def kill(self) -> None: ...


@dataclass
class Server:
    """A running server worker, its two addresses, and the folder its versions are in."""

    worker: Worker
    url: str
    paths: Paths
    tokenizer: Tokenizer

    def http(self, key: str | None = None) -> httpx.Client:
        """Over TCP. Nothing is verified: reading the certificates of all the world takes longer than most tests."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, timeout=30, headers=headers, verify=False)

    def local(self) -> httpx.Client:
        """Over the Unix socket."""
        transport = httpx.HTTPTransport(uds=socket_address(self.paths.server_socket), verify=False)
        return httpx.Client(base_url="http://thord", transport=transport, timeout=30, verify=False)

    def openai(self, key: str = "none", retries: int = 0) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=f"{self.url}/v1",
            api_key=key,
            max_retries=retries,
            http_client=httpx.Client(timeout=30, verify=False),
        )

    def publish(self, number: int, settings: ModelSettings = SMALL) -> Path:
        folder = self.paths.version(number)
        make_version(folder, number, self.tokenizer, settings)
        return folder

    def promote(self, number: int) -> None:
        """Both phases, as the supervisor does them."""
        assert self.worker.ask(Prepare(version=number), Prepared).version == number
        artifacts.point(self.paths.current, self.paths.version(number))
        self.worker.forget()
        self.worker.send(Commit(version=number))
        self.worker.expect(Serving, lambda message: message.version == number)

    def load(self, number: int) -> LoadedVersion:
        """The version itself."""
        return version.load(self.paths.version(number), CPU)

    def text_prompt(self, text: str) -> list[int]:
        return [self.tokenizer.special(BOS), *self.tokenizer.encode(text)]

    def chat_prompt(self, *turns: Turn) -> list[int]:
        return self.tokenizer.encode_prompt(turns)


class StartServer(Protocol):
    def __call__(self, versions: int = 1, settings: Tables | None = None, *, ready: bool = True) -> Server: ...


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Small models on a busy machine: threads would mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@one_thread()
@torch.inference_mode()
def greedy(version: LoadedVersion, prompt: Sequence[int], length: int) -> list[int]:
    """A plain loop: the whole text through the model for every token."""
    ids = list(prompt)
    for _ in range(length):
        ids.append(int(scores(version, ids)[-1].argmax()))
    return ids[len(prompt) :]


@one_thread()
@torch.inference_mode()
def scores(version: LoadedVersion, ids: Sequence[int]) -> torch.Tensor:
    """Log-probabilities [T, V] of what follows each token."""
    tokens = torch.tensor([ids])
    hidden = version.model.hidden(tokens, torch.arange(len(ids))[None], torch.zeros_like(tokens))
    return torch.log_softmax(version.model.logits(hidden[0]), -1)
