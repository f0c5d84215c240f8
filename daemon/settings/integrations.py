"""``[integrations]``: other programs that thord tells how its runs go."""

from typing import Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator, model_validator

from engine.section import Section


def _check_port(parts: SplitResult) -> None:
    """Raise ValueError where the port of an address is none."""
    try:
        parts.port  # noqa: B018 — it is only read here, and may raise
    except ValueError as error:
        raise ValueError(f"{parts.hostname}: {error}") from None


class RedisSettings(Section):
    """``[integrations.redis]``: a Redis server that events of runs are published to."""

    enabled: bool = Field(
        False, description="Whether to publish events of runs to Redis; needs `pip install 'thord[redis]'`."
    )
    url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Address of the Redis server: `redis://`, `rediss://` for TLS, or `unix://`.",
    )
    events: str = Field(
        "trainer:events",
        min_length=1,
        description="Channel to publish events on, and stream of that name to keep them.",
    )
    stream_length: int = Field(10_000, gt=0, description="Approximate number of newest events that the stream keeps.")
    progress_seconds: float = Field(1.0, ge=0, description="Shortest time between two progress events of a run.")
    secret_file: str | None = Field(
        None,
        examples=["/etc/thord/queue-secret"],
        description="File with the secret that signs jobs for workers on other hosts; without it, none leaves this "
        "host.",
    )

    @field_validator("url")
    @classmethod
    def _is_an_address_of_redis(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("the address must begin with redis://, rediss:// or unix://")
        return value


class WebhookSettings(Section):
    """``[integrations.webhooks]``: HTTP requests that say how a run ended."""

    urls: tuple[str, ...] = Field(
        (),
        examples=[["https://ci.example.org/thord"]],
        description="Addresses that the end of every run is posted to, as JSON.",
    )
    secret_file: str | None = Field(
        None,
        examples=["/etc/thord/webhook-secret"],
        description="File with the secret that signs the requests; required with `urls`.",
    )
    timeout_seconds: float = Field(10.0, gt=0, le=600, description="Time allowed for one request.")

    @field_validator("urls")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError(f"{parts.hostname or url!r}: the address must begin with http:// or https://")
            _check_port(parts)
            if parts.username or parts.password:
                raise ValueError(f"{parts.hostname}: leave user and password out of the address; requests are signed")
        return value

    @model_validator(mode="after")
    def _are_signed(self) -> "WebhookSettings":
        if self.urls and not self.secret_file:
            raise ValueError(
                "urls needs secret_file: the receivers check by it that a request is from this thord "
                '(one way to make it: echo "whsec_$(openssl rand -base64 32)")'
            )
        return self


class WorkerSettings(Section):
    """``[worker]``: what `thord worker` needs on a host that works for a thord on another one."""

    url: str = Field("http://127.0.0.1:8000", description="Address of the public API of that thord.")
    key_file: str | None = Field(
        None,
        examples=["/etc/thord/worker-key"],
        description="File with a key of that API whose scopes hold `work`.",
    )
    shared_folder: str | None = Field(
        None,
        examples=["/mnt/thord"],
        description="State folder of that thord, where this host can reach it; without it, files come and go over "
        "HTTP.",
    )
    name: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        examples=["gpu-1"],
        description="Name of this worker; the name of the host if unset.",
    )

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the address must begin with http:// or https://")
        _check_port(parts)
        return value.rstrip("/")


class WandbSettings(Section):
    """``[integrations.wandb]``: figures of runs for Weights & Biases."""

    enabled: bool = Field(
        False, description="Whether to pass the figures of runs on; needs `pip install 'thord[wandb]'`."
    )
    project: str = Field("model-trainer", min_length=1, description="Project that runs belong to.")
    mode: Literal["online", "offline"] = Field(
        "online",
        description="online sends the figures while a run goes on, with the key in WANDB_API_KEY or that of `wandb "
        "login`; offline keeps them in the run's folder for `wandb sync`.",
    )
    finish_seconds: float = Field(
        30.0, gt=0, le=3600, description="Time allowed for passing on what is left when a run has ended."
    )


class DataBankSettings(Section):
    """``[integrations.data_bank]``: an HTTP service that keeps corpora and artifacts."""

    url: str | None = Field(
        None, examples=["https://bank.example.org"], description="Address of the data bank; unset: there is none."
    )
    key_file: str | None = Field(
        None,
        examples=["/etc/thord/data-bank-key"],
        description="File with the API key of the data bank; `APP__DATA_BANK_API_KEY` can hold it instead.",
    )
    timeout_seconds: float = Field(60.0, gt=0, description="Longest silence of the data bank during a transfer.")

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in {"http", "https"}:
            raise ValueError("the address must begin with http:// or https://")
        return value


class IntegrationSettings(Section):
    """``[integrations]``: other programs that are told how runs go."""

    redis: RedisSettings = RedisSettings()
    webhooks: WebhookSettings = WebhookSettings()
    wandb: WandbSettings = WandbSettings()
    data_bank: DataBankSettings = DataBankSettings()
