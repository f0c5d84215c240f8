"""What becomes of every field that clients of OpenAI, vLLM, SGLang, llama.cpp and TGI are known to send.

A field is supported (a schema names it), neutral (it asks for nothing that changes an answer), or refused by a 400 that
names it, unless it has a value that asks for nothing. Any other field is unknown: it is ignored, and the header
`headers.IGNORED_FIELDS` of the answer names it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from daemon.workers.server.errors import ApiError


@dataclass(frozen=True)
class RefusedField:
    """A field that thord cannot obey.

    Attributes:
        harmless: values that ask for nothing; null always does.
        instead: what to do, for the error.
    """

    harmless: tuple[JsonValue, ...] = ()
    instead: str = ""

    def allows(self, value: JsonValue) -> bool:
        """Whether this value asks for nothing."""
        return value is None or any(_same(value, harmless) for harmless in self.harmless)


_NEUTRAL = frozenset(
    {
        *("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"),
        *("prompt_cache_retention", "prediction", "parallel_tool_calls", "request_id", "rid", "cache_prompt"),
        *("spaces_between_special_tokens", "include_reasoning", "separate_reasoning", "stream_reasoning"),
        *("reasoning_format", "parse_tool_calls", "n_keep"),
    }
)
"""Labels, hints about speed, and how to show what thord's answers do not have."""

_OF_CHATS = RefusedField(([],), "only chats call tools: use /v1/chat/completions")
_OLD_TOOLS = RefusedField(([],), "use tools")
_OLD_CHOICE = RefusedField(("none", "auto"), "use tool_choice")
_ONE_STYLE = RefusedField((), "JSON is written in one way: ', ' and ': ', and no other white space")
_OTHER_LIMIT = RefusedField((), "use max_tokens")

_REFUSED: dict[str, RefusedField] = {
    # Tools and structured output
    "tools": _OF_CHATS,
    "functions": _OLD_TOOLS,
    "tool_choice": RefusedField(("none", "auto"), _OF_CHATS.instead),
    "function_call": _OLD_CHOICE,
    "guided_whitespace_pattern": _ONE_STYLE,
    "guided_decoding_backend": RefusedField((), "there is only one backend; leave it out"),
    "structural_tag": RefusedField((), "use tools, or guided_grammar"),
    "format": RefusedField(("",), "use response_format"),
    # Input and output other than text
    "modalities": RefusedField((["text"],), "answers are text"),
    "audio": RefusedField((), "answers are text"),
    "web_search_options": RefusedField((), "this server does not search the web"),
    "suffix": RefusedField(("",), "texts are continued, gaps are not filled; put what comes before into prompt"),
    "prompt_embeds": RefusedField((), "send text or token ids"),
    "documents": RefusedField(([],), "put them into a message"),
    "chat_template": RefusedField((), "the model's own template is used; chat_template_kwargs set its variables"),
    "mm_processor_kwargs": RefusedField(({},), "this model reads text"),
    # Ways to choose tokens
    "use_beam_search": RefusedField((False,), "tokens are drawn, or chosen greedily with temperature 0"),
    "length_penalty": RefusedField((0, 1), "only beam search uses it"),
    "early_stopping": RefusedField((False,), "only beam search uses it"),
    "bad_words": RefusedField(([],), "use logit_bias with token ids (/tokenize tells them)"),
    "allowed_token_ids": RefusedField((), "use logit_bias"),
    "logits_processors": RefusedField(([],), "use logit_bias"),
    "custom_logit_processor": RefusedField(("",), "use logit_bias"),
    "repeat_penalty": RefusedField((1,), "use repetition_penalty"),
    "typical_p": RefusedField((1,), "use top_p or min_p"),
    "tfs_z": RefusedField((1,), "use top_p or min_p"),
    "top_a": RefusedField((0,), "use top_p or min_p"),
    "mirostat": RefusedField((0,), "use top_p or min_p"),
    "dynatemp_range": RefusedField((0,), "use temperature"),
    "xtc_probability": RefusedField((0,), "use min_p"),
    "dry_multiplier": RefusedField((0,), "use repetition_penalty or frequency_penalty"),
    "top_n_sigma": RefusedField((-1, 0), "use min_p"),
    "samplers": RefusedField((), "the order is fixed: penalties, logit_bias, temperature, top_k, top_p, min_p"),
    "lora": RefusedField(([],), "name a version in model"),
    "lora_path": RefusedField((), "name a version in model"),
    # Other names and other lengths
    "max_new_tokens": _OTHER_LIMIT,
    "max_length": _OTHER_LIMIT,
    "n_predict": RefusedField((-1,), "use max_tokens"),
    "num_predict": RefusedField((-1,), "use max_tokens"),
    "stop_sequences": RefusedField(([],), "use stop"),
    "do_sample": RefusedField((), "use temperature: 0 is greedy"),
    "options": RefusedField(({},), "send sampling fields beside model"),
    "keep_alive": RefusedField((), "a version stays in memory as long as it serves"),
    "enable_thinking": RefusedField((), "send it in chat_template_kwargs"),
    "thinking": RefusedField((), "send what the model's template reads in chat_template_kwargs"),
    "reasoning_effort": RefusedField((), "send what the model's template reads in chat_template_kwargs"),
    "thinking_token_budget": RefusedField((), "use max_tokens"),
    "verbosity": RefusedField(("medium",), "say in a message how long the answer should be"),
    # What an answer should hold besides
    "prompt_logprobs": RefusedField((), "use echo with logprobs on /v1/completions, or /v1/score"),
    "prompt_logprobs_only": RefusedField((False,), "use /v1/score"),
    "return_token_ids": RefusedField((False,), "use /tokenize on the answer"),
    "return_tokens_as_token_ids": RefusedField((False,), "use /tokenize on the answer"),
    "return_hidden_states": RefusedField((False,), "use /v1/embeddings"),
    "return_prompt_text": RefusedField((False,), "use echo on /v1/completions"),
    "skip_special_tokens": RefusedField((True,), "every special token ends an answer"),
    "no_stop_trim": RefusedField((False,), "use include_stop_str_in_output"),
    "n_probs": RefusedField((0,), "use logprobs"),
    "timings_per_token": RefusedField((False,), "measure at the client, or read /metrics"),
    "return_progress": RefusedField((False,), "read /metrics"),
    # How a request is served
    "priority": RefusedField((0,), "clients take turns"),
    "cache_salt": RefusedField((), "clients of one server share the prompt cache"),
    "kv_transfer_params": RefusedField(),
    "vllm_xargs": RefusedField(({},)),
}
"""Fields of completions and chats. What only one of them has in OpenAI's API, like ``suffix``, is refused in both."""


@dataclass(frozen=True)
class Rules:
    """What becomes of the fields that a schema does not name."""

    refused: Mapping[str, RefusedField] = field(default_factory=dict)
    neutral: frozenset[str] = frozenset()

    def ignored(self, given: Mapping[str, JsonValue], place: str = "") -> list[str]:
        """The names of those that nobody knows; ``place`` is where in a request they stand.

        Raises:
            ApiError: 400, one of them asks for what cannot be done.
        """
        unused = _TOOL_FIELDS if given.get("tool_choice") == "none" else frozenset[str]()
        for name, value in given.items():
            refused = self.refused.get(name)
            if refused is None or name in unused or refused.allows(value):
                continue
            at = f"{place}.{name}" if place else name
            message = f"{at} is not supported" + (f": {refused.instead}" if refused.instead else "")
            raise ApiError(400, "unsupported_parameter", message, param=at)
        known = self.refused.keys() | self.neutral
        return [name for name, value in given.items() if name not in known and value is not None]


_TOOL_FIELDS = frozenset({"tools", "functions"})
REQUEST = Rules(_REFUSED, _NEUTRAL)
MESSAGE = Rules(
    {
        "audio": RefusedField((), "this model reads text only"),
        "images": RefusedField(([],), "this model reads text only"),
        "prefix": RefusedField((False,), "send continue_final_message beside messages"),
    },
    frozenset({"refusal", "annotations", "reasoning_content", "reasoning", "id", "weight"}),
)
"""Of a message. Earlier reasoning is left out of prompts, as chat templates do."""
TOOL = Rules(neutral=frozenset({"strict"}))
"""Of a function that may be called. Arguments always keep to their schema."""
STRUCTURED_OUTPUTS = Rules(
    {"structural_tag": _REFUSED["structural_tag"], "whitespace_pattern": _ONE_STYLE},
    frozenset({"disable_fallback", "disable_any_whitespace", "disable_additional_properties"}),
)
"""Of ``structured_outputs``. What the neutral ones ask for is always so."""


def _same(value: JsonValue, other: JsonValue) -> bool:
    """Equal as JSON: true is not 1, and 1 is 1.0."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)
