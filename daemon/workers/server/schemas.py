"""What clients may send. Fields of OpenAI's API that thord has no use for are ignored, as are unknown ones.

Lists end at their first fault: a report of each of the million that a body has room for would fill the memory.
"""

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from engine.inference.requests import Sampling

MAX_CHOICES = 128
MAX_BIASES = 1024
SESSION = r"^[A-Za-z0-9._~-]{1,64}$"
"""Names of sessions."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
MAX_TOKENS = 1 << 20
"""In one list: more than any context has room for, and what is checked in a fraction of a second."""
Tokens = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=MAX_TOKENS, fail_fast=True)]
Several = Field(min_length=1, max_length=2048, fail_fast=True)


class Body(BaseModel):
    """A request's JSON. Types are strict: a number is not a string."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class StreamOptions(Body):
    """``stream_options``."""

    include_usage: bool | None = None


class GenerationBody(Body):
    """What completions and chats have in common. A field that is null has its default."""

    model: str | None = None
    max_tokens: Annotated[int, Field(ge=0, le=1 << 31)] | None = None
    temperature: Annotated[Finite, Field(ge=0, le=100)] | None = None
    top_p: Annotated[Finite, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=1 << 31)] | None = None
    min_p: Annotated[Finite, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[Finite, Field(gt=0, le=100)] | None = None
    presence_penalty: Annotated[Finite, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[Finite, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, Annotated[Finite, Field(ge=-100, le=100)]] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 64)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16, fail_fast=True)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    timeout_seconds: Annotated[Finite, Field(gt=0)] | None = None
    """The client wants no answer after this time; ``api.request_timeout_seconds`` holds besides."""
    ignore_eos: bool | None = None
    """Go on after the token that ends a text (as in vLLM): for measuring."""

    @property
    def stops(self) -> tuple[str, ...]:
        """Stop strings."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in given if text)

    @property
    def includes_usage(self) -> bool:
        """The stream ends with a chunk of usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def sampling(self, alternatives: int | None) -> Sampling:
        """How tokens are chosen."""
        return Sampling(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_k=max(self.top_k or 0, 0),
            top_p=1.0 if self.top_p is None else self.top_p,
            min_p=self.min_p or 0.0,
            repetition_penalty=1.0 if self.repetition_penalty is None else self.repetition_penalty,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            logit_bias={int(token): bias for token, bias in (self.logit_bias or {}).items()},
            seed=self.seed,
            alternatives=alternatives,
        )

    @field_validator("logit_bias", mode="before")
    @classmethod
    def _biases_are_few(cls, given: JsonValue) -> JsonValue:
        if isinstance(given, dict) and len(given) > MAX_BIASES:
            raise ValueError(f"at most {MAX_BIASES} tokens may be biased")
        return given

    @model_validator(mode="after")
    def _biases_name_tokens(self) -> "GenerationBody":
        if any(not token.isdecimal() or len(token) > 9 for token in self.logit_bias or {}):
            raise ValueError("logit_bias: keys are token ids")
        return self


class CompletionBody(GenerationBody):
    """``/v1/completions``."""

    prompt: str | Tokens | Annotated[list[str], Several] | Annotated[list[Tokens], Several] | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=100)] | None = None


class TextPart(Body):
    """A part of a message's content."""

    type: Literal["text"]
    text: str


class ChatMessage(Body):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[TextPart], Field(fail_fast=True)] | None = None

    @property
    def text(self) -> str:
        """The content, its parts joined."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class ChatBody(GenerationBody):
    """``/v1/chat/completions``."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=10_000, fail_fast=True)]
    session: Annotated[str, Field(pattern=SESSION)] | None = None
    """The server remembers what was said: ``messages`` are only those that are new."""
    max_completion_tokens: Annotated[int, Field(ge=0, le=1 << 31)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=100)] | None = None

    @model_validator(mode="after")
    def _one_answer_goes_on(self) -> "ChatBody":
        if self.session is not None and (self.n or 1) > 1:
            raise ValueError("a session goes on from one answer: leave out n")
        return self


class FeedbackBody(Body):
    """``/v1/feedback``: what a person thinks of an answer, by its ``id``."""

    id: Annotated[str, Field(max_length=100)]
    rating: Literal["up", "down"] | None = None
    edit: Annotated[str, Field(pattern=r"\S")] | None = None
    """What the answer should have been."""

    @model_validator(mode="after")
    def _says_something(self) -> "FeedbackBody":
        if self.rating is None and self.edit is None:
            raise ValueError("give a rating, an edit, or both")
        return self


class EmbeddingBody(Body):
    """``/v1/embeddings``."""

    input: str | Tokens | Annotated[list[str], Several] | Annotated[list[Tokens], Several]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None


class TokenizeBody(Body):
    """``/tokenize``: a text, or a conversation."""

    prompt: str | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=10_000, fail_fast=True)] | None = None
    add_special_tokens: bool = True
    return_token_strs: bool = False

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "TokenizeBody":
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("either prompt or messages")
        return self


class DetokenizeBody(Body):
    """``/detokenize``."""

    tokens: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=MAX_TOKENS, fail_fast=True)]


class PredictBody(Body):
    """``/predict``. Without a temperature the likeliest token is taken each time."""

    task: str
    input: str
    model: str | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1 << 31)] | None = Field(
        None, validation_alias=AliasChoices("max_tokens", "max_new_tokens")
    )
    temperature: Annotated[Finite, Field(ge=0, le=100)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1 << 31)] | None = None
    top_p: Annotated[Finite, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 64)] | None = None
    stop_sequences: Annotated[list[str], Field(max_length=16, fail_fast=True)] | None = Field(
        None, validation_alias=AliasChoices("stop_sequences", "stop")
    )
    stop_on_eos: bool | None = None
    num_return_sequences: Annotated[int, Field(ge=1, le=10)] | None = None

    @property
    def sampling(self) -> Sampling:
        """How tokens are chosen."""
        top_p = 1.0 if self.top_p is None else self.top_p
        return Sampling(self.temperature or 0.0, self.top_k or 0, top_p, seed=self.seed, alternatives=0)


class ScoreBody(Body):
    """``/v1/score``."""

    text: Annotated[str, Field(min_length=1)]
    model: str | None = None
    top_k: Annotated[int, Field(ge=1, le=100)] | None = None
    detail_level: Literal["summary", "per_char"] = "per_char"
    """The summary leaves out what is said of each token."""
