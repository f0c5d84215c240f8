"""Messages as bytes: one JSON object a line, told apart by ``kind``."""

from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from daemon.messages.base import Failure, Message
from daemon.messages.intake import (
    Collect,
    Collected,
    CollectFiles,
    Counts,
    Erase,
    Erased,
    Forget,
    Retake,
    Retaken,
    Scan,
    Scanned,
    Settle,
    Settled,
    TakenOut,
    Unlearn,
    Unlearned,
    Unwatched,
)
from daemon.messages.learning import (
    Evaluate,
    Evaluated,
    Fold,
    Import,
    Imported,
    MakeTokenizer,
    PhaseProgress,
    TokenizerMade,
    Train,
    Trained,
    TrainProgress,
)
from daemon.messages.life import Beat, Hello, HostFigures, Ready, Reload, ServiceHealth, Stop
from daemon.messages.serving import (
    Abandon,
    AnswersQueued,
    ChatsForgotten,
    Commit,
    ForgetChats,
    Prepare,
    Prepared,
    Refused,
    Serving,
)

FromWorker = Annotated[
    Hello
    | Ready
    | Beat
    | Counts
    | Collected
    | Settled
    | Unwatched
    | Scanned
    | Retaken
    | TakenOut
    | Erased
    | Unlearned
    | ChatsForgotten
    | TrainProgress
    | PhaseProgress
    | Trained
    | Imported
    | TokenizerMade
    | Evaluated
    | Prepared
    | Refused
    | Serving
    | HostFigures
    | Failure,
    Field(discriminator="kind"),
]

ToWorker = Annotated[
    Stop
    | Reload
    | Collect
    | CollectFiles
    | Settle
    | Retake
    | Forget
    | Erase
    | Unlearn
    | ForgetChats
    | Scan
    | Train
    | Import
    | Fold
    | MakeTokenizer
    | Evaluate
    | Prepare
    | Commit
    | Abandon
    | AnswersQueued
    | ServiceHealth,
    Field(discriminator="kind"),
]

_FROM_WORKER: TypeAdapter[FromWorker] = TypeAdapter(FromWorker)
_TO_WORKER: TypeAdapter[ToWorker] = TypeAdapter(ToWorker)


class BadMessageError(ValueError):
    """A line that is not a message of this protocol."""


def encode(message: Message) -> bytes:
    """The message as one line, newline included."""
    return message.model_dump_json().encode() + b"\n"


def decode_from_worker(line: bytes) -> FromWorker:
    """The message that a worker sent as this line.

    Raises:
        BadMessageError: the line is not a message.
    """
    try:
        return _FROM_WORKER.validate_json(line)
    except ValidationError as error:
        raise BadMessageError(f"not a message from a worker: {error}") from error


def decode_to_worker(line: bytes) -> ToWorker:
    """The message that the supervisor sent as this line.

    Raises:
        BadMessageError: the line is not a message.
    """
    try:
        return _TO_WORKER.validate_json(line)
    except ValidationError as error:
        raise BadMessageError(f"not a message from the supervisor: {error}") from error
