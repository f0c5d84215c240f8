"""The tables of ``thord.toml``. Tables that belong to the engine are defined in `engine.config`."""

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from daemon.settings.data import DataSettings
from daemon.settings.integrations import IntegrationSettings, WorkerSettings
from daemon.settings.jobs import JobSettings
from daemon.settings.retention import RetentionSettings, UploadSettings
from engine.config.evaluation import EvaluationSettings, GateSettings
from engine.config.inference import InferenceSettings
from engine.config.model import ModelSettings
from engine.config.tasks import TaskSettings, tasks_of
from engine.config.tokenizer import TokenizerSettings
from engine.config.training import TrainingSettings
from engine.data.tasks.task import Task
from engine.families.table import FAMILIES
from engine.section import Section


class PathSettings(Section):
    """``[paths]``: folders watched besides the inbox, and folders of the home that lie elsewhere."""

    watch: tuple[str, ...] = Field((), description="Folders to watch besides the inbox, as absolute paths.")
    artifacts: str | None = Field(
        None,
        examples=["/srv/artifacts"],
        description="Folder of artifacts, instead of the one in the home, which becomes a link to it.",
    )
    runs: str | None = Field(
        None,
        examples=["/scratch/runs"],
        description="Folder of runs, instead of the one in the home, which becomes a link to it.",
    )
    logs: str | None = Field(
        None,
        examples=["/srv/logs"],
        description="Folder of logs, instead of the one in the home, which becomes a link to it.",
    )

    @field_validator("watch")
    @classmethod
    def _folders_are_somewhere(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for folder in value:
            _check_is_somewhere(folder)
        return value

    @field_validator("artifacts", "runs", "logs")
    @classmethod
    def _folder_is_somewhere(cls, value: str | None) -> str | None:
        if value is not None:
            _check_is_somewhere(value)
        return value


def _check_is_somewhere(folder: str) -> None:
    try:
        found = Path(folder).expanduser()
    except RuntimeError:
        raise ValueError(f"{folder!r}: the user does not exist or has no home folder") from None
    if not found.is_absolute() or "\0" in folder:
        raise ValueError(f"{folder!r} is not an absolute path")


class ScheduleSettings(Section):
    """``[schedule]``: when cycles start. ``cron`` replaces the interval."""

    enabled: bool = Field(True, description="Whether cycles start automatically.")
    interval_minutes: float = Field(30.0, gt=0, le=5_256_000, description="Minutes between cycles.")
    cron: str | None = Field(
        None, examples=["0 3 * * *"], description="Crontab expression with five fields; replaces the interval."
    )
    after_new_conversations: int = Field(
        0, ge=0, description="Start a cycle as soon as this many conversations are new; 0 waits for the schedule."
    )

    @field_validator("cron")
    @classmethod
    def _cron_is_possible(cls, value: str | None) -> str | None:
        if value is not None:
            from daemon.settings.crontab import trigger  # only for those who use it

            trigger(value)
        return value


class ApiSettings(Section):
    """``[api]``: the public HTTP API."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 picks a free one.")
    keys_file: str | None = Field(
        None,
        examples=["/etc/thord/keys"],
        description="File with one key a line, itself or its SHA-256 (a key of 64 hexadecimal digits only by its "
        "SHA-256), and after a colon, if wanted, its scopes (`read`, `generate`, `train`, `work`, `admin`), such as "
        "`KEY:generate`; without scopes a key may `read` and `generate`. Without a file, the systemd credential "
        "`keys` is read; where there is none, the API is open to whoever reaches the port.",
    )
    hosts: tuple[str, ...] = Field(
        (),
        examples=[["thord.example.org"]],
        description="Additional host names by which clients may reach the API, such as that of a proxy; its own "
        'addresses and localhost are always allowed, and requests to any other host are refused. "*" '
        "allows any host.",
    )
    aliases: tuple[str, ...] = Field(
        (), examples=[["gpt-4o-mini"]], description="Other model names that clients may ask for."
    )
    allow_origins: tuple[str, ...] = Field(
        (),
        examples=[["https://chat.example.org"]],
        description='Origins of web pages that may use the API from a browser; "*" allows any origin.',
    )
    file_roots: tuple[str, ...] = Field(
        (),
        examples=[["/srv/corpora"]],
        description="Folders below which requests of runs may name files, as absolute paths; without any, a request "
        "must send its text itself. Whoever may ask the API can have the model read what is there.",
    )
    anonymous_scopes: tuple[Literal["read", "generate", "train"], ...] = Field(
        ("read", "generate"),
        examples=[["read", "generate", "train"]],
        description="What callers may do where no keys are configured.",
    )
    max_body_megabytes: int = Field(8, gt=0, description="Maximum size of a request.")
    request_timeout_seconds: float = Field(600.0, gt=0, description="Maximum duration of a request.")


class SessionSettings(Section):
    """``[sessions]``: chats that the server stores for clients that name a session."""

    keep_days: float = Field(30.0, gt=0, description="Delete a session that has not been used for this many days.")
    max_per_client: int = Field(
        1000,
        gt=0,
        description="Maximum number of sessions per API key; beyond it, the least recently used one is deleted.",
    )


class FileSettings(Section):
    """``[files]``: files that clients upload over the API, to fine-tune with them."""

    max_file_megabytes: int = Field(512, gt=0, description="Maximum size of one file.")
    max_megabytes_per_client: int = Field(4096, gt=0, description="Maximum size of all files of one API key.")
    max_per_client: int = Field(1000, gt=0, description="Maximum number of files per API key.")


class ConversationLogSettings(Section):
    """``[conversation_log]``: chats with the served model, logged to the inbox and learned."""

    enabled: bool = Field(
        False, description="Whether to log chats and learn from them. Tell your users before you turn this on."
    )
    feedback_seconds: float = Field(
        300.0, ge=0, description="How long to wait for feedback on an answer before it goes to the inbox."
    )
    redact: tuple[str, ...] = Field(
        (),
        examples=[[r"[\w.+-]+@[\w.-]+", r"\b\d{16}\b"]],
        description="Regular expressions; every match is replaced by `[redacted]` in what is kept for learning. "
        "Installed entry points of the group `thord.redactors` are applied after them.",
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
                raise ValueError(f"{pattern!r} is not a valid regular expression: {error}") from None
        return value


class MonitoringSettings(Section):
    """``[monitoring]``: metrics of the host, the GPU and the runs."""

    interval_seconds: float = Field(
        30.0, ge=1.0, description="Seconds between measurements of the host, the processes and the GPU."
    )


class SupervisionSettings(Section):
    """``[supervision]``: how workers are kept alive and stopped."""

    boot_timeout_seconds: float = Field(180.0, gt=0, description="Restart a worker that is not ready within this time.")
    heartbeat_timeout_seconds: float = Field(
        30.0, gt=0, description="Restart a worker that has been silent for this long."
    )
    stall_timeout_seconds: float = Field(
        900.0, gt=0, description="Restart a busy worker that has made no progress for this long."
    )
    stop_grace_seconds: float = Field(
        30.0, gt=0, description="Time allowed for draining requests and writing checkpoints when stopping."
    )
    max_restarts: int = Field(
        5, gt=0, description="A worker that restarts more often than this within max_seconds is marked as failed."
    )
    max_seconds: float = Field(60.0, gt=0, description="Time span over which max_restarts counts.")
    backoff_cap_seconds: float = Field(
        30.0,
        gt=0,
        description="Longest pause before a restart; a worker that stays up longer than this has its earlier failures"
        " forgiven.",
    )
    max_attempts: int = Field(
        8, gt=0, description="Number of consecutive attempts without progress after which a cycle fails."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Minimum level of log lines to write."
    )
    log_megabytes: int = Field(16, gt=0, description="Size at which a log is rotated.")
    log_copies: int = Field(5, ge=1, description="Number of rotated logs to keep.")


class Tables(Section):
    """All of ``thord.toml``."""

    profile: str | None = None
    paths: PathSettings = PathSettings()
    data: DataSettings = DataSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    model: ModelSettings = ModelSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    training: TrainingSettings = TrainingSettings()
    tasks: dict[str, TaskSettings] = Field({})
    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()
    inference: InferenceSettings = InferenceSettings()
    jobs: JobSettings = JobSettings()
    retention: RetentionSettings = RetentionSettings()
    uploads: UploadSettings = UploadSettings()
    api: ApiSettings = ApiSettings()
    sessions: SessionSettings = SessionSettings()
    files: FileSettings = FileSettings()
    conversation_log: ConversationLogSettings = ConversationLogSettings()
    integrations: IntegrationSettings = IntegrationSettings()
    worker: WorkerSettings = WorkerSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    supervision: SupervisionSettings = SupervisionSettings()

    @cached_property
    def all_tasks(self) -> dict[str, Task]:
        """Every task by its name: the ready-made ones, and those of the settings."""
        return tasks_of(self.tasks)

    @model_validator(mode="after")
    def _tasks_are_whole(self) -> "Tables":
        tasks_of(self.tasks)
        return self

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
