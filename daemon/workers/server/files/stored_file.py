"""What is known of one uploaded file; kept as ``file.json`` beside its content."""

import secrets
import time
from typing import Literal

from pydantic import BaseModel, ConfigDict

Purpose = Literal["fine-tune", "fine-tune-results", "user_data", "evals"]
Status = Literal["uploaded", "processed", "error"]
ID_PATTERN = r"file-[A-Za-z0-9_-]{1,64}"


def new_id(now: float) -> str:
    """A name for a file that nobody can guess. Files sort by it as they came: it begins with the time."""
    return f"file-{int(now * 1000):012x}{secrets.token_hex(10)}"


class StoredFile(BaseModel):
    """One file of one client.

    Attributes:
        bytes: size of the content.
        created_at: seconds since the epoch, as is ``expires_at``; null: it stays until it is deleted.
        sha256: of the content, in hexadecimal.
        status: ``uploaded`` while it is being checked, ``error`` where it cannot be learned.
        status_details: why it cannot.
        samples: how many of each kind were found in it.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    filename: str
    purpose: Purpose
    bytes: int
    created_at: int
    expires_at: int | None = None
    sha256: str
    status: Status
    status_details: str | None = None
    samples: dict[str, int] | None = None

    @property
    def has_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= time.time()
