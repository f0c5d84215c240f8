"""What a run learns from: the conversations of its snapshot as packed rows of tokens, some of them for validation."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.config.training import TrainingSettings
from engine.data import augment, shard, snapshot, validation
from engine.data.batches import Rows
from engine.data.held_out import other_place
from engine.data.samples import Conversation, Dialogue, Text
from engine.data.shard import Shard
from engine.tokenizers import encode
from engine.tokenizers.base import Tokenizer
from engine.training.reporting.reporter import Reporter, Stopped


class NothingToLearnError(Exception):
    """No token of the data is supervised."""


@dataclass(frozen=True)
class Dataset:
    """Rows to train on and to validate on; ``tokens`` are those of the former."""

    tokens: Shard
    rows: Rows
    validation: Rows | None


def prepare(
    folder: Path, source: Path, tokenizer: Tokenizer, settings: TrainingSettings, reporter: Reporter
) -> Dataset:
    """Tokenise the snapshot at ``source`` into ``folder``; what an earlier attempt wrote there is opened as it is.

    Raises:
        Stopped: the reporter asked for it.
        NothingToLearnError: nothing in the snapshot is supervised.
    """
    chosen = validation_identities(source, settings.validation_share)
    manifest = snapshot.read_manifest(source)
    total = 2 * (manifest.new + manifest.replayed)  # read twice: for what is trained on, and for what validates

    def conversations(*, validation: bool) -> Iterator[tuple[Conversation, int]]:
        for number, example in enumerate(snapshot.train_examples(source)):
            if (example.identity in chosen) == validation:
                copies = 0 if validation else settings.augmented_copies
                for one in augment.with_copies(example, copies, settings.seed):
                    if isinstance(one.sample, Dialogue | Text):
                        yield one.sample, one.learn_from
            if number % 100 == 0:
                reporter.preparing("tokenising", number + (total // 2 if validation else 0), total)
                if reporter.stopping():
                    raise Stopped

    def written(name: str, *, validation: bool) -> Shard:
        return shard.write(folder / name, encode.encode_conversations(tokenizer, conversations(validation=validation)))

    tokens = written("train", validation=False)
    rows = Rows(tokens, settings.sequence_length)
    held = Rows(written("validation", validation=True), settings.sequence_length)
    if not len(rows):
        raise NothingToLearnError(
            "no token of this data is supervised: it has no plain text, and no assistant turn, or none that the model "
            "has a chat template for; what was left out is in the log"
        )
    return Dataset(tokens, rows, held if len(held) else None)


def validation_identities(source: Path, share: float) -> frozenset[str]:
    """Which conversations are kept for validation: as the snapshot says, else by hash of their group."""
    if (validating := snapshot.read_manifest(source).validating) is not None:
        examples = snapshot.train_examples(source) if validating else iter(())
        return frozenset(example.identity for example in examples if example.validates)
    places = {example.identity: other_place(example.sample) for example in snapshot.train_examples(source)}
    below = sum(place < share for place in places.values())
    number = min(max(below, validation.how_many(len(places), share)), validation.MOST) if share else 0
    return frozenset(sorted(places, key=places.__getitem__)[:number] if number >= validation.FEWEST else ())
