"""Swaps as the supervisor commands them, under load, and versions that must never serve."""

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from safetensors.torch import load_file, save_file

from daemon.messages import Abandon, Commit, Prepare, Prepared, Ready, Refused, Serving
from engine import artifacts, version
from engine.config import ModelSettings
from engine.tokenizers import bpe
from tests.daemon.workers.server.harness import SMALL, Server, StartServer, greedy, make_version, server_settings

PROMPTS = ("The quick", "Der große Deich", "日本", "a", "lazy dog. The quick brown fox jumps over")


class Load:
    """Clients that stream greedy answers without pause; every fault is kept, and every answer with its version."""

    def __init__(self, server: Server, clients: int, tokens: int = 24) -> None:
        self.faults: list[str] = []
        self.answers: list[tuple[str, str, str]] = []
        self._tokens = tokens
        self._server = server
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, version: str) -> None:
        deadline = time.monotonic() + 30
        while not any(each[0] == version for each in self.answers[-50:]):
            assert time.monotonic() < deadline, (self.faults, self.answers[-3:])
            time.sleep(0.005)

    def _client(self, number: int) -> None:
        with self._server.http() as client:
            turn = number
            while not self._over.is_set():
                turn += 1
                try:
                    self._one(client, PROMPTS[turn % len(PROMPTS)])
                except Exception as error:
                    self.faults.append(f"{type(error).__name__}: {error}")

    def _one(self, client: httpx.Client, prompt: str) -> None:
        body = {
            "prompt": prompt,
            "max_tokens": self._tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
        }
        with client.stream("POST", "/v1/completions", json=body) as answer:
            if answer.status_code != 200:
                raise ValueError(f"{answer.status_code}: {answer.read()!r}")
            events = [line[6:] for line in answer.iter_lines() if line]
        if events[-1] != "[DONE]":
            raise ValueError(f"cut: {events[-1]}")
        chunks = [json.loads(event) for event in events[:-1]]
        versions = {chunk["system_fingerprint"] for chunk in chunks} | {answer.headers["x-thord-version"]}
        if len(versions) != 1:
            raise ValueError(f"mixed: {versions}")
        self.answers.append((versions.pop(), prompt, "".join(chunk["choices"][0]["text"] for chunk in chunks)))


def expected_answers(server: Server, versions: range, tokens: int = 24) -> dict[tuple[str, str], str]:
    """What an isolated plain loop on each version says."""
    found = {}
    for number in versions:
        loaded = server.load(number)
        for prompt in PROMPTS:
            ids = greedy(loaded, server.text_prompt(prompt), tokens)
            found[f"{number:06d}", prompt] = server.tokenizer.decode(ids)
    return found


def test_swaps_under_streaming_load(start_server: StartServer) -> None:
    server = start_server(versions=3)
    expected = expected_answers(server, range(1, 4))
    with Load(server, clients=12) as load:
        load.wait_for("000003")
        for number in (1, 2, 3, 2, 1, 3, 2):
            server.promote(number)
            began = time.time()
            load.wait_for(f"{number:06d}")
            assert time.time() - began < 20
    assert load.faults == []
    assert {each[0] for each in load.answers} == {"000001", "000002", "000003"}
    for made_by, prompt, text in load.answers:
        assert text == expected[made_by, prompt]


def test_pins_and_previous(start_server: StartServer) -> None:
    server = start_server(versions=3)
    with server.http() as client:

        def version_of(model: str) -> str:
            answer = client.post("/v1/completions", json={"model": model, "prompt": "a", "max_tokens": 1})
            return answer.headers.get("x-thord-version") or answer.json()["error"]["code"]

        assert version_of("thor@previous") == "model_not_found"
        server.promote(2)
        assert version_of("thor") == "000002"
        assert version_of("thor@000003") == version_of("thor@3") == version_of("thor@previous") == "000003"
        assert version_of("thord@previous") == "000003"
        assert version_of("thor@000001") == "model_not_found"
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == [
            "thor",
            "thor@000003",
            "thor@000002",
        ]
        server.promote(1)
        assert version_of("thor@000002") == "000002"
        assert version_of("thor@000003") == "model_not_found", "two versions are in memory"
        for number in (2, 3, 2, 1):
            server.promote(number)
            assert version_of("thor") == f"{number:06d}", "after the commit nothing new goes to the version before"


def test_commands_may_be_repeated_and_a_commit_may_come_unprepared(start_server: StartServer) -> None:
    """As after a crash of the server between prepare and commit."""
    server = start_server(versions=2)
    assert server.worker.expect(Serving).version == 2
    assert server.worker.ask(Commit(version=1), Serving) == Serving(version=1, resident=(1, 2))
    for _ in range(2):
        assert server.worker.ask(Prepare(version=2), Prepared).version == 2
    for _ in range(2):
        assert server.worker.ask(Commit(version=2), Serving) == Serving(version=2, resident=(1, 2))
    assert server.worker.ask(Prepare(version=2), Prepared).version == 2
    for _ in range(2):
        server.worker.send(Abandon(version=2))
    assert server.worker.ask(Commit(version=2), Serving).version == 2


def test_a_new_server_takes_up_what_is_current(start_server: StartServer) -> None:
    server = start_server(versions=2)
    artifacts.point(server.paths.current, server.paths.version(1))
    server.worker.kill()
    again = start_server(versions=2)
    assert again.worker.expect(Serving).version == 1


def test_before_the_first_version(start_server: StartServer) -> None:
    server = start_server(versions=0)
    assert server.worker.expect(Serving) == Serving(version=None, resident=())
    with server.http() as client:
        for path in ("/v1/completions", "/v1/chat/completions", "/v1/score"):
            body = {"prompt": "a", "text": "a", "messages": [{"role": "user", "content": "a"}]}
            answer = client.post(path, json=body)
            assert answer.status_code == 503
            assert "no version exists yet" in answer.json()["error"]["message"]
            assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
        assert "no version exists yet" in client.get("/readyz").json()["reason"]
        assert client.get("/v1/models").json() == {"object": "list", "data": []}
        server.publish(1)
        server.promote(1)
        assert client.get("/readyz").json() == {"status": "ready", "version": "000001"}
        assert client.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}).status_code == 200


# Bad versions --------------------------------------------------------------------------------------------------------


def resealed(folder: Path) -> None:
    """Make the manifest say what the files are now: the fault is then in what they mean."""
    manifest = artifacts.read_version_manifest(folder)
    files = artifacts.record_files(folder)
    value = json.loads(manifest.model_copy(update={"files": files}).model_dump_json())
    (folder / "manifest.json").unlink()
    artifacts.write_json(folder / "manifest.json", value)


def flip_a_bit(folder: Path) -> None:
    file = folder / version.WEIGHTS
    data = bytearray(file.read_bytes())
    data[-77] ^= 4
    file.unlink()
    file.write_bytes(data)


def truncate(folder: Path) -> None:
    file = folder / version.WEIGHTS
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data[: len(data) // 2])


def truncate_and_reseal(folder: Path) -> None:
    truncate(folder)
    resealed(folder)


def change_weights(folder: Path, change: Callable[[dict], None]) -> None:
    weights = load_file(folder / version.WEIGHTS)
    change(weights)
    (folder / version.WEIGHTS).unlink()
    save_file(weights, folder / version.WEIGHTS)
    resealed(folder)


def drop_a_tensor(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.pop("model.norm.weight"))


def reshape_a_tensor(folder: Path) -> None:
    def cut(weights: dict) -> None:
        weights["model.norm.weight"] = weights["model.norm.weight"][:-1].contiguous()

    change_weights(folder, cut)


def poison(folder: Path) -> None:
    def poisoned(weights: dict) -> None:
        weights["model.layers.1.mlp.up_proj.weight"][3, 5] = float("nan")

    change_weights(folder, poisoned)


def overflow(folder: Path) -> None:
    def huge(weights: dict) -> None:
        weights["model.norm.weight"].fill_(3e38)

    change_weights(folder, huge)


def foreign_tokenizer(folder: Path) -> None:
    other = bpe.train(["something else entirely, of the same size " * 20], vocabulary=400, sample_bytes=1 << 20)
    shutil.rmtree(folder)
    make_version(folder, int(folder.name), other, SMALL)


def broken_tokenizer(folder: Path) -> None:
    (folder / version.TOKENIZER).unlink()
    (folder / version.TOKENIZER).write_text("{}")
    resealed(folder)


def other_number(folder: Path) -> None:
    shutil.rmtree(folder)
    tokenizer = bpe.load(folder.with_name("000001"))
    make_version(folder, 9, tokenizer, SMALL)


def no_config(folder: Path) -> None:
    (folder / version.CONFIG).unlink()


def absent(folder: Path) -> None:
    shutil.rmtree(folder)


BAD = {
    flip_a_bit: "sha256",
    truncate: "bytes, the manifest says",
    truncate_and_reseal: "model.safetensors",
    drop_a_tensor: "missing: ['model.norm.weight']",
    reshape_a_tensor: "[63], the model needs [64]",
    poison: "NaN or infinity in model.layers.1.mlp.up_proj.weight",
    overflow: "NaN or infinite",
    foreign_tokenizer: "foreign tokenizer",
    broken_tokenizer: "tokenizer",
    other_number: "version 9",
    no_config: "config.json",
    absent: "manifest.json",
}


def test_bad_versions_are_refused_while_answers_go_on(server: Server) -> None:
    expected = expected_answers(server, range(1, 2))
    with Load(server, clients=4) as load:
        load.wait_for("000001")
        for number, (spoil, reason) in enumerate(BAD.items(), start=2):
            folder = server.publish(number)
            spoil(folder)
            for command in (Prepare(version=number), Commit(version=number)):
                refused = server.worker.ask(command, Refused)
                assert refused.version == number
                assert reason in refused.reason, spoil.__name__
            load.answers.clear()
            load.wait_for("000001")
        good = len(BAD) + 2
        server.publish(good)
        server.promote(good)
        load.wait_for(f"{good:06d}")
    assert load.faults == []
    for made_by, prompt, text in load.answers:
        if made_by == "000001":
            assert text == expected[made_by, prompt]
    with server.http() as client:
        assert client.get("/readyz").json()["version"] == f"{good:06d}"


def test_a_damaged_current_is_said_and_a_good_version_mends_it(start_server: StartServer) -> None:
    server = start_server(versions=1)
    server.worker.kill()
    flip_a_bit(server.paths.version(1))
    again = start_server(ready=False)
    assert "sha256" in again.worker.expect(Refused).reason
    again.worker.expect(Ready)
    with again.http() as client:
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "sha256" in ready.json()["reason"]
        assert client.post("/v1/completions", json={"prompt": "a"}).status_code == 503
        again.publish(2)
        again.promote(2)
        assert client.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}).status_code == 200


def test_versions_may_differ_in_size(server: Server) -> None:
    """A prompt is judged by the context of the version it runs on."""
    server.publish(2, ModelSettings(hidden=32, layers=1, heads=2, kv_heads=2, feed_forward=64, context=32))
    with server.http() as client:
        body = {"prompt": "fox " * 60, "max_tokens": 1}
        assert client.post("/v1/completions", json=body).status_code == 200
        server.promote(2)
        refused = client.post("/v1/completions", json=body)
        assert refused.status_code == 400
        assert "context is 32" in refused.json()["error"]["message"]
        assert client.post("/v1/completions", json=body | {"model": "thor@previous"}).status_code == 200


def test_the_memory_of_versions_comes_back(start_server: StartServer) -> None:
    server = start_server(versions=3)
    for number in (1, 2, 3):
        server.promote(number)
    before = resident_megabytes(server)
    for number in [1, 2, 3] * 8:
        server.promote(number)
    assert resident_megabytes(server) < 1.05 * before


def resident_megabytes(server: Server) -> float:
    status = Path(f"/proc/{server.worker.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def test_the_drain_deadline_over_http(start_server: StartServer) -> None:
    """Two slots are full of answers, a third version comes: streams get an error event, whole answers begin anew."""
    big = ModelSettings(hidden=128, layers=6, heads=4, kv_heads=2, feed_forward=512, context=3072)
    server = start_server(versions=0, settings=server_settings(inference={"drain_seconds": 0.3}))
    server.publish(1, big)
    for number in (2, 3):
        server.publish(number)
    server.promote(1)
    body = {"prompt": "a", "max_tokens": 3000, "ignore_eos": True, "temperature": 0}
    answers: dict[str, httpx.Response] = {}

    def whole() -> None:
        with server.http() as client:
            answers["whole"] = client.post("/v1/completions", json=body)

    thread = threading.Thread(target=whole)
    with server.http() as client, client.stream("POST", "/v1/completions", json=body | {"stream": True}) as stream:
        lines = stream.iter_lines()
        next(lines)
        thread.start()
        deadline = time.monotonic() + 30
        while "running_sequences 2" not in client.get("/metrics").text:
            assert time.monotonic() < deadline
        server.promote(2)
        server.promote(3)
        events = [line for line in lines if line]
    thread.join()
    assert "version 000001 was replaced" in json.loads(events[-1][6:])["error"]["message"]
    assert "[DONE]" not in events[-1]
    assert answers["whole"].status_code == 200
    assert answers["whole"].headers["x-thord-version"] in ("000002", "000003")
