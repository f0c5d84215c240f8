"""What the supervisor asks of the uploading process, and what that answers."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Order(BaseModel):
    """What to upload.

    Attributes:
        place: as in ``uploads.to``.
        name: what it is to be called there.
        links_into: links to files below this folder are uploaded as those files; other links are left out.
        verify: read the sums back.
        bank: address of the data bank, with its key and the longest silence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    place: str
    name: str
    folder: Path
    links_into: Path | None = None
    verify: bool
    bank: str | None = None
    bank_key: str | None = Field(None, repr=False)
    bank_timeout: float = 60.0


class Done(BaseModel):
    """What became of it; ``error`` is a sentence for people, and null where all is well."""

    sums: dict[str, str] = {}
    address: str = ""
    verified: bool = False
    error: str | None = None
