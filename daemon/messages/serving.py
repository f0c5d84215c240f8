"""The two phases of a swap, as the supervisor asks the server for them, and the server's answers."""

from typing import Literal

from daemon.messages.base import Answer, Command, Message


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


class Refused(Answer):
    """The server will not serve this version; the one in service is untouched."""

    kind: Literal["refused"] = "refused"
    version: int
    reason: str
    unfit: bool = True
    """The version itself is at fault. False: there is no room or time for it now, another attempt may succeed."""


class ForgetChats(Command):
    """Erase from sessions and answers what was taken out of the ledger, and all that this owner said."""

    kind: Literal["forget_chats"] = "forget_chats"
    owner: str | None = None


class ChatsForgotten(Answer):
    """So many sessions and answers are erased."""

    kind: Literal["chats_forgotten"] = "chats_forgotten"
    sessions: int
    answers: int


class Abandon(Message):
    """Forget what was prepared."""

    kind: Literal["abandon"] = "abandon"
    version: int
