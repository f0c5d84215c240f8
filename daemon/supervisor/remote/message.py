"""What RQ carries: the number of a job and of the attempt it is for, signed with the queue's secret.

The message says nothing else and decides nothing: whoever receives it claims the job, and the store lets one of them
begin. A message that is old, or arrives twice, is refused there.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

FUNCTION = "thord.run"
"""What the messages name in place of a function: no module is called so, so that nothing is imported by name."""


class RefusedMessageError(Exception):
    """The message is not one of this queue's; it says why."""


class SecretError(Exception):
    """The secret cannot be read; the message says why, and not what is in the file."""


@dataclass(frozen=True)
class RunMessage:
    """Do this job: attempt ``attempt``, counted from 1, at job ``id``."""

    id: int
    attempt: int


def signed(message: RunMessage, queue: str, secret: bytes) -> dict[str, JsonValue]:
    """The message as RQ carries it."""
    return {"id": message.id, "attempt": message.attempt, "signature": _signature(message, queue, secret)}


def verified(function: str, arguments: Sequence[object], queue: str, secret: bytes) -> RunMessage:
    """The message in a job of RQ.

    Raises:
        RefusedMessageError: it is somebody else's, or its signature is wrong.
    """
    if function != FUNCTION:
        raise RefusedMessageError(f"it names the function {function!r}, and this worker runs none by name")
    body = arguments[0] if len(arguments) == 1 else None
    if not isinstance(body, dict) or set(body) != {"id", "attempt", "signature"}:
        raise RefusedMessageError("it is not of the form {id, attempt, signature}")
    number, attempt, signature = body["id"], body["attempt"], body["signature"]
    if type(number) is not int or type(attempt) is not int or not isinstance(signature, str):
        raise RefusedMessageError("it is not of the form {id, attempt, signature}")
    message = RunMessage(number, attempt)
    if not hmac.compare_digest(signature.encode(), _signature(message, queue, secret).encode()):
        raise RefusedMessageError("its signature is wrong: it was not signed with this queue's secret")
    return message


def read_secret(file: Path) -> bytes:
    """The secret that a queue's messages are signed with: the content of a file, without white space around it.

    Raises:
        SecretError: it cannot be read, or is too short to be one.
    """
    try:
        secret = file.expanduser().read_bytes().strip()
    except OSError as error:
        raise SecretError(f"integrations.redis.secret_file: {file}: {error.strerror}") from None
    if len(secret) < 16:
        raise SecretError(
            f"integrations.redis.secret_file: {file} holds {len(secret)} bytes; write at least 16, "
            "such as those of 'openssl rand -hex 32'"
        )
    return secret


def _signature(message: RunMessage, queue: str, secret: bytes) -> str:
    return hmac.digest(secret, f"thord.run\n{queue}\n{message.id}\n{message.attempt}".encode(), "sha256").hex()
