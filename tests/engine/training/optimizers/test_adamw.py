"""Optimizers against those of torch, their state by name, and which weights they treat alike."""

import pytest
import torch
from torch import nn

from engine.config.model import ModelSettings
from engine.config.training import TrainingSettings
from engine.models import registry
from engine.training.optimizers import muon
from engine.training.optimizers import registry as optimizers
from engine.training.optimizers.groups import groups


def small_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3), nn.Linear(3, 2))


def named(model):
    return dict(model.named_parameters())


def steps(model, step, count, first=0) -> None:
    for number in range(first, first + count):
        model.zero_grad()
        model(torch.full((2, 4), float(number)).cumsum(1)).square().sum().backward()
        step()


def test_it_is_the_adamw_of_torch_with_decay_in_matrices_only() -> None:
    settings = TrainingSettings(learning_rate=1e-2, weight_decay=0.3)
    ours, theirs = small_model(), small_model()
    optimizer = optimizers.make(named(ours), (), settings, torch.float32)
    matrices = {"params": [w for w in theirs.parameters() if w.ndim == 2], "weight_decay": 0.3}
    others = {"params": [w for w in theirs.parameters() if w.ndim == 1], "weight_decay": 0.0}
    reference = torch.optim.AdamW([matrices, others], lr=1e-2, betas=(settings.beta1, settings.beta2))
    steps(ours, lambda: optimizer.step(1e-2), 5)
    steps(theirs, reference.step, 5)
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_restored_it_goes_on_bit_for_bit(optimizer: str) -> None:
    settings = TrainingSettings(optimizer=optimizer)
    whole, other = small_model(), small_model()
    first, second = (optimizers.make(named(model), (), settings, torch.float32) for model in (whole, other))
    steps(whole, lambda: first.step(1e-2), 3)
    other.load_state_dict(whole.state_dict())
    second.restore({name: tensor.clone() for name, tensor in first.state().items()})
    steps(whole, lambda: first.step(1e-2), 2, first=3)
    steps(other, lambda: second.step(1e-2), 2, first=3)
    assert all(torch.equal(one, two) for one, two in zip(whole.parameters(), other.parameters(), strict=True))


def test_a_weight_without_a_gradient_stays() -> None:
    model = small_model()
    optimizer = optimizers.make(named(model), (), TrainingSettings(), torch.float32)
    optimizer.step(1e-2)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), small_model().parameters(), strict=True))


def test_muon_is_that_of_torch() -> None:
    torch.manual_seed(1)
    ours, theirs = ([nn.Parameter(torch.randn(shape)) for shape in ((6, 9), (9, 6), (7, 7))] for _ in range(2))
    for one, two in zip(ours, theirs, strict=True):
        two.data.copy_(one.data)
    optimizer = muon.Muon({str(n): weight for n, weight in enumerate(ours)}, 0.2, torch.bfloat16)
    reference = torch.optim.Muon(theirs, lr=1e-2, weight_decay=0.2, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for one, two in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            two.grad = one.grad.clone()
        optimizer.step(1e-2)
        reference.step()
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (12, 5)])
def test_what_moves_a_matrix_is_about_orthogonal(shape: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(muon.orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(2))))
    assert values.min() > 0.5
    assert values.max() < 1.3


FAMILIES = {
    "thor": ({"tied": False}, {"model.embed_tokens.weight", "lm_head.weight"}),
    "gpt2": ({}, {"transformer.wte.weight", "transformer.wpe.weight"}),
    "char_lstm": ({"tied": False}, {"embedding", "head"}),
    "agiformer": ({}, {"reader.embedding", "places", "head.weight", "start"}),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_is_in_the_group_it_belongs_to(family) -> None:
    shape, embeddings = FAMILIES[family]
    model = registry.skeleton(ModelSettings(family=family, preset="tiny", **shape), 264)
    found = groups(
        dict(registry.module(model).named_parameters()),
        model.family.embeddings,
        TrainingSettings(weight_decay=0.3, embedding_weight_decay=0.2),
    )
    assert found.embeddings.weights.keys() == embeddings
    assert {weight.ndim for weight in found.others.weights.values()} == {1}
    assert {weight.ndim for weight in found.matrices.weights.values()} == {2}
    assert len(found.matrices.weights) > 1
    assert (found.matrices.weight_decay, found.embeddings.weight_decay, found.others.weight_decay) == (0.3, 0.2, 0.0)
    every = [name for part in (found.matrices, found.embeddings, found.others) for name in part.weights]
    assert sorted(every) == sorted(name for name, _ in model.named_parameters())
