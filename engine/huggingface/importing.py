"""A model from a Hugging Face folder, published as a version of thord."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import JsonValue

from engine import generation, model_files, stored_weights, version
from engine.artifacts import ArtifactError
from engine.foreign_model import ForeignModelError
from engine.generation import BadGenerationError
from engine.huggingface import licence, model_config, tokenizer, weights
from engine.huggingface.model_config import AnyConfig
from engine.manifest import Lineage, VersionManifest
from engine.models import registry


def take(
    source: Path, target: Path, number: int, sampling: Mapping[str, JsonValue] = MappingProxyType({})
) -> VersionManifest:
    """Publish the model in ``source`` as version ``number`` at ``target``, its weights in the dtype they come in.

    ``sampling`` counts in place of what its ``generation_config.json`` says.

    Raises:
        ForeignModelError: it cannot be taken over; the message says why.
        ArtifactError: there is another version at ``target``.
        OSError: the disk is full or refused.
    """
    if fault := model_files.fault(source, "hf"):
        raise ForeignModelError(fault)
    described = model_config.read(source)
    settings, config = described.settings, described.config
    generation_config = _generation_config(source, config)
    vocabulary = tokenizer.read(source, config, generation.parsed(generation_config).ends)
    if vocabulary.vocabulary != config.vocab_size:
        raise ForeignModelError(
            f"{source}: the tokenizer has {vocabulary.vocabulary} ids, the model {config.vocab_size}"
        )
    expected = registry.module(registry.skeleton(settings, config.vocab_size)).state_dict()
    tensors = weights.read(source, list(expected), described.layout)
    try:
        stored_weights.check_weights(tensors, expected, str(source))
        stored_weights.check_numbers(tensors.items(), source)
    except ArtifactError as error:
        raise ForeignModelError(str(error)) from error
    lineage = Lineage.imported(number, source, settings.model_dump(mode="json"), licence.read(source))
    return version.publish(
        target, tensors, settings, vocabulary, lineage, generation_config={**generation_config, **sampling}
    )


def _generation_config(source: Path, config: AnyConfig) -> dict[str, JsonValue]:
    """What the model brings, checked; with the ids of special tokens that only ``config.json`` has.

    Raises:
        ForeignModelError: it has impossible values.
    """
    try:
        raw = generation.read(source)
        said = generation.parsed(raw)
    except (ArtifactError, BadGenerationError) as error:
        raise ForeignModelError(f"{source}: {error}") from error
    named: dict[str, JsonValue] = {"bos_token_id": config.bos_token_id, **raw}
    ends = said.ends or generation.ids(config.eos_token_id)
    named["eos_token_id"] = [number for number in ends if number < config.vocab_size]  # it may be a default of GPT-2's
    return {name: value for name, value in named.items() if value not in (None, [])}
