"""The rows of the store, as the rest of the supervisor and its clients see them."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from control.paths import version_name
from control.quality import quality
from daemon.cycle import FINAL, CycleState
from engine.config import renamed
from engine.variation import Variation

VersionState = Literal["available", "rejected", "quarantined"]
"""What is known of a version's worth. Whether it serves is told by ``current``, not by the store."""


def name_or_null(number: int | None) -> str | None:
    """The name of a version, or null where there is none."""
    return None if number is None else version_name(number)


def in_words(metrics: Mapping[str, float] | None, *, first: bool) -> JsonValue:
    """How good a version is, for clients; ``first``: it began with nothing."""
    found = quality(metrics, first=first)
    return None if found is None else {"level": found["level"], "words": found["words"]}


class Record(BaseModel):
    """One row of a table in ``thord.db``."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CycleRequest(Record):
    """What a cycle was asked to do. All empty: learn what the ledger holds, by the settings.

    Attributes:
        base: the version to go on from; null: the one that serves.
    """

    train_files: tuple[str, ...] = ()
    validation_files: tuple[str, ...] = ()
    corpus: tuple[str, ...] = ()
    split: bool = False
    base: int | None = None
    overrides: dict[str, JsonValue] = {}

    @field_validator("overrides")
    @classmethod
    def _recorded_under_old_names(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return renamed.with_new_names("training", value)

    @property
    def files(self) -> tuple[str, ...]:
        """Everything to learn from in place of the ledger."""
        return (*self.train_files, *self.corpus)


class Cycle(Record):
    """A unit of learning. Its row is its only truth.

    Attributes:
        reason: what started it: ``schedule``, ``threshold``, ``manual by uid N``.
        attempt: how often work on it has begun.
        attempts_without_progress: how many of the last attempts in a row got no further than those before.
        furthest: the highest training step any attempt reported.
        incumbent: the version it was last judged against.
        variation: how its run differs from those before it that came to nothing; null: there were none.
        outcome: a sentence for people: why it ended as it did.
        data_at_fault: it failed in a way its conversations may have caused, so this counts as one of their tries.
        settled: the intake has given its conversations their final state.
    """

    id: int
    state: CycleState
    reason: str
    request: CycleRequest = CycleRequest()
    attempt: int = 1
    attempts_without_progress: int = 1
    furthest: int = 0
    conversations: int | None = None
    replayed: int | None = None
    held_out: int | None = None
    snapshot_sha256: str | None = None
    base_version: int | None = None
    version: int | None = None
    incumbent: int | None = None
    gate: dict[str, JsonValue] | None = None
    metrics: dict[str, float] | None = None
    variation: Variation | None = None
    outcome: str | None = None
    data_at_fault: bool = False
    settled: bool = False
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None

    @property
    def has_begun(self) -> bool:
        """Whether some attempt at it has begun."""
        return self.state is not CycleState.QUEUED

    @property
    def is_final(self) -> bool:
        """Whether it has ended, so that nothing will happen to it any more."""
        return self.state in FINAL

    def to_json(self) -> dict[str, JsonValue]:
        """The cycle as clients see it."""
        shown = self.model_dump(
            mode="json", exclude={"settled", "data_at_fault", "attempts_without_progress", "furthest", "request"}
        )
        asked = self.request.model_dump(mode="json", exclude_defaults=True)
        versions = {name: name_or_null(getattr(self, name)) for name in ("base_version", "version", "incumbent")}
        differs = {"differs": self.variation.words} if self.variation else {}
        return {
            **shown,
            **versions,
            **differs,
            "quality": in_words(self.metrics, first=self.base_version is None),
            **asked,
        }


class Version(Record):
    """A published version and what became of it.

    Attributes:
        base: of an adapter, the version whose weights it changes.
        previous: what served before it was promoted; where ``rollback`` leads.
        proven: a server has reported that it serves this version.
        note: why it is rejected or quarantined.
        pinned: a person wants its weights kept.
        purged_at: when its weights went; null: they are there.
        purged_why: the rule by which they did.
    """

    number: int
    parent: int | None = None
    base: int | None = None
    cycle: int | None = None
    state: VersionState = "available"
    created_at: str
    sha256: str
    parameters: int
    metrics: dict[str, float] = {}
    previous: int | None = None
    proven: bool = False
    note: str | None = None
    pinned: bool = False
    purged_at: str | None = None
    purged_why: str | None = None

    @property
    def is_purged(self) -> bool:
        """Whether its weights are gone; its record stays."""
        return self.purged_at is not None

    def to_json(self, serving: int | None, resident: tuple[int, ...], form: str | None = None) -> dict[str, JsonValue]:
        """The version as clients see it, given what is in service, and the form that it has in memory."""
        state: str = self.state
        if self.number == serving:
            state = "serving"
        elif self.number in resident:
            state = "resident"
        elif self.is_purged:
            state = "purged"
        return {
            "version": version_name(self.number),
            "parent": name_or_null(self.parent),
            "method": "full" if self.base is None else "lora",
            "base": name_or_null(self.base),
            "cycle": self.cycle,
            "state": state,
            "form": form,
            "created_at": self.created_at,
            "sha256": self.sha256,
            "parameters": self.parameters,
            "metrics": dict(self.metrics),
            "quality": in_words(self.metrics, first=self.parent is None),
            "previous": name_or_null(self.previous),
            "note": self.note,
            "pinned": self.pinned,
            "purged_at": self.purged_at,
            "purged_why": self.purged_why,
        }


class Event(Record):
    """Something that happened, kept for ever and streamed to whoever follows."""

    id: int
    at: str
    type: str
    data: dict[str, JsonValue] = Field(default_factory=dict)

    def to_json(self) -> dict[str, JsonValue]:
        """The event as clients see it."""
        return {"id": self.id, "at": self.at, "type": self.type, **self.data}


class Pause(Record):
    """While there is one, no cycle starts by itself."""

    since: str
    by: str


class Swap(Record):
    """A promotion between its first transaction and its last; found after a crash, it says what was meant.

    Attributes:
        rollback: it leads back, so ``previous`` of the version stays as it is.
    """

    version: int
    previous: int | None
    cycle: int | None
    rollback: bool = False
    by: str
