"""What the trainer does with `MakeTokenizer`: publish a tokenizer for runs to come."""

from pathlib import Path

from pydantic import ValidationError

from control.paths import Paths
from daemon import log
from daemon.messages import Failure, MakeTokenizer, TokenizerMade
from daemon.settings import faults
from daemon.settings.sections import Tables
from daemon.workers.runtime import Channel
from engine import artifacts
from engine.artifacts import ArtifactError
from engine.config.tokenizer import TokenizerSettings
from engine.tokenizers import publish
from engine.tokenizers.publish import TokenizerManifest

_logger = log.get(__name__)


def carry_out(command: MakeTokenizer, settings: Tables, paths: Paths, channel: Channel) -> None:
    """Answer with what was made, or with what stood in its way."""
    channel.advance("training the tokenizer")
    with log.also_to(paths.job_log(command.job)), log.bound(job=command.job):
        try:
            made = _made(command, settings, paths.tokenizer_artifact(command.name))
        except ValidationError as error:
            _fail(command, channel, faults.of_training(error), retry=False)
        except (ArtifactError, OSError) as error:
            _fail(command, channel, str(error), retry=not isinstance(error, ArtifactError | FileNotFoundError))
        else:
            _logger.info("tokenizer published", name=command.name, kind=made.kind, vocabulary=made.vocabulary)
            channel.send(TokenizerMade(to=command.id, tokenizer_kind=made.kind, vocabulary=made.vocabulary))


def _made(command: MakeTokenizer, settings: Tables, target: Path) -> TokenizerManifest:
    """The manifest of the tokenizer, made now or by an earlier attempt.

    Raises:
        ValidationError: a key or value of ``[tokenizer]`` that does not exist or is not allowed.
        ArtifactError: the files hold no text, or the folder holds something else.
        OSError: a file cannot be read, or the disk refused.
    """
    asked = TokenizerSettings.model_validate(settings.tokenizer.model_dump() | {"folder": None} | command.settings)
    if target.exists():
        found = artifacts.read_json(target / artifacts.MANIFEST, TokenizerManifest)
        if found.settings != asked or not all(_is_below(source, command.files) for source in found.sources):
            raise ArtifactError(f"{target} holds another tokenizer; choose another name, or remove it")
        return found
    return publish.publish(target, [Path(file) for file in command.files], asked)


def _is_below(source: str, files: tuple[str, ...]) -> bool:
    return any(Path(source).is_relative_to(file) for file in files)


def _fail(command: MakeTokenizer, channel: Channel, reason: str, *, retry: bool) -> None:
    _logger.error("no tokenizer was made", reason=reason, retry=retry)
    channel.send(Failure(to=command.id, reason=reason, retry=retry))
