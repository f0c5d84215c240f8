"""The scope that each route needs, and whether a caller holds it."""

from daemon.api_keys import Scope

NEEDED: dict[tuple[str, str], Scope | None] = {
    ("GET", "/healthz"): None,
    ("GET", "/health"): None,
    ("GET", "/ping"): None,
    ("GET", "/readyz"): None,
    ("GET", "/version"): None,
    ("GET", "/metrics"): None,
    ("GET", "/v1/status"): "read",
    ("GET", "/v1/models"): "generate",
    ("GET", "/v1/models/{name:path}"): "generate",
    ("POST", "/v1/completions"): "generate",
    ("POST", "/v1/chat/completions"): "generate",
    ("POST", "/v1/responses"): "generate",
    ("GET", "/v1/responses/{name}"): "generate",
    ("DELETE", "/v1/responses/{name}"): "generate",
    ("POST", "/v1/messages"): "generate",
    ("POST", "/v1/messages/count_tokens"): "generate",
    ("POST", "/api/chat"): "generate",
    ("POST", "/api/generate"): "generate",
    ("POST", "/api/embed"): "generate",
    ("POST", "/api/show"): "generate",
    ("GET", "/api/tags"): "generate",
    ("GET", "/api/ps"): "generate",
    ("GET", "/api/version"): "generate",
    ("POST", "/v1/embeddings"): "generate",
    ("POST", "/v1/score"): "generate",
    ("POST", "/v1/feedback"): "generate",
    ("GET", "/v1/sessions"): "generate",
    ("GET", "/v1/sessions/{name}"): "generate",
    ("DELETE", "/v1/sessions/{name}"): "generate",
    ("POST", "/predict"): "generate",
    ("POST", "/tokenize"): "generate",
    ("POST", "/detokenize"): "generate",
    ("GET", "/tokenizer_info"): "generate",
    ("POST", "/v1/files"): "train",
    ("GET", "/v1/files"): "train",
    ("GET", "/v1/files/{name}"): "train",
    ("GET", "/v1/files/{name}/content"): "train",
    ("DELETE", "/v1/files/{name}"): "train",
    ("POST", "/v1/fine_tuning/jobs"): "train",
    ("GET", "/v1/fine_tuning/jobs"): "train",
    ("GET", "/v1/fine_tuning/jobs/{name}"): "train",
    ("POST", "/v1/fine_tuning/jobs/{name}/cancel"): "train",
    ("POST", "/v1/fine_tuning/jobs/{name}/pause"): "train",
    ("POST", "/v1/fine_tuning/jobs/{name}/resume"): "train",
    ("GET", "/v1/fine_tuning/jobs/{name}/events"): "train",
    ("GET", "/v1/fine_tuning/jobs/{name}/checkpoints"): "train",
}
"""Method and path of every route, and the scope that it needs; null: not even a key."""


def permits(held: frozenset[Scope], needed: Scope | None) -> bool:
    """Whether a caller that holds these scopes may use a route that needs ``needed``."""
    return needed is None or needed in held or "admin" in held
