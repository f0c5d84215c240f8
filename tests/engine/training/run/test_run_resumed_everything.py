"""Every family, with all that a run can have on at once, ends alike whether it was stopped, killed, damaged, or not.

On are: dropout, packing, replay, augmentation, accumulation, averages, label smoothing, KL to a base, Muon, WSD,
recomputation where the family has blocks, checkpoints in the background and each epoch, an early stop, and a test set.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine import artifacts, device
from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.data import snapshot
from engine.data.samples import Conversation
from engine.manifest import verify
from engine.training import run
from engine.training.reporting.reporter import Stopped
from engine.training.spec import RunPaths, RunSpec
from tests.engine.training.conftest import Attempts, MakePlan, Recording

EVERYTHING = {
    "optimizer": "muon",
    "schedule": "wsd",
    "ema_decay": 0.9,
    "label_smoothing": 0.1,
    "kl_weight": 0.1,
    "activation_checkpointing": "selective",
    "augmented_copies": 1,
    "keep_epochs": True,
    "validate_epochs": True,
    "test_share": 0.2,
    "max_steps": 30,
}
SMALL = {"hidden": 32, "layers": 2, "context": 64, "dropout": 0.1}
MODELS = {
    "thor": ModelSettings(preset="tiny", heads=4, kv_heads=2, feed_forward=64, **SMALL),
    "gpt2": ModelSettings(family="gpt2", preset="tiny", heads=4, **SMALL),
    "char_lstm": ModelSettings(family="char_lstm", preset="tiny", **SMALL),
    "agiformer": ModelSettings(family="agiformer", preset="tiny", heads=4, feed_forward=64, **SMALL),
}
RATES = dict.fromkeys(MODELS, 6e-2) | {"agiformer": 1.0, "gpt2": 0.15, "char_lstm": 0.15}
"""So high that a run soon gets worse, and ends early."""
PATIENCE = dict.fromkeys(MODELS, 1) | {"gpt2": 2}
"""gpt2 gets worse in its second step, and the others later."""
OF_BYTES = {"char_lstm", "agiformer"}
WITHOUT_BLOCKS = {"char_lstm"}


@dataclass
class Story:
    """A second cycle of one family, its undisturbed end, and room for others."""

    plan: RunSpec
    home: Path
    quiet: RunPaths

    def elsewhere(self, name: str) -> RunPaths:
        """The same run in a folder of its own."""
        return replace(self.quiet, folder=self.home / name, target=self.home / "versions" / name)


@pytest.fixture(scope="module", params=MODELS)
def story(
    request: pytest.FixtureRequest,
    attempt: Attempts,
    plan: MakePlan,
    conversations: list[Conversation],
    tmp_path_factory: pytest.TempPathFactory,
):
    """A base version, a snapshot with replay, and the run that nobody disturbs."""
    family, home = request.param, tmp_path_factory.mktemp(request.param)
    its_own = {
        "model": MODELS[family],
        "tokenizer": TokenizerSettings(kind="bytes" if family in OF_BYTES else "bpe", vocabulary=400),
    }
    settings = EVERYTHING | {"learning_rate": RATES[family], "early_stopping_patience": PATIENCE[family]}
    if family in WITHOUT_BLOCKS:
        settings["activation_checkpointing"] = "none"
    in_bf16 = family != "char_lstm" or device.capabilities("cpu").trains_lstm_bf16
    precision = "bf16" if in_bf16 else "fp32"
    plans = plan(max_steps=4, precision=precision), plan(version=2, base=1, precision=precision, **settings)
    first, second = (made.model_copy(update=its_own) for made in plans)
    for name, origins in (("snapshot-1", ["new"]), ("snapshot-2", ["new", "new", "replay"])):
        examples = [
            snapshot.Example(one, one.identity, origins[number % len(origins)])
            for number, one in enumerate(conversations)
        ]
        snapshot.write(home / name, examples, [])
    base = home / "versions" / "000001"
    assert attempt(first, RunPaths(home / "run-1", home / "snapshot-1", None, base)) == 0
    quiet = RunPaths(home / "quiet", home / "snapshot-2", base, home / "versions" / "quiet")
    assert attempt(second, quiet) == 0
    return Story(second, home, quiet)


def lines(places: RunPaths) -> Iterator[dict]:
    yield from map(json.loads, (places.folder / "metrics.jsonl").read_text().splitlines())


def check_equal(story: Story, found: RunPaths) -> None:
    """Weights, averages, optimizer, progress, losses, norms and the data they came from."""
    one, other = verify(story.quiet.target), verify(found.target)
    assert other.sha256 == one.sha256
    timeless = [{k: v for k, v in each.metrics.items() if k != "tokens_per_second"} for each in (one, other)]
    assert timeless[0] == timeless[1]
    last = f"{int(one.metrics['steps']):06d}"
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert len({artifacts.sha256_of(p.folder / "checkpoints" / last / name) for p in (story.quiet, found)}) == 1
    assert artifacts.sha256_of(found.folder / "data" / "train" / "ids.i32") == artifacts.sha256_of(
        story.quiet.folder / "data" / "train" / "ids.i32"
    )
    assert epoch_table(found) == epoch_table(story.quiet)
    told = ("step", "loss", "kl", "gradient_norm", "learning_rate", "tokens", "validation_loss", "epoch_train_loss")
    histories = [[[line.get(name) for name in told] for line in lines(places)] for places in (story.quiet, found)]
    assert sorted(histories[0], key=str) == sorted(histories[1], key=str)


def epoch_table(places: RunPaths) -> dict:
    """What the run says it came to, without what depends on the time it took."""
    said = json.loads((places.folder / "eval" / "metrics.json").read_text())
    assert said["finished"]
    for table in (said, *said["epoch_summary"]):
        for name in ("seconds", "samples_per_sec", "training_time_seconds"):
            table.pop(name, None)
    return said


def damage_newest(places: RunPaths, draw: random.Random) -> None:
    """Flip a byte of the newest checkpoint, cut a file of it short, or take one away."""
    folder = places.folder / "checkpoints"
    steps = sorted(path for path in folder.glob("[0-9]*")) if folder.exists() else []
    if not steps:
        return
    file = draw.choice(sorted(steps[-1].iterdir()))
    how = draw.choice(["flip", "cut", "remove"])
    if how == "remove":
        file.unlink()
        return
    content = bytearray(file.read_bytes())
    at = draw.randrange(len(content))
    content[at] ^= 1
    file.write_bytes(content if how == "flip" else content[:at])


def kill_until_done(attempt, story: Story, places: RunPaths, draw: random.Random, damages: float) -> int:
    """Kill the run again and again, later and later; how often it was."""
    kills = 0

    def moment() -> dict[str, float]:
        """The first two are operations, which come on a machine of any speed."""
        operations = [{"kill_at": draw.randint(3, 25 + 4 * kills)}, {"tear_at": draw.randint(1, 4 + kills)}]
        return draw.choice(
            operations if kills < 2 else [*operations, {"kill_after": draw.uniform(0.1, 0.6) * 1.1**kills}]
        )

    while (status := attempt(story.plan, places, **moment())) != 0:
        assert status == -9
        kills += 1
        if draw.random() < damages:
            damage_newest(places, draw)
    return kills


def test_the_run_has_everything(story: Story) -> None:
    """What the others rely on: it stopped early, after validations that were and were not the best."""
    metrics = verify(story.quiet.target).metrics
    assert metrics["best_step"] < metrics["steps"] < story.plan.training.max_steps
    assert any(line.get("kl") for line in lines(story.quiet))


def test_stopped_before_every_step(story: Story, recording: type[Recording]) -> None:
    """In this process: each attempt takes one step, so every step is the first after a resume once."""
    places, stop = story.elsewhere("stopped"), 0
    while not places.target.exists():
        stop += 1
        try:
            run.learn(story.plan, places, recording(stop_at=stop))
        except Stopped:
            assert stop <= story.plan.training.max_steps
    assert stop > 3
    check_equal(story, places)


def test_killed_at_drawn_moments(attempt: Attempts, story: Story) -> None:
    places = story.elsewhere("killed")
    assert kill_until_done(attempt, story, places, random.Random(f"{story.plan.model.family} 5"), damages=0.0) >= 2
    check_equal(story, places)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(25))
def test_killed_and_damaged_at_many_drawn_moments(attempt: Attempts, story: Story, seed: int) -> None:
    places = story.elsewhere(f"soak-{seed}")
    kill_until_done(attempt, story, places, random.Random(seed), damages=0.3)
    check_equal(story, places)
