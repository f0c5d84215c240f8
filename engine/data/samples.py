"""What thord learns from: dialogues, plain texts, preferences among answers, and texts with labels.

Every kind has one canonical JSON text, in which the segments and snapshots store it, and an identity: two samples with
the same identity are the same sample. Content is normalised by whoever makes a sample (`engine.data.records`): NFC,
``\\n`` line ends, no NUL, no lone surrogate, no blank ends.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, Protocol, get_args

from pydantic import JsonValue

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = get_args(Role)
Kind = Literal["dialogue", "text", "preference", "labelled"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call to a tool that an assistant turn asks for; ``arguments`` is usually an object."""

    name: str
    arguments: JsonValue = field(hash=False)
    id: str = ""

    @property
    def text(self) -> str:
        """The call as JSON: the plain form, in which calls are learned."""
        return json.dumps({"name": self.name, "arguments": self.arguments}, ensure_ascii=False)


class Message(NamedTuple):
    """One turn; a named tuple, because three of them are made for each record that is read.

    Attributes:
        tool_calls: what this turn asks tools for, beside its content.
        name: the speaker, or the tool that answers.
        tool_call_id: the call that a tool answers.
        weight: 0 for a turn that is context only: its answer is not learned and not measured.
        tools: descriptions of the tools that may be called, in the turn that introduces them; null elsewhere.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    name: str = ""
    tool_call_id: str = ""
    weight: Literal[0, 1] = 1
    tools: JsonValue = None

    def __hash__(self) -> int:
        """Descriptions of tools are objects, which have no hash."""
        return hash(self[:-1])

    @property
    def plain_content(self) -> str:
        """The content, followed by the tool calls as JSON, one a line, or by the tools after a line ``Tools:``."""
        if self.tools:
            listed = f"Tools:\n{json.dumps(self.tools, ensure_ascii=False)}"
            return f"{self.content}\n\n{listed}" if self.content else listed
        if not self.tool_calls:
            return self.content
        return "\n".join(part for part in (self.content, *(call.text for call in self.tool_calls)) if part)

    @property
    def plain(self) -> "Message":
        """The same turn with its tools and tool calls in the content."""
        if not self.tools and not self.tool_calls:
            return self
        return self._replace(content=self.plain_content, tool_calls=(), tools=None)

    @property
    def is_supervised(self) -> bool:
        """Whether this turn is an answer to learn."""
        return self.role == "assistant" and self.weight > 0


class SampleProtocol(Protocol):
    """What every kind of sample can say about itself."""

    @property
    def kind(self) -> Kind:
        """Its name in ledgers, snapshots and counts."""
        ...

    @property
    def canonical(self) -> str:
        """The sample as one line of JSON; `engine.data.canonical` reads it back."""
        ...

    @property
    def identity(self) -> str:
        """SHA-256, in hexadecimal, of what makes the sample this one and no other."""
        ...

    @property
    def group(self) -> str:
        """SHA-256, in hexadecimal, of how it begins: samples of one group are held out together or not at all."""
        ...

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that is said in it."""
        ...

    @property
    def supervised_bytes(self) -> int:
        """UTF-8 bytes of what an objective for this kind learns to predict; special tokens have none."""
        ...


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Turns of which the assistant's are learned."""

    kind: ClassVar[Literal["dialogue"]] = "dialogue"
    messages: tuple[Message, ...]

    @property
    def canonical(self) -> str:
        """As the Protocol."""
        return _json({"messages": [_stored(message) for message in self.messages]})

    @property
    def identity(self) -> str:
        """As the Protocol. Names and ids do not count, and a tool call counts as the text that it is learned as."""
        return _sha256(_json({"messages": [_identifying(message) for message in self.messages]}))

    @property
    def group(self) -> str:
        """The first user turn and what comes before it, system turns left out.

        A dialogue and its later, longer self are of one group. What an assistant greets everybody with is not a whole
        opening, or a collection in which it does would be of one group.
        """
        return _opening(self.messages) or self.identity

    @property
    def texts(self) -> tuple[str, ...]:
        """As the Protocol."""
        return tuple(message.plain_content for message in self.messages)

    @property
    def supervised_bytes(self) -> int:
        """As the Protocol."""
        return sum(len(message.plain_content.encode()) for message in self.messages if message.is_supervised)

    def prefix_identities(self) -> list[str]:
        """Identities of every shorter beginning of this dialogue, longest first: what it may have grown from."""
        identities: list[str] = []
        digest = hashlib.sha256(b'{"messages":[')
        for message in self.messages[:-1]:
            if identities:
                digest.update(b",")
            digest.update(_json(_identifying(message)).encode())
            beginning = digest.copy()
            beginning.update(b"]}")
            identities.append(beginning.hexdigest())
        return identities[::-1]


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text, all of which is learned."""

    kind: ClassVar[Literal["text"]] = "text"
    text: str

    @property
    def canonical(self) -> str:
        """As the Protocol."""
        return _json({"text": self.text})

    @property
    def identity(self) -> str:
        """As the Protocol."""
        return _sha256(self.canonical)

    @property
    def group(self) -> str:
        """A group of its own."""
        return self.identity

    @property
    def texts(self) -> tuple[str, ...]:
        """As the Protocol."""
        return (self.text,)

    @property
    def supervised_bytes(self) -> int:
        """As the Protocol."""
        return len(self.text.encode())


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who preferred: somebody who made a file, or an ``owner`` who judged answers of model ``version``."""

    origin: Literal["file", "feedback"] = "file"
    owner: str = ""
    version: int | None = None


FROM_FILE = Provenance()


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers to a prompt.

    Attributes:
        messages: what follows the prompt, usually a single assistant turn.
        score: higher is better. Of an answer that was judged by itself, 1 (good) or 0 (bad).
        rank: 1 is the best.
    """

    messages: tuple[Message, ...]
    score: float | None = None
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Preference:
    """A prompt with every answer to it, scored or ranked; one answer alone was judged good or bad."""

    kind: ClassVar[Literal["preference"]] = "preference"
    prompt: tuple[Message, ...]
    answers: tuple[Answer, ...]
    provenance: Provenance = FROM_FILE

    @property
    def canonical(self) -> str:
        """As the Protocol."""
        value: dict[str, JsonValue] = {
            "prompt": [_stored(message) for message in self.prompt],
            "answers": [_stored_answer(answer) for answer in self.answers],
        }
        if self.provenance != FROM_FILE:
            found = self.provenance
            value["provenance"] = {"origin": found.origin, "owner": found.owner, "version": found.version}
        return _json({"preference": value})

    @property
    def identity(self) -> str:
        """As the Protocol."""
        return _sha256(self.canonical)

    @property
    def group(self) -> str:
        """That of a dialogue that begins with its prompt."""
        return _opening(self.prompt) or self.identity

    @property
    def texts(self) -> tuple[str, ...]:
        """As the Protocol."""
        answers = (message for answer in self.answers for message in answer.messages)
        return tuple(message.plain_content for message in (*self.prompt, *answers))

    @property
    def supervised_bytes(self) -> int:
        """As the Protocol: the assistant's turns of every answer."""
        messages = (message for answer in self.answers for message in answer.messages)
        return sum(len(message.plain_content.encode()) for message in messages if message.is_supervised)


@dataclass(frozen=True, slots=True)
class LabelledSpan:
    """A labelled part of a text, from character ``start`` up to ``end`` (Unicode code points)."""

    start: int
    end: int
    label: str


Label = str | float | bool


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, or a pair of texts, with its label or labels, or with labelled spans.

    Attributes:
        task: what the label is about; empty where the file does not say.
    """

    kind: ClassVar[Literal["labelled"]] = "labelled"
    text: str
    label: Label | tuple[Label, ...] | None = None
    task: str = ""
    text_pair: str = ""
    spans: tuple[LabelledSpan, ...] = ()

    @property
    def canonical(self) -> str:
        """As the Protocol."""
        label: JsonValue = [*self.label] if isinstance(self.label, tuple) else self.label
        value: dict[str, JsonValue] = {"task": self.task, "text": self.text, "label": label}
        if self.text_pair:
            value["text_pair"] = self.text_pair
        if self.spans:
            value["spans"] = [[span.start, span.end, span.label] for span in self.spans]
        return _json({"labelled": value})

    @property
    def identity(self) -> str:
        """As the Protocol."""
        return _sha256(self.canonical)

    @property
    def group(self) -> str:
        """That of its text, whatever the task and the label."""
        return _sha256(_json({"text": self.text}))

    @property
    def texts(self) -> tuple[str, ...]:
        """As the Protocol."""
        return (self.text, self.text_pair) if self.text_pair else (self.text,)

    @property
    def supervised_bytes(self) -> int:
        """As the Protocol: the label, or the labels of the spans."""
        labels = self.label if isinstance(self.label, tuple) else () if self.label is None else (self.label,)
        return sum(len(str(label).encode()) for label in (*labels, *(span.label for span in self.spans)))


Sample = Dialogue | Text | Preference | Labelled
Conversation = Dialogue | Text
"""What the language objective learns. Samples of other kinds are held: kept and counted, learned by nothing yet."""


def _stored(message: Message) -> JsonValue:
    """``[role, content]``, and where there is more to a message, an object with it."""
    more: dict[str, JsonValue] = {}
    if message.tool_calls:
        more["tool_calls"] = [[call.name, call.arguments, call.id] for call in message.tool_calls]
    if message.name:
        more["name"] = message.name
    if message.tool_call_id:
        more["tool_call_id"] = message.tool_call_id
    if message.weight != 1:
        more["weight"] = message.weight
    if message.tools:
        more["tools"] = message.tools
    return [message.role, message.content, more] if more else [message.role, message.content]


def _identifying(message: Message) -> JsonValue:
    if message.weight == 1:
        return [message.role, message.plain_content]
    return [message.role, message.plain_content, {"weight": message.weight}]


def _stored_answer(answer: Answer) -> JsonValue:
    stored: dict[str, JsonValue] = {"messages": [_stored(message) for message in answer.messages]}
    if answer.score is not None:
        stored["score"] = answer.score
    if answer.rank is not None:
        stored["rank"] = answer.rank
    return stored


def _opening(messages: tuple[Message, ...]) -> str:
    """The hash of an opening; empty where all turns are the system's."""
    turns = tuple(message for message in messages if message.role != "system")
    ends = next((number for number, message in enumerate(turns, 1) if message.role == "user"), 1)
    opening: list[JsonValue] = [[message.role, message.plain_content] for message in turns[:ends]]
    return _sha256(_json({"messages": opening})) if turns else ""


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
