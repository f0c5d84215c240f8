"""Runs: the loop, objectives, optimizers, checkpoints.

From Python, without the service: write a snapshot of what is to be learned, then carry a run through. Called again
after it was killed, the same lines go on where it was; called after it was finished, they give the same version.

    from pathlib import Path
    from engine.config.model import ModelSettings
    from engine.config.tokenizer import TokenizerSettings
    from engine.config.training import TrainingSettings
    from engine.data import snapshot
    from engine.data.samples import Dialogue, Message, Text
    from engine.training.reporting.reporter import Silent
    from engine.training.run import learn
    from engine.training.spec import RunPaths, RunSpec

    home = Path("learned")
    dialogue = Dialogue(messages=(Message("user", "Who are you?"), Message("assistant", "A small model.")))
    text = Text(text="Plain text is learned from as well.")
    examples = [snapshot.Example(one, one.identity, "new") for one in (dialogue, text)]
    snapshot.write(home / "snapshot", examples, held_out=[])
    plan = RunSpec(
        cycle=1,
        version=1,
        base=None,
        model=ModelSettings(preset="tiny"),
        tokenizer=TokenizerSettings(vocabulary=400),
        training=TrainingSettings(max_steps=5, sequence_length=64, learning_rate=1e-3),
        settings={},
    )
    places = RunPaths(folder=home / "run", snapshot=home / "snapshot", base=None, target=home / "versions" / "000001")
    manifest = learn(plan, places, Silent())
    print(manifest.parameters, manifest.metrics["final_loss"])

To go on from a version, give its number as ``base`` in the plan and its folder as ``base`` in the places.
"""
