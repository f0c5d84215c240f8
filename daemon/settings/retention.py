"""``[retention]`` and ``[uploads]``: what is kept, what is removed, and where copies go before that."""

from typing import Literal

from pydantic import Field, field_validator

from engine.section import Section


class CorpusRetention(Section):
    """``[retention.corpora]``: the cache of corpora that were fetched from elsewhere."""

    enabled: bool = Field(False, description="Whether to bound the cache; what a job or a cycle needs always stays.")
    max_bytes: int = Field(10_737_418_240, ge=0, description="Maximum size of the cache.")
    min_free_bytes: int = Field(
        2_147_483_648, ge=0, description="Free disk space to maintain by removing corpora from the cache."
    )
    evict: Literal["lru", "oldest"] = Field(
        "lru", description="Which corpus goes first: the least recently used one, or the one that was fetched first."
    )


class TokenizerRetention(Section):
    """``[retention.tokenizers]``: tokenizers that jobs trained."""

    enabled: bool = Field(
        False, description="Whether to remove tokenizers that no kept version, no job and no setting uses."
    )
    min_unused_days: float = Field(30.0, ge=0, description="Remove one when it has not been used for this many days.")


class RetentionSettings(Section):
    """``[retention]``: what to keep of versions, runs and snapshots that are no longer needed."""

    enabled: bool = Field(
        True,
        description="Whether thord removes what is no longer needed automatically; `thorctl clean` removes it at any "
        "time.",
    )
    keep_versions: int = Field(
        4, ge=0, description="Number of newest versions that keep their weights, in addition to those still needed."
    )
    keep_rejected: int = Field(
        1, ge=0, description="Number of newest rejected or quarantined versions that keep their weights."
    )
    keep_rollbacks: int = Field(2, ge=1, description="Number of versions that a rollback can always go back.")
    keep_artifacts: int = Field(
        50,
        ge=0,
        description="Number of newest runs of jobs whose artifacts keep their weights, in addition to those still "
        "needed.",
    )
    keep_runs: int = Field(
        1,
        ge=0,
        description="Number of newest failed or cancelled runs that keep their checkpoints; with "
        "`training.keep_epochs`, the same number of published runs keep theirs.",
    )
    keep_snapshots: int = Field(
        4, ge=0, description="Number of newest snapshots to keep, in addition to those of needed versions."
    )
    keep_figures: int = Field(
        500, ge=1, description="Number of newest runs that keep their metrics and TensorBoard files."
    )
    keep_days: float = Field(365.0, gt=0, description="Remove anything that is not needed after this many days.")
    max_gigabytes: float | None = Field(
        None,
        gt=0,
        examples=[50],
        description="Maximum total size; beyond it, the oldest data that is not needed is removed.",
    )
    min_free_gigabytes: float = Field(
        2.0, ge=0, description="Free disk space to maintain; below it, the oldest data that is not needed is removed."
    )
    corpora: CorpusRetention = CorpusRetention()
    tokenizers: TokenizerRetention = TokenizerRetention()


class UploadSettings(Section):
    """``[uploads]``: copies of what jobs made, in other places."""

    to: tuple[str, ...] = Field(
        (),
        examples=[["/mnt/archive", "s3://models/thord", "hub:me/my-model", "data-bank"]],
        description="Where to upload the artifacts of each completed run: a folder, an address that fsspec knows (`pip "
        "install 'thord[uploads]'`), `hub:OWNER/NAME` on the Hugging Face hub, or the data bank of "
        "[integrations.data_bank].",
    )
    clean: bool = Field(
        True,
        description="Whether to remove the local artifacts and weights of a run once they are in all of these places, "
        "unless something needs them.",
    )
    verify: bool = Field(
        True, description="Whether to read the sums back from there first; otherwise the answer of the place counts."
    )
    grace_seconds: float = Field(0.0, ge=0, description="How long to wait before that.")
    dry_run: bool = Field(False, description="Log what would be removed after an upload, and remove nothing.")

    @field_validator("to")
    @classmethod
    def _are_places(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for place in value:
            if not (place.startswith(("/", "hub:")) or "://" in place or place == "data-bank"):
                raise ValueError(f"{place!r}: expected an absolute folder, SCHEME://..., hub:OWNER/NAME or data-bank")
        return value
