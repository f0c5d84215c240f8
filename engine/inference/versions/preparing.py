"""The first phase of a swap: all that can go wrong with a version goes wrong here, beside the one that serves."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from engine import artifacts, memory, version
from engine.adapters import adapter as adapters
from engine.artifacts import ArtifactError
from engine.config.inference import Form, InferenceSettings, Quantization
from engine.device import Placement
from engine.inference.runner import TokenSpan
from engine.inference.runners import decoders, graphs
from engine.inference.runners.forward import TorchForward
from engine.inference.runners.shapes import buckets
from engine.inference.scheduling.batching import CHUNK
from engine.inference.versions import footprint, form, precision
from engine.inference.versions.loaded_model import LoadedModel, SharedBase
from engine.inference.versions.slots import Need, WeightSlots
from engine.inference.versions.swap_policy import Room
from engine.manifest import VersionManifest, base_folder, read_manifest, verify, version_name
from engine.tokenizers import registry as tokenizers
from engine.tokenizers.base import BOS, Tokenizer

_FEW = 4
"""Tokens by which a version is warmed where numbers of tokens make no difference."""


class UnfitVersionError(Exception):
    """This version must never serve; the message says why."""


class NotNowError(Exception):
    """It cannot be loaded now (memory, an unreadable disk); the version is not at fault."""


def check(folder: Path, beside: LoadedModel | None) -> None:
    """Judge what can be judged without weights in memory: the version's number, checksums, tokenizer.

    Raises:
        UnfitVersionError: it fails one of these.
        NotNowError: it cannot be read.
    """
    with _told_apart(folder):
        manifest = verify(folder, beside.base.sha256 if beside is not None and beside.base is not None else None)
    if version_name(manifest.version) != folder.name:
        raise UnfitVersionError(f"{folder}: its manifest says that it is version {manifest.version}")
    _check_tokenizer(manifest.tokenizer_sha256, manifest.files, beside)


def place(folder: Path, settings: InferenceSettings) -> Placement:
    """The device and the precision in which a checked version answers.

    Raises:
        UnfitVersionError: its configuration is damaged.
        NotNowError: it cannot be read.
    """
    with _told_apart(folder):
        return precision.of_version(folder, settings)


def form_of(folder: Path, placement: Placement, slots: WeightSlots, settings: InferenceSettings) -> Form:
    """Whether a checked version is merged when it is loaded, or computed beside a base that it shares.

    Args:
        folder: the version.
        placement: its device and precision.
        slots: what is in memory.
        settings: how many sequences run on it at once, how much memory versions may take, quantization.

    Raises:
        UnfitVersionError: its configuration is damaged.
        NotNowError: it cannot be read.
    """
    with _told_apart(folder):
        if read_manifest(folder).base is None:
            return "whole"
        needed = footprint.needed(folder, placement, settings.max_batch, settings.quantization)
        model = version.read_config(folder).model
        adapts = decoders.adapts(model, placement)
        quantized = decoders.quantizes(model, placement.device, settings.quantization)
    capacity = slots.capacity(_free(placement, settings))
    return form.of_adapter(needed, capacity, settings.adapters, adapts=adapts, quantized=quantized)


def need(folder: Path, placement: Placement, slots: WeightSlots, settings: InferenceSettings, chosen: Form) -> Need:
    """What a checked version takes beside those in memory.

    Args and errors are those of `form_of`, and the form that was ``chosen``.
    """
    with _told_apart(folder):
        needed = footprint.needed(folder, placement, settings.max_batch, settings.quantization, chosen)
        manifest = read_manifest(folder)
    if chosen == "merged":
        return Need(needed, "", _free(placement, settings))
    sha256, serving = manifest.sha256 if manifest.base is None else manifest.base.sha256, slots.serving
    if serving is not None and serving.base is not None and serving.base.sha256 == sha256:
        needed -= footprint.of_weights(serving.base.decoder)
    return Need(needed, sha256, _free(placement, settings))


def _free(placement: Placement, settings: InferenceSettings) -> Callable[[int], int]:
    return lambda held: footprint.free(placement.device, settings.memory_megabytes << 20, held)


def has_base(folder: Path, in_memory: Sequence[LoadedModel]) -> bool:
    """Whether the weights beside which a checked version is computed are in memory, to be shared.

    Raises:
        UnfitVersionError: its manifest is damaged.
        NotNowError: it cannot be read.
    """
    with _told_apart(folder):
        base = read_manifest(folder).base
    return base is not None and _base(base.sha256, in_memory) is not None


def room(folder: Path, slots: WeightSlots, needed: Need) -> Room:
    """Whether a checked version can be loaded beside the one that serves, or only in its place.

    Raises:
        NotNowError: memory does not hold it even alone.
    """
    found = slots.room(int(folder.name), needed)
    if found == "none":
        raise NotNowError(
            f"{folder} needs {needed.bytes / (1 << 20):.1f} MiB for weights and cache, more than there are even "
            "without any other version; lower inference.max_batch, or raise inference.memory_megabytes where it is set"
        )
    return found


def check_weights(folder: Path) -> None:
    """Judge the weights of a version without keeping them.

    Raises:
        UnfitVersionError: names, shapes or numbers are not as they must be.
        NotNowError: it cannot be read.
    """
    with _told_apart(folder):
        version.check(folder)


def load(
    folder: Path,
    placement: Placement,
    rows: int,
    quantization: Quantization = "none",
    alone: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    chosen: Form = "merged",
    in_memory: Sequence[LoadedModel] = (),
) -> LoadedModel:
    """Load a checked version, prepare its weights for answering, and warm it. Requests go on beside it.

    What a version ``in_memory`` has with the same sum is shared with it: the tokenizer, the weights of a whole version,
    and those of the base of an unmerged one.

    In order: tensors (names, shapes, finite), then a chunk and a token in each shape that torch computes differently,
    then, on a GPU, graphs of decoding, each captured while ``alone`` keeps others from the device.

    Raises:
        UnfitVersionError: it fails one of these.
        NotNowError: it cannot be read, or memory is exhausted.
    """
    with _told_apart(folder):
        model = _loaded(folder, placement, rows, quantization, chosen, in_memory)
        _warm(model, rows)
        decoders.release_workspace(model.model)  # others answer
        if placement.device.type == "cuda" and isinstance(model.forward, TorchForward):
            capture = graphs.on_cuda(placement.device, alone)
            capture_anew = graphs.on_cuda(placement.device, contextlib.nullcontext)
            model.forward.graphs = graphs.make(model.model, model.cache, rows, capture, capture_anew)
    memory.return_freed_memory()  # the stored form, what laying it out took, and a version that made room for this one
    return model


def _loaded(
    folder: Path,
    placement: Placement,
    rows: int,
    quantization: Quantization,
    chosen: Form,
    in_memory: Sequence[LoadedModel],
) -> LoadedModel:
    """A version on whose answers nothing has been computed yet."""
    manifest = read_manifest(folder)
    tokenizer = _tokenizer(manifest, in_memory)
    if manifest.base is not None and chosen != "unmerged":
        merged = version.load(folder, placement, check_finite=True, tokenizer=tokenizer)
        return LoadedModel(merged, rows, decoders.prepare(merged.model, placement.device, quantization))
    sha256 = manifest.sha256 if manifest.base is None else manifest.base.sha256
    stored = version.outline(folder, tokenizer)
    if (shared := _base(sha256, in_memory)) is None:
        model = version.load_model(base_folder(folder, manifest), placement, check_finite=True)
        shared = SharedBase(sha256, decoders.prepare(model, placement.device, quantization))
        del model
    if manifest.base is None:
        return LoadedModel(stored, rows, shared.decoder, shared)
    adapter = adapters.read(folder, stored.model)
    decoder = decoders.with_adapter(shared.decoder, adapter, stored.config.model)
    return LoadedModel(stored, rows, decoder, shared)


def _base(sha256: str, in_memory: Sequence[LoadedModel]) -> SharedBase | None:
    """The weights of that sum, where some version has them and can share them."""
    return next((each.base for each in in_memory if each.base and each.base.sha256 == sha256), None)


def _tokenizer(manifest: VersionManifest, in_memory: Sequence[LoadedModel]) -> Tokenizer | None:
    """The tokenizer of a version, where another was made of the same files: to read a large one takes half a second."""
    own = tokenizers.files(manifest.files)
    return next((each.tokenizer for each in in_memory if tokenizers.files(each.manifest.files) == own), None)


@contextlib.contextmanager
def _told_apart(folder: Path) -> Iterator[None]:
    """Turn errors into `UnfitVersionError` where the version is at fault, and `NotNowError` where the machine is."""
    try:
        yield
    except ArtifactError as error:
        raise UnfitVersionError(str(error)) from error
    except (OSError, MemoryError, RuntimeError) as error:  # torch reports exhausted memory as a RuntimeError
        raise NotNowError(f"{folder} cannot be loaded: {error}") from error


def _check_tokenizer(stated: str, files: dict[str, artifacts.FileRecord], beside: LoadedModel | None) -> None:
    """The tokenizer is fixed for the life of a thord: prompts that wait are already in its tokens."""
    record = files.get(version.TOKENIZER)
    if record is None or record.sha256 != stated:
        raise UnfitVersionError(f"the manifest names tokenizer {stated[:12]}, but {version.TOKENIZER} is another file")
    if beside is not None and beside.manifest.tokenizer_sha256 != stated:
        raise UnfitVersionError(
            f"it has a foreign tokenizer ({stated[:12]}); version {beside.version}, which serves, has "
            f"{beside.manifest.tokenizer_sha256[:12]}, and that stays for the life of a thord: give this model a home "
            "of its own (thorctl -H DIR)"
        )


@torch.inference_mode()
def _warm(model: LoadedModel, rows: int) -> None:
    """Read chunks and decode tokens as the engine will, and refuse scores that are not finite.

    The kernel does the same whatever the shape: there a few tokens will do, for requests are answered meanwhile.
    """
    forward, row, bos = model.forward, 0, model.tokenizer.special(BOS)
    step, longest = forward.prompt_step, min(CHUNK if forward.depends_on_shapes else _FEW, model.context)
    for length in range(step, longest, step) if step > 1 else ():
        forward.hidden([TokenSpan(row, 0, [bos] * length)], [])
    (read_TD,), none_BD = forward.hidden([TokenSpan(row, 0, [bos] * longest)], [])
    found = [forward.logits([read_TD[-1]], none_BD)]
    last = model.context - 1 if model.cache.rewinds and forward.depends_on_shapes else 0
    for size in buckets(rows) if forward.depends_on_shapes else (1,):
        _, newest_BD = forward.hidden([], [TokenSpan(row, last, (bos,))] * size)
        found.append(forward.logits([], newest_BD))
    model.cache.truncate(row, 0)
    if not all(bool(torch.isfinite(logits_NV).all()) for logits_NV in found):
        raise UnfitVersionError(f"version {model.version} computes scores that are NaN or infinite")
