"""What clients ask of a run's version: the documented fields, with their limits and defaults."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from daemon.workers.server.api.request_body import RequestBody
from daemon.workers.server.api.schemas import Finite
from engine.inference.requests import Sampling

MAX_NEW_TOKENS = 512
MAX_SEQUENCES = 10
Seed = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
Text = Annotated[str, Field(min_length=1)]


class AskedOfRun(RequestBody):
    """What every request of a run's version may say besides. A field that is null has its default."""

    user_id: Annotated[int, Field(gt=-(1 << 63), lt=1 << 63)] | None = Field(
        None, description="Whose job it is, for events."
    )
    queue: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        None, description="The queue that events name; the server computes it whatever it says."
    )
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] | None = Field(None, description="Higher goes first.")


class SampledBody(AskedOfRun):
    """How tokens are chosen."""

    max_new_tokens: Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS)] | None = None
    temperature: Annotated[Finite, Field(ge=0, le=100)] | None = Field(None, description="0 is greedy.")
    top_k: Annotated[int, Field(ge=0, le=1 << 31)] | None = Field(None, description="0: no limit; 50 by default.")
    top_p: Annotated[Finite, Field(ge=0, le=1)] | None = None
    seed: Seed | None = Field(None, description="The same seed gives the same text of the same version.")

    def sampling(self, temperature: float, top_p: float) -> Sampling:
        """How tokens are chosen; with these where the client says nothing."""
        warmth = temperature if self.temperature is None else self.temperature
        share = top_p if self.top_p is None else self.top_p
        return Sampling(
            temperature=0.0 if share == 0 else warmth,
            top_k=50 if self.top_k is None else self.top_k,
            top_p=share or 1.0,
            seed=self.seed,
        )


class GenerateBody(SampledBody):
    """The body of ``/runs/{run_id}/generate``."""

    prompt_text: Text | None = None
    prompt_path: Text | None = Field(None, description="A file below api.file_roots, in place of prompt_text.")
    stop_on_eos: bool | None = Field(None, description="Whether a token that ends a text ends the answer: yes.")
    stop_sequences: Annotated[list[str], Field(max_length=16, fail_fast=True)] | None = None
    num_return_sequences: Annotated[int, Field(ge=1, le=MAX_SEQUENCES)] | None = None

    @model_validator(mode="after")
    def _has_one_prompt(self) -> "GenerateBody":
        if (self.prompt_text is None) == (self.prompt_path is None):
            raise ValueError("prompt_text: give it or prompt_path, and not both")
        return self


class ScoreTextBody(AskedOfRun):
    """The body of ``/runs/{run_id}/score``."""

    text: Text | None = None
    path: Text | None = Field(None, description="A file below api.file_roots, in place of text.")
    detail_level: Literal["summary", "per_char"] | None = Field(
        None, description="summary, the default, leaves out tokens and surprisal."
    )
    top_k: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="Report this many of the likeliest tokens in each place."
    )
    seed: Seed | None = Field(None, description="Has no effect: nothing is drawn.")

    @model_validator(mode="after")
    def _has_one_text(self) -> "ScoreTextBody":
        if (self.text is None) == (self.path is None):
            raise ValueError("text: give it or path, and not both")
        return self


class ChatTurnBody(SampledBody):
    """The body of ``/runs/{run_id}/chat``."""

    message: Text
    session_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = Field(
        None, description="The chat to go on with; without it a new one begins."
    )
