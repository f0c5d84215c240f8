"""What the trainer does with `Import` and `Fold`: publish a model from elsewhere, a checkpoint, a folded adapter."""

from pathlib import Path

from control.paths import Paths
from daemon import log
from daemon.messages import Failure, Fold, Import, Imported
from daemon.workers.runtime import Channel
from engine import artifacts
from engine.artifacts import ArtifactError
from engine.foreign_model import ForeignModelError
from engine.gguf import importing as gguf
from engine.huggingface import importing as huggingface
from engine.huggingface import peft_importing as peft
from engine.manifest import VersionManifest
from engine.publishing import checkpoint_to_version, fold
from engine.publishing.fold import UnfoldableError

_logger = log.get(__name__)


def carry_out(command: Import | Fold, paths: Paths, channel: Channel) -> None:
    """Answer with what was published, or with what stood in its way."""
    source = paths.version(command.adapter) if isinstance(command, Fold) else Path(command.folder)
    channel.advance(f"publishing {source}")
    try:
        manifest = _folded(command, paths) if isinstance(command, Fold) else _imported(command, paths, channel)
    except (ForeignModelError, UnfoldableError, ArtifactError, OSError) as error:
        _logger.warning("nothing was published", source=str(source), reason=str(error))
        channel.send(Failure(to=command.id, reason=str(error), retry=False))
    else:
        _logger.info("model published", source=str(source), version=manifest.version, family=manifest.family)
        channel.send(Imported(to=command.id, version=manifest.version))


def _folded(command: Fold, paths: Paths) -> VersionManifest:
    return fold.publish(paths.version(command.adapter), paths.version(command.version), command.version)


def _imported(command: Import, paths: Paths, channel: Channel) -> VersionManifest:
    source, target, number = Path(command.folder), paths.version(command.version), command.version
    match command.layout:
        case "hf":
            return huggingface.take(source, target, number, command.generation)
        case "gguf":
            return gguf.take(source, target, number, command.generation, channel.advance)
        case "peft":
            current = artifacts.current_version(paths.current)
            return peft.take(source, target, number, None if current is None else paths.version(current))
        case "checkpoint":
            return checkpoint_to_version.publish(source, paths.runs, paths.version, target, number)
