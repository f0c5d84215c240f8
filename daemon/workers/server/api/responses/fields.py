"""What becomes of the fields of the Responses API that no schema names; see `daemon.workers.server.api.fields`."""

from daemon.workers.server.api.fields import REQUEST, RefusedField, Rules

_NEUTRAL = frozenset(
    {
        *("user", "safety_identifier", "service_tier", "prompt_cache_key", "prompt_cache_retention"),
        *("prompt_cache_options", "max_tool_calls", "include"),
    }
)
"""Labels, hints about speed, a limit for calls that the server would make itself, and more about such calls."""
_REFUSED = {
    "background": RefusedField((False,), "wait for the answer, or stream it"),
    "conversation": RefusedField((), "use previous_response_id"),
    "context_management": RefusedField(([],), "use truncation"),
    "moderation": RefusedField((), "this server does not judge what is said"),
    "prompt": RefusedField((), "send what it says as instructions and input"),
    "reasoning": RefusedField(
        ({}, {"effort": None}, {"effort": None, "summary": None}),
        "send what the model's template reads in chat_template_kwargs",
    ),
    "max_tokens": RefusedField((), "use max_output_tokens"),
    "max_completion_tokens": RefusedField((), "use max_output_tokens"),
    "messages": RefusedField((), "use input, or /v1/chat/completions"),
    "response_format": RefusedField((), "use text.format"),
    "stop": RefusedField(([],), "use /v1/chat/completions"),
    "n": RefusedField((1,), "use /v1/chat/completions"),
    "logprobs": RefusedField((False,), 'use include ["message.output_text.logprobs"]'),
}
RESPONSES = Rules({**REQUEST.refused, **_REFUSED}, _NEUTRAL)
TEXT = Rules({"verbosity": REQUEST.refused["verbosity"]})
"""Of ``text``."""
ITEM = Rules(neutral=frozenset({"status", "id", "phase", "annotations", "logprobs", "caller", "namespace"}))
"""Of an item of the input, and of its parts: what responses say of theirs."""
ERRORS = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "response_format": "text.format",
    "top_logprobs": "top_logprobs",
}
"""What the fields of a chat are called here."""
