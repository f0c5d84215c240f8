"""The two phases of a swap, as the supervisor asks the server for them, and the server's answers."""

from typing import Literal

from pydantic import Field

from daemon.messages.base import Answer, Command, Message
from engine.config.inference import Form


class Prepare(Command):
    """First phase of the swap: load the version beside the one that serves. Answered by `Prepared` or `Refused`."""

    kind: Literal["prepare"] = "prepare"
    version: int


class Prepared(Answer):
    """The server holds the version beside the one that serves, checked and warm."""

    kind: Literal["prepared"] = "prepared"
    version: int
    in_place: bool = False
    """Two copies did not fit: the commit will drain, then load."""


class Commit(Command):
    """Second phase; ``current`` already points to this version. Answered by `Serving` or `Refused`."""

    kind: Literal["commit"] = "commit"
    version: int


class Serving(Answer):
    """New requests go to this version. Null: no version exists yet. Also sent when the server comes up."""

    kind: Literal["serving"] = "serving"
    version: int | None
    resident: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    """Those of the resident ones that nothing needs."""
    forms: dict[int, Form] = Field(default_factory=dict)
    """How the weights of each version in memory lie there."""


class Refused(Answer):
    """The server will not serve this version; the one in service is untouched."""

    kind: Literal["refused"] = "refused"
    version: int
    reason: str
    unfit: bool = True
    """The version itself is at fault. False: there is no room or time for it now, another attempt may succeed."""


class ForgetChats(Command):
    """Erase from sessions and answers what was taken out of the ledger, and all that this owner said or uploaded."""

    kind: Literal["forget_chats"] = "forget_chats"
    owner: str | None = None


class ChatsForgotten(Answer):
    """So many sessions and answers are erased."""

    kind: Literal["chats_forgotten"] = "chats_forgotten"
    sessions: int
    answers: int


class AnswersQueued(Message):
    """There are jobs that the server computes: look for them. Sent when it is up, and when one is queued."""

    kind: Literal["answers_queued"] = "answers_queued"


class Abandon(Message):
    """Forget what was prepared, or is kept in memory."""

    kind: Literal["abandon"] = "abandon"
    version: int
