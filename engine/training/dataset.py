"""What a run learns from: the samples of its snapshot as packed rows of tokens, some to validate and to test with."""

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.config.training import TrainingSettings
from engine.data import augment, shard, snapshot, validation
from engine.data.batches import Rows
from engine.data.encoded import Encoded
from engine.data.held_out import other_place, test_place
from engine.data.samples import Conversation
from engine.data.shard import Shard
from engine.data.snapshot import Example, OnePass
from engine.data.tasks.posed import posed
from engine.data.tasks.ready_made import READY_MADE
from engine.data.tasks.task import Task
from engine.tokenizers import encode
from engine.tokenizers.base import Tokenizer
from engine.training.reporting.reporter import Reporter, Stopped

_PARTS = ("train", "validation", "test")
_TRAIN, _VALIDATION, _TEST = range(len(_PARTS))
_MOST_TESTED = 2000
"""More would say little more, and take long to measure."""
_logger = logging.getLogger(__name__)


class NothingToLearnError(Exception):
    """No token of the data is supervised."""


@dataclass(frozen=True)
class Dataset:
    """Rows to train on, to validate on, and to measure the finished model on; ``tokens`` are those of the first."""

    tokens: Shard
    rows: Rows
    validation: Rows | None
    test: Rows | None = None


def prepare(
    folder: Path,
    source: Path,
    examples: OnePass,
    tokenizer: Tokenizer,
    settings: TrainingSettings,
    reporter: Reporter,
    tasks: Mapping[str, Task] = READY_MADE,
) -> Dataset:
    """Tokenise the snapshot at ``source`` into ``folder``; what an earlier attempt wrote there is opened as it is.

    ``examples`` are those of the snapshot, which are read only where nothing is there yet. ``tasks`` put the labelled
    ones as questions and answers.

    Raises:
        Stopped: the reporter asked for it.
        NothingToLearnError: nothing in the snapshot is supervised.
    """
    parts = _PARTS if settings.test_share else _PARTS[:_TEST]
    shards = shard.write_parts(
        [folder / part for part in parts], _documents(source, examples, tokenizer, settings, reporter, tasks)
    )
    rows, *held = (Rows(each, settings.sequence_length) for each in shards)
    if not len(rows):
        raise NothingToLearnError(
            "this data has nothing to learn from: no plain text, and no assistant turn, or none that the model has a "
            "chat template for; the log says what was left out"
        )
    return Dataset(shards[_TRAIN], rows, *(part if len(part) else None for part in held))


def _documents(
    source: Path,
    examples: OnePass,
    tokenizer: Tokenizer,
    settings: TrainingSettings,
    reporter: Reporter,
    tasks: Mapping[str, Task],
) -> Iterator[tuple[Encoded, int]]:
    """Tokens of every conversation, with the number of the part that it belongs to."""
    parts: deque[int] = deque()

    def conversations() -> Iterator[tuple[Conversation, int]]:
        manifest = snapshot.read_manifest(source)
        chosen = chosen_to_validate(source, settings.validation_share)
        tested = chosen_to_test(source, settings.test_share, chosen)
        total, left_out = manifest.new + manifest.replayed, 0
        for number, example in enumerate(examples.all()):
            part = _VALIDATION if _validates(example, chosen) else _TRAIN
            if example.identity in tested:
                part = _TEST
            copies = settings.augmented_copies if part == _TRAIN else 0
            for one in augment.with_copies(example, copies, settings.seed):
                if (learned := posed(one.sample, tasks)) is not None:
                    parts.append(part)
                    yield learned, one.learn_from
                else:
                    left_out += 1
            if number % 100 == 0:
                reporter.preparing("tokenising", number, total)
                if reporter.stopping():
                    raise Stopped
        if left_out:
            _logger.warning(
                "%d samples are left out: the objective does not learn their kind, or no task has their label", left_out
            )

    for encoded in encode.encode_conversations(tokenizer, conversations()):
        yield encoded, parts.popleft()


def kept_back(source: Path, settings: TrainingSettings, part: validation.Part) -> list[Example]:
    """What a run with these settings validates with, or measures its end on, of the snapshot at ``source``."""
    chosen = chosen_to_validate(source, settings.validation_share)
    tested = chosen_to_test(source, settings.test_share, chosen)
    examples = snapshot.train_examples(source)
    if part == "test":
        return [example for example in examples if example.identity in tested]
    return [example for example in examples if example.identity not in tested and _validates(example, chosen)]


def chosen_to_validate(source: Path, share: float) -> frozenset[str] | None:
    """Which conversations are kept for validation where the examples do not say it themselves: by hash of their group.

    None where they do.
    """
    manifest = snapshot.read_manifest(source)
    if manifest.validating is not None:
        return None
    total = manifest.new + manifest.replayed
    lowest = manifest.candidates
    if lowest is None:  # a snapshot of thord 0.1.0
        places = {example.identity: other_place(example.sample) for example in snapshot.train_examples(source)}
        total = len(places)
        lowest = [(places[identity], identity) for identity in sorted(places, key=places.__getitem__)]
    below = sum(place < share for place, _ in lowest)
    number = min(max(below, validation.how_many(total, share)), validation.MOST) if share else 0
    return frozenset(identity for _, identity in lowest[:number]) if number >= validation.FEWEST else frozenset()


def chosen_to_test(source: Path, share: float, validating: frozenset[str] | None) -> frozenset[str]:
    """Which new conversations measure the finished model and nothing else: by hash of their group.

    ``validating`` are those that validate, as `chosen_to_validate` says; they stay what they are.
    """
    if not share:
        return frozenset()
    places = sorted(
        (test_place(example.sample), example.identity)
        for example in snapshot.train_examples(source)
        if example.origin == "new" and not _validates(example, validating)
    )
    number = validation.how_many(len(places), share, _MOST_TESTED)
    return frozenset(identity for _, identity in places[:number])


def _validates(example: Example, chosen: frozenset[str] | None) -> bool:
    return example.validates if chosen is None else example.identity in chosen
