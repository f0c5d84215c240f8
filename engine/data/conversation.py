"""The canonical form of what was said: its identity is the hash of its content, its group decides what is held out."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import JsonValue

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call to a tool that an assistant turn asks for; ``arguments`` is mostly an object."""

    name: str
    arguments: JsonValue = field(hash=False)
    id: str = ""

    @property
    def text(self) -> str:
        """The plain form, in which `engine.data.formats` writes calls too."""
        return json.dumps({"name": self.name, "arguments": self.arguments}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn.

    Attributes:
        calls: for a chat template that has a form for them. What is learned has them in its content, in plain form.
        name: of whoever speaks, or of the tool that answers.
        call_id: of the call that a tool answers.
    """

    role: Role
    content: str
    calls: tuple[ToolCall, ...] = ()
    name: str = ""
    call_id: str = ""

    @property
    def plain(self) -> "Message":
        """The same with its calls in the content, one a line."""
        said = [self.content, *(call.text for call in self.calls)]
        return replace(self, content="\n".join(part for part in said if part), calls=()) if self.calls else self


@dataclass(frozen=True, slots=True)
class Conversation:
    """A dialogue, or a piece of plain text (then ``messages`` is empty and ``text`` is not).

    Content is normalised by whoever makes one (`engine.data.formats`): NFC, ``\\n`` line ends, no NUL, no lone
    surrogate, no blank ends.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """All that was said: the content of every turn, or the plain text."""
        return tuple(message.content for message in self.messages) or (self.text,)

    @property
    def canonical(self) -> str:
        """The one JSON text of this content."""
        return _canonical(self.messages, self.text)

    @property
    def identity(self) -> str:
        """sha256 of the canonical form: two conversations with this in common are the same conversation."""
        return _sha256(self.canonical)

    @property
    def group(self) -> str:
        """Hash of the opening: the first user turn and what comes before it, system turns left out.

        Conversations with one opening, and a conversation and its later, longer self, fall on the same side of the
        held-out line. What an assistant greets everybody with is not all of an opening, or a collection in which it
        does would be on one side.
        """
        turns = tuple(m for m in self.messages if m.role != "system")
        ends = next((number for number, m in enumerate(turns, 1) if m.role == "user"), 1)
        return _sha256(_canonical(turns[:ends], "") if turns else self.canonical)

    def prefix_identities(self) -> list[str]:
        """Identities of every shorter beginning of this dialogue, longest first: what it may have grown from."""
        identities: list[str] = []
        digest = hashlib.sha256(b'{"messages":[')
        for message in self.messages[:-1]:
            if identities:
                digest.update(b",")
            digest.update(_json([message.role, message.content]).encode())
            beginning = digest.copy()
            beginning.update(b"]}")
            identities.append(beginning.hexdigest())
        return identities[::-1]

    def is_held_out(self, share: float) -> bool:
        """Whether it is kept for evaluation: a fixed ``share`` of all groups, by hash."""
        return self.place < share

    @property
    def place(self) -> float:
        """Where the hash of its opening falls in [0, 1)."""
        return int(self.group[:13], 16) / 16**13


def from_canonical(canonical: str) -> Conversation:
    """The inverse of `Conversation.canonical`."""
    value = json.loads(canonical)
    if "text" in value:
        return Conversation(text=value["text"])
    return Conversation(messages=tuple(Message(role, content) for role, content in value["messages"]))


def _canonical(messages: tuple[Message, ...], text: str) -> str:
    value: dict[str, object] = {"messages": [[m.role, m.content] for m in messages]} if messages else {"text": text}
    return _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
