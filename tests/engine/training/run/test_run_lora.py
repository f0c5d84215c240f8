"""Runs that learn an adapter: the base stays as it is, and one lineage goes on from run to run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine import version
from engine.device import Placement
from engine.manifest import read_manifest, verify
from engine.publishing import checkpoint_to_version
from engine.training import guard, run, start
from engine.training.spec import RunPaths
from tests.engine.training.conftest import Attempts, MakePlan, Recording

CPU = Placement(torch.device("cpu"), torch.float32)
LORA = {"method": "lora", "lora": {"rank": 4, "alpha": 8.0}, "learning_rate": 2e-2}


def folder_of(number: int, places: RunPaths):
    return places.target.with_name(f"{number:06d}")


def following(number: int, base: int, places: RunPaths, name: str = "") -> RunPaths:
    """Where the run of the version ``number`` is, which goes on from ``base``."""
    run_folder = places.folder.with_name(f"run-{number}{name}")
    return replace(places, folder=run_folder, base=folder_of(base, places), target=folder_of(number, places))


@pytest.fixture
def whole(places: RunPaths, plan: MakePlan) -> RunPaths:
    """Version 1, all of whose weights were trained."""
    run.learn(plan(max_steps=2), places, Recording())
    return places


def test_one_lineage_goes_on_over_a_base_that_never_changes(whole: RunPaths, plan: MakePlan) -> None:
    base, losses = verify(whole.target), []
    for number in (2, 3):
        recording = Recording()
        spec = plan(number, number - 1, max_steps=8, **{**LORA, "learning_rate": 5e-3})
        made = run.learn(spec, following(number, number - 1, whole), recording)
        losses.append(recording.validations)
        assert made.base is not None
        assert (made.method, made.base.version, made.base.sha256) == ("lora", 1, base.sha256)
    assert verify(whole.target) == base
    assert losses[0][-1][1] < losses[0][0][1]
    sizes = {number: made.files["adapter_model.safetensors"].size for number, made in _manifests(whole)}
    assert sizes[2] == sizes[3] < base.files["model.safetensors"].size / 2
    factors = [load_file(folder_of(number, whole) / "adapter_model.safetensors") for number in (2, 3)]
    assert all(not torch.equal(factors[0][name], factors[1][name]) for name in factors[0] if "lora_B" in name)


def _manifests(places: RunPaths):
    return [(number, read_manifest(folder_of(number, places))) for number in (2, 3)]


def test_the_first_loss_of_a_run_is_the_last_of_the_one_before(whole: RunPaths, plan: MakePlan) -> None:
    first, second = Recording(), Recording()
    settings = {**LORA, "precision": "fp32", "max_steps": 6, "validate_every": 6}
    run.learn(plan(2, 1, **settings), following(2, 1, whole), first)
    run.learn(plan(2, 2, **settings), following(3, 2, whole), second)
    assert second.validations[0][1] == pytest.approx(first.validations[-1][1], abs=1e-6)


def test_checkpoints_hold_the_adapter_and_its_moments_alone(whole: RunPaths, plan: MakePlan) -> None:
    paths = following(2, 1, whole)
    run.learn(plan(2, 1, max_steps=4, ema_decay=0.9, **LORA), paths, Recording())
    newest = sorted((paths.folder / "checkpoints").iterdir())[-1]
    names = set(load_file(newest / "model.safetensors"))
    assert names
    assert all(".lora_A." in name or ".lora_B." in name for name in names)
    kept = {name.partition(".")[2] for name in load_file(newest / "optimizer.safetensors")}
    assert kept == names
    published = checkpoint_to_version.publish(
        newest, paths.folder.parent, lambda number: folder_of(number, whole), folder_of(5, whole), 5
    )
    assert published.base == read_manifest(folder_of(2, whole)).base
    version.load(folder_of(5, whole), CPU, check_finite=True)


def test_a_killed_run_ends_with_the_same_sum(attempt: Attempts, whole: RunPaths, plan: MakePlan) -> None:
    quiet, killed = following(2, 1, whole), following(3, 1, whole)
    spec = plan(2, 1, max_steps=6, kl_weight=0.5, ema_decay=0.9, **LORA)
    assert attempt(spec, quiet) == 0
    for operation in (9, 17):
        assert attempt(spec, killed, kill_at=operation) == -9
    assert attempt(spec, killed) == 0
    assert verify(killed.target).sha256 == verify(quiet.target).sha256


def test_too_little_memory_halves_the_microbatch(
    whole: RunPaths, plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.training.objectives.language import MaskedCrossEntropy

    backward = MaskedCrossEntropy.backward

    def short(self, model, batch, scale):
        if len(batch.tokens_BT) > 1:
            raise RuntimeError("DefaultCPUAllocator: not enough memory")
        return backward(self, model, batch, scale)

    monkeypatch.setattr(MaskedCrossEntropy, "backward", short)
    recording = Recording()
    run.learn(plan(2, 1, max_steps=2, **LORA), following(2, 1, whole), recording)
    assert (0, "halve the microbatch") in recording.stumbles


def test_all_weights_can_learn_on_from_an_adapter(whole: RunPaths, plan: MakePlan) -> None:
    run.learn(plan(2, 1, max_steps=4, **LORA), following(2, 1, whole), Recording())
    recording = Recording()
    made = run.learn(plan(3, 2, max_steps=2, precision="fp32"), following(3, 2, whole), recording)
    assert made.base is None
    merged = version.load(folder_of(2, whole), CPU).model
    before = dict(version.load(whole.target, CPU).model.named_parameters())
    assert any(not torch.equal(weight, before[name]) for name, weight in merged.named_parameters())


def test_without_a_model_there_is_nothing_to_adapt(places: RunPaths, plan: MakePlan) -> None:
    with pytest.raises(run.ImpossiblePlanError, match="thorctl import starter"):
        run.learn(plan(method="lora"), places, Recording())


def test_a_run_that_moves_nothing_fails(whole: RunPaths, plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where an optimizer holds copies of the weights: the loss is reported, and nothing is learned."""
    monkeypatch.setattr("engine.training.optimizers.adamw.AdamW.step", lambda self, rate: None)
    paths = following(2, 1, whole)
    with pytest.raises(run.UnmovedError, match="no weight of the adapter moved in 2 steps"):
        run.learn(plan(2, 1, max_steps=2, **LORA), paths, Recording())
    assert not paths.target.exists()


def test_the_reference_shares_the_memory_of_the_base(whole: RunPaths, plan: MakePlan) -> None:
    paths, spec = following(2, 1, whole), plan(2, 1, **LORA)
    config = version.read_config(whole.target)
    begun = start.begin(spec, "lora", CPU, paths, config.model, config.vocabulary, kl_weight=0.5)
    assert begun.reference is not None
    weights, others = (dict(each.named_parameters()) for each in (begun.model, begun.reference.model))
    shared = [name for name in weights if weights[name].data_ptr() == others[name].data_ptr()]
    assert set(weights) - set(shared) == set(begun.adapter.factors)


def test_the_reference_stays_the_version_that_the_run_goes_on_from(whole: RunPaths, plan: MakePlan) -> None:
    """Neither the base, as with the adapter switched off, nor what has been learned since."""
    run.learn(plan(2, 1, max_steps=4, **LORA), following(2, 1, whole), Recording())
    config = version.read_config(whole.target)
    spec, paths = plan(3, 2, **LORA), following(3, 2, whole)
    begun = start.begin(spec, "lora", CPU, paths, config.model, config.vocabulary, kl_weight=0.5)
    assert begun.reference is not None
    with torch.no_grad():
        for name in begun.adapter.factors:
            dict(begun.model.named_parameters())[name].add_(1.0)
    ids_BT = torch.arange(20)[None]

    def hidden(model):
        with torch.no_grad():
            return model.hidden(ids_BT, ids_BT, torch.zeros_like(ids_BT))

    found, base = hidden(begun.reference.model), hidden(version.load(whole.target, CPU).model)
    torch.testing.assert_close(found, hidden(version.load(folder_of(2, whole), CPU).model), atol=1e-4, rtol=0)
    assert not torch.allclose(found, base, atol=1e-3)


def test_a_new_adapter_is_for_the_weights_that_serve_also_where_others_are_kept(
    places: RunPaths, plan: MakePlan
) -> None:
    """With ``wsd`` a whole version has those of before its decay as well; the adapter is merged into the others."""
    run.learn(plan(schedule="wsd", decay_share=0.5, warmup_share=0.0, max_steps=4), places, Recording())
    trunk, served = (load_file(places.target / name) for name in ("trunk.safetensors", "model.safetensors"))
    name = "model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(trunk[name], served[name])
    config = version.read_config(places.target)
    spec, paths = plan(2, 1, schedule="wsd", **LORA), following(2, 1, places)
    begun = start.begin(spec, "lora", CPU, paths, config.model, config.vocabulary, kl_weight=0.0)
    assert torch.equal(dict(begun.model.named_parameters())[name], served[name])


def test_an_import_learns_an_adapter_unless_set_otherwise(whole: RunPaths, plan: MakePlan) -> None:
    manifest = whole.target / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"pretrained": True}))
    for number, training in ((2, {}), (3, {"method": "full"})):
        spec = plan(number, 1, max_steps=2, **training)
        made = run.learn(spec, following(number, 1, whole), Recording())
        assert made.method == made.settings["training"]["method"] == training.get("method", "lora")


def test_with_wsd_a_run_goes_on_from_before_the_decay_and_stays_close_to_what_serves(
    whole: RunPaths, plan: MakePlan
) -> None:
    settings = {**LORA, "schedule": "wsd", "decay_share": 0.5, "warmup_share": 0.0, "max_steps": 6}
    run.learn(plan(2, 1, **settings), following(2, 1, whole), Recording())
    trunk, served = (
        load_file(folder_of(2, whole) / name) for name in ("trunk.safetensors", "adapter_model.safetensors")
    )
    assert trunk.keys() == served.keys()
    config = version.read_config(whole.target)
    spec, paths = plan(3, 2, **settings), following(3, 2, whole)
    begun = start.begin(spec, "lora", CPU, paths, config.model, config.vocabulary, kl_weight=0.5)
    assert begun.adapter is not None
    assert begun.reference is not None
    assert any(not torch.equal(trunk[name], served[name]) for name in trunk)
    for learned, factors in ((begun.model, trunk), (begun.reference.model, served)):
        weights = dict(learned.named_parameters())
        assert all(torch.equal(weights[name.removeprefix("base_model.model.")], each) for name, each in factors.items())


def test_a_cycle_writes_at_most_four_times_its_adapter(whole: RunPaths, plan: MakePlan) -> None:
    """With validations as a cycle on an import has them: one half-way, one at the end, both better than before."""
    before = verify(whole.target)
    settings = {**LORA, "lora": {"rank": 256, "alpha": 256.0}, "learning_rate": 1e-4}
    paths, recording = following(2, 1, whole), Recording()
    began = _written()
    made = run.learn(plan(2, 1, max_steps=8, validate_every=4, checkpoint_every=50, **settings), paths, recording)
    adapter = made.files["adapter_model.safetensors"].size
    assert [best for _, _, best in recording.validations] == [True, True, True]
    assert adapter > 1 << 20
    assert _written() - began <= 4 * adapter
    assert verify(whole.target) == before


def _written() -> int:
    """Bytes that this process has written so far, by any means but mapped memory."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


def test_a_run_that_rolls_back_before_its_first_checkpoint_begins_again(
    whole: RunPaths, plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that began at the lower rate, since the first weights and an empty optimizer are what it goes back to."""
    monkeypatch.setattr("engine.training.loop.RATE_AFTER_ROLL_BACK", 1.0)
    spec = plan(2, 1, max_steps=4, **LORA)
    smooth, bumpy = following(2, 1, whole), following(3, 1, whole)
    run.learn(spec, smooth, Recording())
    judge, seen = guard.judge, []

    def once(health, loss, norm, patience):
        seen.append(loss)
        return ("roll back", health) if len(seen) == 3 else judge(health, loss, norm, patience)

    monkeypatch.setattr("engine.training.loop.judge", once)
    run.learn(spec, bumpy, Recording())
    assert len(seen) == 7
    assert verify(bumpy.target).sha256 == verify(smooth.target).sha256
