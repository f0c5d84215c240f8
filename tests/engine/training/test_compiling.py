"""Compiled blocks learn what plain ones learn; where nothing can compile, that is said before the first step."""

import functools
import shutil

import pytest
import torch
import torch._inductor.config

from engine.config.model import ModelSettings
from engine.device import ImpossiblePlacementError
from engine.models import registry
from engine.training import activation_checkpointing, compiling

CPU = torch.device("cpu")
ONE_LAYER = {"hidden": 32, "heads": 4, "kv_heads": 2, "feed_forward": 64, "layers": 1}
COMPILED_FAST = {
    "compile_threads": 1,
    "cpp.vec_isa_ok": True,
    "cpp.simdlen": 1,
    "aot_inductor.debug_compile": True,
    "cpp_cache_precompile_headers": False,
}
"""Torch's compiler as in a run, but g++ neither probes the processor nor optimises: half the time."""


def gradients(compiled):
    settings = ModelSettings(family="thor", preset="tiny", **ONE_LAYER)
    model = registry.build(settings, 264, seed=5)
    module = registry.module(model).train()
    if compiled:
        compiling.apply(registry.blocks(model), CPU)
    activation_checkpointing.apply(registry.blocks(model), "full")
    tokens_BT = torch.randint(0, 264, (2, 24), generator=torch.Generator().manual_seed(1))
    documents_BT = (torch.arange(24) >= 10).long().expand(2, -1)
    positions_BT = torch.where(documents_BT == 1, torch.arange(24) - 10, torch.arange(24))
    hidden_BTD = model.hidden(tokens_BT, positions_BT, documents_BT)
    model.logits(hidden_BTD.flatten(0, 1)).square().mean().backward()
    return {name: weight.grad for name, weight in module.named_parameters()}


@pytest.mark.timeout(300)
@pytest.mark.skipif(not shutil.which("g++"), reason="NOT TESTED: there is no g++ to compile with")
def test_gradients_are_those_of_plain_blocks() -> None:
    plain = gradients(compiled=False)
    with torch._inductor.config.patch(COMPILED_FAST):
        compiled = gradients(compiled=True)
    for name, gradient in plain.items():
        torch.testing.assert_close(compiled[name], gradient, rtol=1e-4, atol=1e-7, msg=name)


def test_rows_of_ever_other_numbers_of_patches_are_compiled_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agiformer's documents begin with a patch of their own, so that each row has another number of them."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))  # counts, and is fast
    monkeypatch.setattr(compiling, "_lacking", lambda device: None)
    shape = {"hidden": 32, "heads": 4, "feed_forward": 64, "layers": 1, "thinking_steps": 0}
    settings = ModelSettings(family="agiformer", preset="tiny", **shape)
    model = registry.build(settings, 264, seed=5)
    registry.module(model).train()
    compiling.apply(registry.blocks(model), CPU)
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for documents in range(1, 9):
        documents_BT = torch.arange(64)[None] * documents // 64
        begins_BT = torch.tensor([[int((documents_BT[0] == number).nonzero()[0]) for number in documents_BT[0]]])
        hidden_BTD = model.hidden(torch.zeros(1, 64, dtype=torch.long), torch.arange(64) - begins_BT, documents_BT)
        hidden_BTD.sum().backward()
    blocks = len(registry.blocks(model))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] - before <= 2 * blocks + 1


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    model = registry.build(ModelSettings(family="thor", preset="tiny", **ONE_LAYER), 264, seed=5)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ImpossiblePlacementError, match=r"training\.compile needs a C\+\+ compiler"):
        compiling.apply(registry.blocks(model), CPU)


def test_a_family_without_blocks_is_refused() -> None:
    model = registry.build(ModelSettings(family="char_lstm", preset="tiny"), 264, seed=5)
    with pytest.raises(ImpossiblePlacementError, match="no blocks to compile"):
        compiling.apply(registry.blocks(model), CPU)
