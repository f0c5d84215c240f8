"""What the trainer does with `Import`: publish a model of Hugging Face's, a GGUF file, an adapter or a checkpoint."""

from pathlib import Path

from control.paths import Paths
from daemon import log
from daemon.messages import Failure, Import, Imported
from daemon.workers.runtime import Channel
from engine import artifacts
from engine.artifacts import ArtifactError
from engine.foreign_model import ForeignModelError
from engine.gguf import importing as gguf
from engine.huggingface import importing as huggingface
from engine.huggingface import peft_importing as peft
from engine.manifest import VersionManifest
from engine.publishing import checkpoint_to_version

_logger = log.get(__name__)


def carry_out(command: Import, paths: Paths, channel: Channel) -> None:
    """Answer with what was published, or with what stood in its way."""
    channel.advance(f"importing {command.folder}")
    try:
        manifest = _published(command, paths, channel)
    except (ForeignModelError, ArtifactError, OSError) as error:
        _logger.warning("import failed", folder=command.folder, reason=str(error))
        channel.send(Failure(to=command.id, reason=str(error), retry=False))
    else:
        _logger.info("model imported", folder=command.folder, version=manifest.version, family=manifest.family)
        channel.send(Imported(to=command.id, version=manifest.version))


def _published(command: Import, paths: Paths, channel: Channel) -> VersionManifest:
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
