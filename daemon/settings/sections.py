"""The tables of ``thord.toml``. Tables that belong to the engine are defined in `engine.config`."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from engine.config.evaluation import EvaluationSettings, GateSettings
from engine.config.inference import InferenceSettings
from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.config.training import TrainingSettings
from engine.families.table import FAMILIES
from engine.section import Section

ReplayStrategy = Literal["stratified", "uniform"]


class PathSettings(Section):
    """``[paths]``: folders watched besides the inbox."""

    watch: tuple[str, ...] = Field((), description="Folders watched besides the inbox, by their absolute paths.")

    @field_validator("watch")
    @classmethod
    def _folders_are_somewhere(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for folder in value:
            try:
                found = Path(folder).expanduser()
            except RuntimeError:
                raise ValueError(f"{folder!r}: there is no such user, or no home") from None
            if not found.is_absolute() or "\0" in folder:
                raise ValueError(f"{folder!r} is no absolute path")
        return value


class DataSettings(Section):
    """``[data]``: what a cycle learns from."""

    min_conversations: int = Field(10, gt=0, description="Fewer new ones than this: the cycle is skipped.")
    max_conversations_per_cycle: int | None = Field(
        None, examples=[1000], gt=0, description="Most new conversations in one cycle. Unset: all that wait."
    )
    held_out_share: float = Field(
        0.1,
        gt=0.0,
        lt=0.9,
        description="Share of all conversations kept for evaluation and never trained on, by hash of their opening.",
    )
    replay_share: float = Field(
        0.2, ge=0.0, lt=0.95, description="Share of a cycle's training conversations that were learned before."
    )
    replay_strategy: ReplayStrategy = Field(
        "stratified",
        description="How those are drawn: cycles and sources alike (stratified), or conversations alike (uniform).",
    )
    max_tries: int = Field(3, gt=0, description="Rejected or failed cycles after which a conversation is set aside.")
    max_file_megabytes: int = Field(2048, gt=0, description="A larger file goes to quarantine.")
    max_record_megabytes: int = Field(8, gt=0, description="A larger record goes to quarantine.")
    settle_seconds: float = Field(
        1.0,
        gt=0,
        description="A file is read once it has not changed for this long, or after 30 times as long if it keeps "
        "changing. Data truncated before then is lost; rotate logs by renaming.",
    )
    enwik8_address: str = Field(
        "", description="Where to fetch the corpus enwik8 when it is first needed: the file itself or a zip of it."
    )
    enwik8_sha256: str = Field(
        "2b49720ec4d78c3c9fabaee6e4179a5e997302b3a70029f30f2d582218c024a8",
        pattern="^[0-9a-f]{64}$",
        description="Expected SHA-256 of the unpacked file.",
    )


class ScheduleSettings(Section):
    """``[schedule]``: when a cycle starts. ``cron`` takes the place of the interval."""

    enabled: bool = Field(True, description="Whether cycles start by themselves.")
    interval_minutes: float = Field(30.0, gt=0, le=5_256_000, description="Minutes between cycles.")
    cron: str | None = Field(
        None, examples=["0 3 * * *"], description="Five fields of crontab, instead of the interval."
    )
    after_new_conversations: int = Field(
        0, ge=0, description="Start a cycle as soon as this many are new; 0 waits for the time."
    )

    @field_validator("cron")
    @classmethod
    def _cron_is_possible(cls, value: str | None) -> str | None:
        if value is not None:
            from daemon.settings.crontab import trigger  # only for those who use it

            trigger(value)
        return value


class RetentionSettings(Section):
    """``[retention]``: what is kept of versions, runs and snapshots that nothing needs any more."""

    enabled: bool = Field(
        True, description="Whether thord removes what is not needed by itself; `thorctl clean` does it at any time."
    )
    keep_versions: int = Field(
        4, ge=0, description="How many of the newest versions keep their weights, besides needed ones."
    )
    keep_rejected: int = Field(1, ge=0, description="How many rejected or quarantined ones keep theirs.")
    keep_rollbacks: int = Field(2, ge=1, description="How many versions back a rollback can always go.")
    keep_runs: int = Field(
        1,
        ge=0,
        description="How many of the newest failed or cancelled runs keep their checkpoints; with "
        "`training.keep_epochs`, as many published ones do too.",
    )
    keep_snapshots: int = Field(
        4, ge=0, description="How many of the newest snapshots are kept, besides those of needed versions."
    )
    keep_figures: int = Field(
        500, ge=1, description="How many of the newest runs keep their metrics and TensorBoard files."
    )
    keep_days: float = Field(365.0, gt=0, description="Days after which anything that is not needed is removed.")
    max_gigabytes: float | None = Field(
        None,
        gt=0,
        examples=[50],
        description="Most space for all of it; beyond that, the oldest that is not needed is removed.",
    )
    min_free_gigabytes: float = Field(2.0, ge=0, description="Space to keep free on the disk, in the same way.")


class ApiSettings(Section):
    """``[api]``: the public HTTP API."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    keys_file: str | None = Field(
        None,
        examples=["/etc/thord/keys"],
        description="File with one key a line, itself or its SHA-256 (a key of 64 hexadecimal digits only by its "
        "SHA-256), and after a colon, if wanted, its scopes (`read`, `generate`, `train`, `admin`), such as "
        "`KEY:generate`; without scopes a key may `read` and `generate`. Without a file, the systemd credential "
        "`keys` is read; where there is none, the API is open to whoever reaches the port.",
    )
    hosts: tuple[str, ...] = Field(
        (),
        examples=[["thord.example.org"]],
        description="Names by which clients reach the API besides its own addresses and localhost, such as that of a "
        'proxy; requests to others are refused. "*" for any.',
    )
    aliases: tuple[str, ...] = Field(
        (), examples=[["gpt-4o-mini"]], description="Other names for the model that clients may ask for."
    )
    allow_origins: tuple[str, ...] = Field(
        (),
        examples=[["https://chat.example.org"]],
        description='Web pages from these origins may use the API in a browser; "*" for any.',
    )
    max_body_megabytes: int = Field(8, gt=0, description="Largest request.")
    request_timeout_seconds: float = Field(600.0, gt=0, description="Longest a request may take.")


class SessionSettings(Section):
    """``[sessions]``: chats that the server remembers for clients that name a session."""

    keep_days: float = Field(30.0, gt=0, description="A session that nobody has used for this long is forgotten.")
    max_per_client: int = Field(
        1000, gt=0, description="Sessions per API key; beyond that, the least recently used one goes."
    )


class ConversationLogSettings(Section):
    """``[conversation_log]``: chats with the served model, written to the inbox and learned."""

    enabled: bool = Field(False, description="Whether they are. Tell the people whose words these are.")
    feedback_seconds: float = Field(
        300.0, ge=0, description="How long an answer waits for feedback before it goes to the inbox."
    )
    redact: tuple[str, ...] = Field(
        (),
        examples=[[r"[\w.+-]+@[\w.-]+", r"\b\d{16}\b"]],
        description="Regular expressions; what they match is replaced by `[redacted]` in what is kept to be learned. "
        "Installed entry points of the group `thord.redactors` come after them.",
    )

    @field_validator("redact")
    @classmethod
    def _patterns_are_possible(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            return value
        import regex  # only those who redact pay for it

        for pattern in value:
            try:
                regex.compile(pattern)
            except regex.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return value


class MonitoringSettings(Section):
    """``[monitoring]``: figures of host, GPU and runs."""

    interval_seconds: float = Field(30.0, ge=1.0, description="Seconds between samples of host, processes and GPU.")


class SupervisionSettings(Section):
    """``[supervision]``: how workers are kept alive, and how they are stopped."""

    boot_timeout_seconds: float = Field(180.0, gt=0, description="A worker that is not ready by then is restarted.")
    heartbeat_timeout_seconds: float = Field(30.0, gt=0, description="A worker silent for this long is restarted.")
    stall_timeout_seconds: float = Field(
        900.0, gt=0, description="A busy worker whose progress stands still for this long is restarted."
    )
    stop_grace_seconds: float = Field(30.0, gt=0, description="Time to drain and checkpoint when stopping.")
    max_restarts: int = Field(5, gt=0, description="More restarts than this ...")
    max_seconds: float = Field(60.0, gt=0, description="... within this time mark a worker as failed.")
    backoff_cap_seconds: float = Field(
        30.0, gt=0, description="Longest pause before a restart; staying up longer than this forgives earlier deaths."
    )
    max_attempts: int = Field(8, gt=0, description="Attempts in a row without progress before a cycle fails.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least important lines that are written."
    )
    log_megabytes: int = Field(16, gt=0, description="Size at which a log is rotated.")
    log_copies: int = Field(5, ge=1, description="Rotated logs kept.")


class Tables(Section):
    """All of ``thord.toml``."""

    profile: str | None = None
    paths: PathSettings = PathSettings()
    data: DataSettings = DataSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    model: ModelSettings = ModelSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()
    inference: InferenceSettings = InferenceSettings()
    retention: RetentionSettings = RetentionSettings()
    api: ApiSettings = ApiSettings()
    sessions: SessionSettings = SessionSettings()
    conversation_log: ConversationLogSettings = ConversationLogSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    supervision: SupervisionSettings = SupervisionSettings()

    @model_validator(mode="after")
    def _combinations(self) -> "Tables":
        most = self.data.max_conversations_per_cycle
        if most is not None and self.data.min_conversations > most:
            raise ValueError(
                f"data.min_conversations ({self.data.min_conversations}) is larger than "
                f"data.max_conversations_per_cycle ({most}): no cycle could ever run"
            )
        if self.training.sequence_length > self.model.shape.context:
            raise ValueError(
                f"training.sequence_length ({self.training.sequence_length}) is larger than the context of the model "
                f"({self.model.shape.context}): lower training.sequence_length or raise model.context"
            )
        if FAMILIES[self.model.family].reads_bytes and self.tokenizer.kind != "bytes":
            raise ValueError(f'model.family "{self.model.family}" reads bytes: set tokenizer.kind to "bytes"')
        return self
