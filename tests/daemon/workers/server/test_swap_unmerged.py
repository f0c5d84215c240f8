"""Memory that holds one merged version: adapters are computed beside a base that they share, and nothing pauses."""

import torch

from daemon.messages import Abandon, Commit, Prepare, Prepared, Refused, Serving
from engine import version
from engine.adapters import adapter as adapters
from engine.adapters.adapter import B
from engine.adapters.config import AdapterConfig
from engine.manifest import Base, Lineage, read_manifest
from engine.models import registry
from tests.daemon.workers.server.harness import Server, StartServer, server_settings
from tests.daemon.workers.server.load import Load, expected_answers
from tests.daemon.workers.server.test_swap_in_place import ROOMY

MEGABYTES = 48
"""A version takes 29 of them, 17 for its weights."""


def publish_adapter(server: Server, number: int) -> None:
    """For version 1, so strong that it answers otherwise."""
    model = registry.skeleton(ROOMY, server.tokenizer.vocabulary)
    new, draw = adapters.new(model, AdapterConfig(rank=4, alpha=8.0), seed=1), torch.Generator().manual_seed(number)
    factors = {
        name: torch.randn(factor.shape, generator=draw) if name.endswith(B) else factor
        for name, factor in new.factors.items()
    }
    base = Base(version=1, sha256=read_manifest(server.paths.version(1)).sha256)
    lineage = Lineage(number, 1, number, "0" * 64, 0, {}, 0.0, {})
    folder = server.paths.version(number)
    version.publish(folder, new.with_factors(factors), ROOMY, server.tokenizer, lineage, base=base)


def test_adapters_come_and_go_beside_one_base_under_streaming_load(start_server: StartServer) -> None:
    server = start_server(versions=0, settings=server_settings(inference={"memory_megabytes": MEGABYTES}))
    server.publish(1, ROOMY)
    for number in (2, 3):
        publish_adapter(server, number)
    server.promote(1)
    expected = expected_answers(server, range(1, 4), tokens=12)
    assert len({text for (_, prompt), text in expected.items() if prompt == "a"}) == 3
    with Load(server, clients=2, tokens=12) as load:
        load.wait_for("000001")
        for number in (2, 3, 1):
            assert not server.worker.ask(Prepare(version=number), Prepared).in_place
            server.promote(number)
            load.wait_for(f"{number:06d}")
    load.check(expected)
    assert server.worker.received(Refused) == []
    assert "answers pause" not in server.worker.log
    told = server.worker.ask(Commit(version=1), Serving)
    assert (told.resident, told.kept) == ((1, 2, 3), (2,))
    assert told.forms == {1: "whole", 2: "unmerged", 3: "unmerged"}
    with server.http() as client:
        for number in (2, 3, 1):
            body = {"model": f"thor@{number}", "prompt": "a", "max_tokens": 12, "temperature": 0, "ignore_eos": True}
            answer = client.post("/v1/completions", json=body).json()["choices"][0]["text"]
            assert answer == expected[f"{number:06d}", "a"]
        weights = server.paths.version(2) / "adapter_model.safetensors"
        weights.rename(weights.with_suffix(".removed"))
        told = server.worker.ask(Abandon(version=2), Serving)
        assert told.resident == (1, 3)
        gone = client.post("/v1/completions", json={"model": "thor@2", "prompt": "a"})
        assert gone.json()["error"]["code"] == "model_not_found"
