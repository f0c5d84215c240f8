"""``[data]`` and its tables: what a cycle learns from, and what the names in files mean."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from engine.data.records.names.settings import key
from engine.section import Section

ReplayStrategy = Literal["stratified", "uniform"]


class SpeakerSettings(Section):
    """``[data.speakers]``: who is who in exports of messengers, in mail, and in records that name people."""

    assistant: tuple[str, ...] = Field(
        (),
        examples=[["Mia", "support@example.org"]],
        description="Names, addresses or ids of whoever is the assistant, in any case.",
    )
    user: tuple[str, ...] = Field(
        (),
        examples=[["Ben"]],
        description="Who the users are. Empty: everybody else. Otherwise conversations with "
        "anybody who is not named are refused.",
    )
    ignored: tuple[str, ...] = Field((), examples=[["Welcome Bot"]], description="Whose messages to leave out.")
    pause_hours: float = Field(8.0, gt=0, description="A longer pause between two messages begins a new conversation.")

    @model_validator(mode="after")
    def _everybody_is_one(self) -> "SpeakerSettings":
        _check_is_one("data.speakers", {"assistant": self.assistant, "user": self.user, "ignored": self.ignored})
        return self


class ColumnSettings(Section):
    """``[data.columns]``: names of columns, or of keys of JSON rows, in tables that thord does not recognise."""

    user: tuple[str, ...] = Field((), examples=[["Frage"]], description="What the user says.")
    assistant: tuple[str, ...] = Field((), examples=[["Antwort"]], description="What the assistant answers.")
    system: tuple[str, ...] = Field((), examples=[["Anweisung"]], description="Instructions of the conversation.")
    role: tuple[str, ...] = Field((), examples=[["Sprecher"]], description="Who says a row of a table of messages.")
    content: tuple[str, ...] = Field((), examples=[["Nachricht"]], description="What is said in it.")
    conversation: tuple[str, ...] = Field(
        (), examples=[["Vorgang"]], description="Of which conversation a row is: its id."
    )
    time: tuple[str, ...] = Field((), examples=[["Zeitpunkt"]], description="When it was said.")

    @model_validator(mode="after")
    def _every_column_is_one(self) -> "ColumnSettings":
        _check_is_one("data.columns", dict(self))
        return self


class RoleSettings(Section):
    """``[data.roles]``: words that your files use for the roles, in addition to those that thord knows."""

    system: tuple[str, ...] = Field((), examples=[["Anweisung"]], description="Words for instructions.")
    user: tuple[str, ...] = Field((), examples=[["Mandant"]], description="Words for the user.")
    assistant: tuple[str, ...] = Field((), examples=[["Beraterin"]], description="Words for the assistant.")
    tool: tuple[str, ...] = Field((), examples=[["Werkzeug"]], description="Words for the results of tools.")

    @model_validator(mode="after")
    def _every_word_is_one(self) -> "RoleSettings":
        _check_is_one("data.roles", dict(self))
        return self


def _check_is_one(table: str, lists: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a name that is blank, or is in two lists."""
    seen: dict[str, str] = {}
    for name, words in lists.items():
        for word in words:
            if not key(word):
                raise ValueError(f"{table}.{name}: a name is blank")
            if (other := seen.setdefault(key(word), name)) != name:
                raise ValueError(f"{word!r} is in both {table}.{other} and {table}.{name}")


class DataSettings(Section):
    """``[data]``: what a cycle learns from."""

    min_conversations: int = Field(10, gt=0, description="Skip the cycle if fewer conversations than this are new.")
    max_conversations_per_cycle: int | None = Field(
        None,
        examples=[1000],
        gt=0,
        description="Maximum number of new conversations in one cycle. Unset: all that are waiting.",
    )
    held_out_share: float = Field(
        0.1,
        gt=0.0,
        lt=0.9,
        description="Share of all conversations held out for evaluation and never trained on, chosen by the hash of "
        "their opening.",
    )
    replay_share: float = Field(
        0.2,
        ge=0.0,
        lt=0.95,
        description="Share of a cycle's training conversations that were learned in earlier cycles.",
    )
    replay_strategy: ReplayStrategy = Field(
        "stratified",
        description="How to draw them: evenly over cycles and sources (stratified), or evenly over conversations "
        "(uniform).",
    )
    max_tries: int = Field(3, gt=0, description="Set a conversation aside after this many rejected or failed cycles.")
    max_file_megabytes: int = Field(2048, gt=0, description="Maximum size of a file; a larger one goes to quarantine.")
    max_record_megabytes: int = Field(8, gt=0, description="Maximum size of a record; a larger one goes to quarantine.")
    settle_seconds: float = Field(
        1.0,
        gt=0,
        description="Read a file once it has not changed for this long, or after 30 times as long if it keeps "
        "changing. Data truncated before then is lost; rotate logs by renaming.",
    )
    enwik8_address: str = Field(
        "", description="URL of the corpus enwik8, as the file itself or a zip of it; fetched when it is first needed."
    )
    enwik8_sha256: str = Field(
        "2b49720ec4d78c3c9fabaee6e4179a5e997302b3a70029f30f2d582218c024a8",
        pattern="^[0-9a-f]{64}$",
        description="Expected SHA-256 of the unpacked file.",
    )
    speakers: SpeakerSettings = SpeakerSettings()
    columns: ColumnSettings = ColumnSettings()
    roles: RoleSettings = RoleSettings()
