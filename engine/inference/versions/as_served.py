"""A version as a module that computes what the server would with a quantized base, to be evaluated.

An adapter is trained beside the quantized base and serves beside it: merged and rounded it would be another model.
"""

from dataclasses import replace
from pathlib import Path

from engine import version
from engine.adapters import adapter as adapters
from engine.config.inference import InferenceSettings
from engine.device import Placement
from engine.inference.runners import decoders
from engine.manifest import base_folder, read_manifest
from engine.models.base import LanguageModel
from engine.version import LoadedVersion


def load(folder: Path, placement: Placement, settings: InferenceSettings) -> LoadedVersion:
    """Load a published version: an adapter beside its base where that is quantized, everything else as it is stored.

    Raises:
        ArtifactError: as `engine.version.load`.
    """
    manifest, model = read_manifest(folder), version.read_config(folder).model
    beside = manifest.base is not None and settings.adapters != "merged" and decoders.adapts(model, placement)
    if not (beside and decoders.quantizes(model, placement.device, settings.quantization)):
        return version.load(folder, placement)
    outline = version.outline(folder)
    base = version.load_model(base_folder(folder, manifest), placement)
    decoders.round_weights(base, settings.quantization)
    adapted = decoders.with_adapter(base, adapters.read(folder, outline.model), model)
    if not isinstance(adapted, LanguageModel):
        raise TypeError(f"a module with an adapter is expected, not a {type(adapted).__name__}")
    return replace(outline, model=adapted, base_quantization=settings.quantization)
