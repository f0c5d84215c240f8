"""What clients may send; chats are in `chat_schemas`. What becomes of fields that no schema names, `fields` says.

Lists end at their first fault: a report of each of the million that a body has room for would fill the memory.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from daemon.workers.server.api.fields import REQUEST, Rules
from daemon.workers.server.api.request_body import RequestBody
from daemon.workers.server.api.structure_schemas import StructuredBody
from engine.inference.requests import Sampling

MAX_CHOICES = 128
MAX_BIASES = 1024
MAX_STOP_TOKENS = 1024
Finite = Annotated[float, Field(allow_inf_nan=False)]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
"""Labels that a client gives and gets back."""
MAX_TOKENS = 1 << 20
"""In one list: more than any context has room for, and what is checked in a fraction of a second."""
NO_LIMIT = -1
"""As ``max_tokens``: no limit but the context. As ``truncate_prompt_tokens``: as much as fits."""
Tokens = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=MAX_TOKENS, fail_fast=True)]
Several = Field(min_length=1, max_length=2048, fail_fast=True)


def _a_number_or_no_limit(given: int) -> int:
    if given < NO_LIMIT:
        raise ValueError("a number of tokens, or -1 for as many as fit")
    return given


def _keeps_something(given: int) -> int:
    if given == 0:
        raise ValueError("1 or more tokens, or -1 for as many as fit")
    return given


Limit = Annotated[int, Field(le=1 << 31), AfterValidator(_a_number_or_no_limit)]
Kept = Annotated[Limit, AfterValidator(_keeps_something)]


class StreamOptions(RequestBody):
    """The field ``stream_options``."""

    include_usage: bool | None = Field(None, description="A last chunk without choices counts tokens.")
    continuous_usage_stats: bool | None = Field(None, description="Every chunk counts tokens.")
    include_obfuscation: bool | None = Field(None, description="Has no effect: chunks are not padded.")


class SamplingBody(RequestBody):
    """How tokens are chosen. A field that is null has its default."""

    temperature: Annotated[Finite, Field(ge=0, le=100)] | None = Field(None, description="0 is greedy.")
    top_p: Annotated[Finite, Field(ge=0, le=1)] | None = Field(
        None, description="Choose among the likeliest tokens that make up this share; 0 is greedy."
    )
    top_k: Annotated[int, Field(ge=-1, le=1 << 31)] | None = Field(
        None, description="Choose among this many of the likeliest tokens; 0 or -1: all."
    )
    min_p: Annotated[Finite, Field(ge=0, le=1)] | None = Field(
        None, description="Leave out tokens less likely than this share of the likeliest."
    )
    repetition_penalty: Annotated[Finite, Field(gt=0, le=100)] | None = Field(
        None, description="Makes tokens of prompt and answer less likely; 1 has no effect."
    )
    presence_penalty: Annotated[Finite, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[Finite, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, Annotated[Finite, Field(ge=-100, le=100)]] | None = Field(
        None, description="Added to the scores of tokens, by their id."
    )
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 64)] | None = Field(
        None, description="The same seed gives the same answer of the same version."
    )

    def sampling(self, top_logprobs: int | None, defaults: Sampling) -> Sampling:
        """How tokens are chosen: as this request says, and where it says nothing, as ``defaults``, the model's own."""

        def chosen(own: float | None, default: float) -> float:
            return default if own is None else own

        return Sampling(
            temperature=0.0 if self.top_p == 0 else chosen(self.temperature, defaults.temperature),
            top_k=defaults.top_k if self.top_k is None else max(self.top_k, 0),
            top_p=chosen(self.top_p, defaults.top_p) or 1.0,
            min_p=chosen(self.min_p, defaults.min_p),
            repetition_penalty=chosen(self.repetition_penalty, defaults.repetition_penalty),
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            logit_bias={int(token): bias for token, bias in (self.logit_bias or {}).items()},
            seed=self.seed,
            top_logprobs=top_logprobs,
        )

    @field_validator("logit_bias", mode="before")
    @classmethod
    def _biases_are_few(cls, given: JsonValue) -> JsonValue:
        if isinstance(given, dict) and len(given) > MAX_BIASES:
            raise ValueError(f"at most {MAX_BIASES} tokens may be biased")
        return given

    @model_validator(mode="after")
    def _biases_tokens(self) -> "SamplingBody":
        if any(not token.isdecimal() or len(token) > 9 for token in self.logit_bias or {}):
            raise ValueError("logit_bias: keys are token ids")
        return self


class GenerationBody(SamplingBody, StructuredBody):
    """What completions and chats have in common. A field that is null has its default."""

    rules: ClassVar[Rules] = REQUEST

    model: str | None = Field(None, description="The model, or one of its versions: thor@000012, thor@previous.")
    max_tokens: Limit | None = Field(
        None, description="Longest answer; without it a chat may fill the context, and a completion has 16 tokens."
    )
    max_completion_tokens: Limit | None = Field(None, description="Another name for max_tokens; it takes precedence.")
    min_tokens: Annotated[int, Field(ge=0, le=1 << 31)] | None = Field(
        None, description="The answer has at least this many tokens; stop strings are ignored until then."
    )
    stop: str | Annotated[list[str], Field(max_length=16, fail_fast=True)] | None = Field(
        None, description="The answer ends before the first of these."
    )
    stop_token_ids: (
        Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=MAX_STOP_TOKENS, fail_fast=True)] | None
    ) = Field(None, description="Tokens that end the answer, besides every special token.")
    include_stop_str_in_output: bool | None = Field(
        None, description="Include in the answer the stop string that ended it."
    )
    ignore_eos: bool | None = Field(None, description="Go on after a token that ends a text: for measuring.")
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = Field(None, description="Answers to each prompt.")
    best_of: int | None = Field(None, description="Must be n.")
    stream: bool | None = Field(None, description="Send the answer as it is made.")
    stream_options: StreamOptions | None = None
    truncate_prompt_tokens: Kept | None = Field(
        None, description="Keep this many of the prompt's last tokens; -1: as many as fit."
    )
    timeout_seconds: Annotated[Finite, Field(gt=0)] | None = Field(
        None, description="Give up after this time; api.request_timeout_seconds applies too."
    )

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        yield from super().parts()
        if self.stream_options is not None:
            yield "stream_options", self.stream_options

    @property
    def token_limit(self) -> int | None:
        """The longest answer in tokens; None: no limit but the context."""
        limit = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return None if limit == NO_LIMIT else limit

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings that are not empty."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in given if text)

    @property
    def includes_usage(self) -> bool:
        """The stream ends with a chunk of usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def counts_along(self) -> bool:
        """Each chunk of the stream has usage."""
        return (
            self.includes_usage and self.stream_options is not None and bool(self.stream_options.continuous_usage_stats)
        )

    @model_validator(mode="after")
    def _fits_together(self) -> "GenerationBody":
        if self.best_of not in (None, self.n or 1):
            raise ValueError(f"best_of ({self.best_of}) must be n ({self.n or 1}): every answer made is sent")
        if self.token_limit is not None and (self.min_tokens or 0) > self.token_limit:
            raise ValueError(f"min_tokens ({self.min_tokens}) is larger than max_tokens ({self.token_limit})")
        for name, asked in (("min_tokens", self.min_tokens), ("ignore_eos", self.ignore_eos)):
            if asked and self.structures:
                raise ValueError(f"{name}: an answer with a structure ends where the structure does; leave it out")
        return self


class CompletionBody(GenerationBody):
    """The body of ``/v1/completions``."""

    prompt: str | Tokens | Annotated[list[str], Several] | Annotated[list[Tokens], Several] | None = Field(
        None, description="Text or token ids, or several of either."
    )
    echo: bool | None = Field(None, description="The text begins with the prompt.")
    logprobs: Annotated[int, Field(ge=0, le=100)] | None = Field(
        None, description="Return the log-probability of each token, and this many of the likeliest."
    )
    add_special_tokens: bool | None = Field(
        None, description="Whether to begin with the token that begins every text; true by default."
    )


class FeedbackBody(RequestBody):
    """The body of ``/v1/feedback``: what a person thinks of an answer, by its ``id``."""

    id: Annotated[str, Field(max_length=100)]
    rating: Literal["up", "down"] | None = None
    edit: Annotated[str, Field(pattern=r"\S")] | None = None
    """What the answer should have been."""

    @model_validator(mode="after")
    def _says_something(self) -> "FeedbackBody":
        if self.rating is None and self.edit is None:
            raise ValueError("give a rating, an edit, or both")
        return self


class EmbeddingBody(RequestBody):
    """The body of ``/v1/embeddings``."""

    rules: ClassVar[Rules] = REQUEST

    input: str | Tokens | Annotated[list[str], Several] | Annotated[list[Tokens], Several] = Field(
        description="Text or token ids, or up to 2048 of either."
    )
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = Field(None, description="Must be those that the model has.")
    truncate_prompt_tokens: Kept | None = Field(
        None, description="Keep this many of the last tokens of each text; -1: as many as fit."
    )


class DetokenizeBody(RequestBody):
    """The body of ``/detokenize``."""

    tokens: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=MAX_TOKENS, fail_fast=True)]


class PredictBody(RequestBody):
    """The body of ``/predict``. Without a temperature the likeliest token is taken each time."""

    rules: ClassVar[Rules] = REQUEST

    task: str
    input: str | Annotated[list[str], Several] = Field(description="A text, or several.")
    text_pair: str | Annotated[list[str], Several] | None = Field(
        None, description="The second text of a task about two: one to each input, or one to all."
    )
    labels: Annotated[list[str], Field(max_length=1000, fail_fast=True)] | None = Field(
        None, description="Labels to choose among instead of the task's own."
    )
    candidates: Annotated[list[str], Field(max_length=1000, fail_fast=True)] | None = Field(
        None, description="What a task of kind rank puts in order."
    )
    model: str | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1 << 31)] | None = Field(
        None, validation_alias=AliasChoices("max_tokens", "max_new_tokens")
    )
    temperature: Annotated[Finite, Field(ge=0, le=100)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1 << 31)] | None = None
    top_p: Annotated[Finite, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 64)] | None = None
    stop_sequences: Annotated[list[str], Field(max_length=16, fail_fast=True)] | None = Field(
        None, validation_alias=AliasChoices("stop_sequences", "stop")
    )
    stop_on_eos: bool | None = None
    num_return_sequences: Annotated[int, Field(ge=1, le=10)] | None = None

    @property
    def sampling(self) -> Sampling:
        """How tokens are chosen."""
        temperature = 0.0 if self.top_p == 0 else self.temperature or 0.0
        return Sampling(temperature, self.top_k or 0, self.top_p or 1.0, seed=self.seed, top_logprobs=0)


class ScoreBody(RequestBody):
    """The body of ``/v1/score``."""

    rules: ClassVar[Rules] = REQUEST

    text: Annotated[str, Field(min_length=1)]
    model: str | None = None
    top_k: Annotated[int, Field(ge=1, le=100)] | None = None
    detail_level: Literal["summary", "per_char"] = "per_char"
    """The summary leaves out what is said of each token."""
