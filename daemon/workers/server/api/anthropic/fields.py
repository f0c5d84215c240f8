"""What becomes of the fields of Anthropic's API that no schema names; see `daemon.workers.server.api.fields`."""

from daemon.workers.server.api.fields import REQUEST, RefusedField, Rules

_REFUSED = {
    "thinking": RefusedField(({"type": "disabled"},), "send what the model's template reads in chat_template_kwargs"),
    "container": RefusedField((), "this server runs no code"),
    "mcp_servers": RefusedField(([],), "give their tools in tools"),
    "context_management": RefusedField(({},), "leave out old messages"),
    "speed": RefusedField(("standard",)),
    "stop": RefusedField(([],), "use stop_sequences"),
    "n": RefusedField((1,), "use /v1/chat/completions"),
}
MESSAGES = Rules(
    {name: field for name, field in {**REQUEST.refused, **_REFUSED}.items() if name != "stop_sequences"},
    frozenset({"metadata", "service_tier", "cache_control", "inference_geo", "diagnostics"}),
)
OUTPUT_CONFIG = Rules({"effort": RefusedField((), "send what the model's template reads in chat_template_kwargs")})
PART = Rules(neutral=frozenset({"cache_control", "citations", "is_error", "caller"}))
"""Of a block of content. What went wrong in a tool is told by the text of its result."""
TOOL = Rules(neutral=frozenset({"cache_control", "strict", "defer_loading", "eager_input_streaming"}))
ERRORS = {
    "response_format": "output_config.format",
    "stop": "stop_sequences",
    "tool_choice.function": "tool_choice",
}
"""What the fields of a chat are called here."""
